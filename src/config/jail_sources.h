// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail reads: logs, the journal, syslog from other machines, other programs' requests.
#pragma once

#include "config/jail.h"

namespace bandd {

// A syslog listener while it is read.
struct SyslogDraft {
    SyslogSpec spec;
    TlsFiles tls;     // of its tls addresses
    SocketFile file;  // of its Unix sockets
};

void read_logpath(const Field& field, JailConfig& jail);
void read_source(const Field& field, JailConfig& jail);
void read_journal(const Field& field, JailConfig& jail);
void read_syslog(const Field& field, JailConfig& jail);
void read_encoding(const Field& field, LogSpec& options);
void read_timezone(const Field& field, JailConfig& jail);

const Table<JournalSpec>& journal_keys();
const Table<SyslogDraft>& syslog_keys();

}  // namespace bandd
