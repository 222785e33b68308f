// SPDX-License-Identifier: GPL-2.0-or-later
// A line's head, taken off once: what was said when, by which program; the rest is the message.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/zone.h"

namespace bandd {

// Views into the line.
struct Envelope {
    std::optional<Instant> time;   // as written; empty if the line has no date
    std::optional<Instant> outer;  // of the line around it, which told what a container said
    std::string_view host, tag, pid;
    std::string_view message;
    bool within = false;      // the date is a part of the message
    bool cut = false;         // the end of the line is missing
    bool syslog = false;      // the line came through syslog, so "#ooo" in it is rsyslog's escaping
    std::uint16_t times = 1;  // "message repeated 5 times: [ … ]": the message is what is repeated
};

// The last syslog date and host that were read, as lines in a row mostly have the same. Good for
// one zone, one arrival, and as long as the lines are there.
struct LastHead {
    // "Nov 21 03:05:50 ", with the space: nothing that follows would change what it means.
    std::array<char, 16> date{};
    Instant time;
    std::string_view host;  // with the space after it; empty if it might be read in another way
};

// Whether a date is searched for in a line that does not begin with one.
enum class DatesWithin : std::uint8_t { found, left };

// Understands RFC 3164 (with or without priority, host, tag), ISO 8601 heads as rsyslog writes
// them to files, RFC 5424, nginx and Apache error logs, epoch; and dates inside a line
// which keeps its text: hMailServer's records, access logs. Anything else is all message.
// Never fails, never throws. A trailing CR is taken off.
Envelope open_envelope(std::string_view line, const Zone& zone, Instant arrival,
                       LastHead* last = nullptr, DatesWithin within = DatesWithin::found);

}  // namespace bandd
