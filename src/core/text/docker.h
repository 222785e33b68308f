// SPDX-License-Identifier: GPL-2.0-or-later
// What a container said, out of Docker's json-file log: {"log":"…\n","stream":"stderr","time":"…"}.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/zone.h"

namespace bandd {

// How such a line begins. Docker escapes `"`, `\`, `<`, `>`, `&` and control characters within, as
// Go's encoding/json does, and nothing else.
inline constexpr std::string_view docker_head = "{\"log\":\"";

struct DockerLine {
    std::string_view line;        // into the buffer, without its line end
    std::optional<Instant> time;  // when Docker got it
    bool cut = false;             // its line end is missing: more of it is elsewhere
};

// Empty if `text` is no such line. `buffer` is overwritten.
std::optional<DockerLine> open_docker(std::string_view text, std::string& buffer);

}  // namespace bandd
