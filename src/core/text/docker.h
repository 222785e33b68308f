// SPDX-License-Identifier: GPL-2.0-or-later
// What a container said, out of the json-file format: {"log":"…\n","stream":"stderr","time":"…"}.
// Docker and nerdctl write it so. Whoever writes it anew (a shipper, a script) may put spaces after
// colons and commas, or the keys in another order.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/zone.h"

namespace bandd {

// In each such line. Docker escapes `"`, `\`, `<`, `>`, `&` and control characters within the text,
// as Go's encoding/json does, and nothing else.
inline constexpr std::string_view docker_key = "\"log\"";

// Views into the line, as it is written.
struct DockerParts {
    std::string_view log;     // between its quotes, escaped
    bool ends = true;         // false: the line ends within it
    std::string_view stream;  // empty if the line names none
    std::string_view time;
};
// Empty if `line` is no such line. The object's own keys count, not those of objects within.
std::optional<DockerParts> find_docker_parts(std::string_view line);

struct DockerLine {
    std::string_view line;        // into the buffer, without its line end
    std::optional<Instant> time;  // when Docker got it
    bool cut = false;             // its line end is missing: more of it is elsewhere
};

// Empty if `text` is no such line. `buffer` is overwritten.
std::optional<DockerLine> open_docker(std::string_view text, std::string& buffer);

// How much of an escaped text stands for at most `most` bytes. No escape is cut.
struct EscapedPart {
    std::size_t escaped = 0;
    std::size_t text = 0;
};
EscapedPart escaped_part(std::string_view escaped, std::size_t most);

// So much of a line is looked at: `limit` bytes of what somebody wrote, which of Docker's lines is
// the text within.
struct LimitedLine {
    std::string_view line;
    bool cut = false;
};
LimitedLine within_limit(std::string_view line, std::size_t limit);

}  // namespace bandd
