// SPDX-License-Identifier: GPL-2.0-or-later
// The logs of an ordinary day of a small provider, made up: Postfix, Dovecot, nginx, sshd,
// opendkim, named, the kernel's firewall, cron and systemd of a Debian 12 in one file, in the order
// of time, about 160 bytes a line. The same seed gives the same log.
//
// What each program writes comes as a whole: a mail is a dozen lines of six programs, a wrong
// password of sshd six. The lines of many such events lie between each other. How often which one
// happens follows published reports of real mail servers (docs/performance.md); the rest of a day
// is web requests, IMAP sessions and dropped packets.
#pragma once

#include <string>

#include "bench/mail_router_log.h"

namespace bandd {

// Appends the lines to `out`; `attacks` is the share of events that are one. Dates are rsyslog's as
// Debian 12 has them, and nginx's, in UTC.
void write_ordinary_day(const LogShape& shape, std::string& out);

}  // namespace bandd
