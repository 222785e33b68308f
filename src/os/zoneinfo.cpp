// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/zoneinfo.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace bandd {
namespace {

std::optional<Zone> read_tzif(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return {};
    std::ostringstream bytes;
    bytes << file.rdbuf();
    auto zone = Zone::from_tzif(bytes.str());
    if (!zone) return {};
    return *zone;
}

}  // namespace

Result<Zone> read_zone(const std::string& name) {
    if (name.empty()) {
        if (const char* tz = std::getenv("TZ"); tz != nullptr && *tz != '\0') {
            std::string text = *tz == ':' ? tz + 1 : tz;
            if (text.starts_with('/')) {
                if (auto zone = read_tzif(text)) return *zone;
            } else if (auto zone = read_zone(text)) {
                return *zone;
            }
        }
        return read_tzif("/etc/localtime").value_or(Zone{});
    }
    if (auto zone = Zone::from_offset(name)) return *zone;
    if (!name.starts_with('/') && name.find("..") == std::string::npos)
        if (auto zone = read_tzif("/usr/share/zoneinfo/" + name)) return *zone;
    if (auto zone = Zone::from_posix(name)) return *zone;
    return fail("\"timezone: " + name + "\"", "there is no such zone in /usr/share/zoneinfo",
                "write Europe/Berlin (package tzdata) or an offset such as +0200");
}

}  // namespace bandd
