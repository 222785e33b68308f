// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/docker.h"

#include "core/text/datetime.h"
#include "core/text/json_string.h"

namespace bandd {

std::optional<DockerLine> open_docker(std::string_view text, std::string& buffer) {
    if (!text.starts_with(docker_head)) return {};
    buffer.clear();
    std::size_t at = docker_head.size();
    if (!take_json_string(text, at, buffer)) return {};
    DockerLine found;
    // The text is over: nothing after it is the container's.
    constexpr std::string_view key = "\"time\":\"";
    if (auto time = text.find(key, at); time != std::string_view::npos)
        if (auto date = scan_iso_date(text.substr(time + key.size())))
            found.time = resolve(*date, Zone{}, never);
    found.line = buffer;
    found.cut = !found.line.ends_with('\n');
    while (found.line.ends_with('\n') || found.line.ends_with('\r')) found.line.remove_suffix(1);
    return found;
}

}  // namespace bandd
