// SPDX-License-Identifier: GPL-2.0-or-later
// A syslog message from the network as the line that a syslog daemon writes to a file.
#pragma once

#include <string>
#include <string_view>

namespace bandd {

// Appends it to `line`. Filters, and fail2ban's above all, are written for lines of files:
//
//   <38>1 2026-11-29T22:36:54Z mx sshd 123 - - Failed …  ->  2026-11-29T22:36:54Z mx sshd[123]:
//   Failed … <38>Nov 29 22:36:54 mx sshd[123]: Failed …           ->  Nov 29 22:36:54 mx sshd[123]:
//   Failed …
//
// rsyslog's RSYSLOG_FileFormat has the same, but for the colon where RFC 5424 was spoken. A message
// without a time or, in RFC 5424, without a program stays as it is.
void append_file_line(std::string_view message, std::string& line);

}  // namespace bandd
