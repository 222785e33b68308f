// SPDX-License-Identifier: GPL-2.0-or-later
// What most tests need.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/base/zone.h"
#include "support/catch.h"

namespace bandd {

// Seconds after an arbitrary, fixed moment: 2026-11-21 10:00:00 UTC.
inline Instant at(double seconds) {
    return Instant{utc_from_civil({2026, 11, 21, 10, 0, 0}).us +
                   static_cast<std::int64_t>(seconds * 1e6)};
}
inline Address ip(const std::string& text) { return parse_address(text).value(); }
inline Prefix prefix(const std::string& text) { return parse_prefix(text).value(); }

// A directory of its own for each test, gone afterwards.
class TempDirectory {
  public:
    TempDirectory() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "bandd-test-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline void write_file(const std::string& path, const std::string& text, bool append = false) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary | (append ? std::ios::app : std::ios::trunc)) << text;
}
inline void append_file(const std::string& path, const std::string& text) {
    write_file(path, text, true);
}
// What can be read of it. A file of /proc whose process ends meanwhile fails in the middle, where a
// stream's iterators would throw.
inline std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    char part[16384];
    while (file.read(part, sizeof part), file.gcount() > 0)
        text.append(part, static_cast<std::size_t>(file.gcount()));
    return text;
}

}  // namespace bandd
