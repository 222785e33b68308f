// SPDX-License-Identifier: GPL-2.0-or-later
// The log of a mail router, made up: hMailServer (by way of rsyslog), Postfix, Dovecot and sshd,
// about 130 bytes a line, in equal parts. The same seed gives the same log.
#pragma once

#include <cstdint>
#include <string>

namespace bandd {

struct LogShape {
    std::uint64_t lines = 100'000;
    double attacks = 0.001;          // share of lines that are an attack
    std::uint32_t attackers = 1000;  // addresses that these come from
    std::uint32_t seed = 1;
    std::int64_t begin = 1'795'000'000;  // of the first line, seconds since 1970
    double lines_per_second = 1000;      // in the log's own time
};

// Appends the lines to `out`; dates are RFC 3164, in UTC.
void write_mail_router_log(const LogShape& shape, std::string& out);

}  // namespace bandd
