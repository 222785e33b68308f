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

// A unit without a suffix is a service.
std::string unit_name(const std::string& written);
// Those whose entries the jail reads.
std::vector<std::string> units_of(const std::optional<JournalSpec>& journal);

void read_logpath(const Field& field, JailConfig& jail);
void read_source(const Field& field, JailConfig& jail);
void read_journal(const Field& field, JailConfig& jail);
void read_syslog(const Field& field, JailConfig& jail);
void read_encoding(const Field& field, LogSpec& options);
void read_timezone(const Field& field, JailConfig& jail);

const Table<JournalSpec>& journal_keys();
const Table<SyslogDraft>& syslog_keys();

}  // namespace bandd
