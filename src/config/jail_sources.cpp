// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/jail_sources.h"

#include <utility>

#include "config/built.h"
#include "config/listen.h"

namespace bandd {

template <>
TlsFiles& inside(SyslogDraft& draft) {
    return draft.tls;
}
template <>
SyslogSpec& inside(SyslogDraft& draft) {
    return draft.spec;
}
template <>
SocketFile& inside(SyslogDraft& draft) {
    return draft.file;
}

namespace {

constexpr std::uint16_t syslog_port = 514;       // RFC 5426
constexpr std::uint16_t syslog_tls_port = 6514;  // RFC 5425

constexpr std::string_view of_unit = "_SYSTEMD_UNIT=";

void read_unit(const Field& field, JournalSpec& journal) {
    for (const Value* unit : field.words())
        journal.alternatives.push_back({std::string(of_unit) + unit_name(unit->text)});
}

// "_COMM=sshd PRIORITY=6 + _COMM=cron": two alternatives.
void read_match(const Field& field, JournalSpec& journal) {
    for (const Value* match : field.words()) {
        std::vector<std::string> terms;
        auto end_alternative = [&] {
            if (!terms.empty()) journal.alternatives.push_back(std::exchange(terms, {}));
        };
        std::string_view rest = match->text;
        while (!rest.empty()) {
            auto space = rest.find(' ');
            std::string term(rest.substr(0, space));
            rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
            auto equals = term.find('=');
            if (term == "+") {
                end_alternative();
            } else if (equals != std::string::npos && equals > 0) {
                terms.push_back(std::move(term));
            } else if (!term.empty()) {
                field.item_error(*match, term, "is not FIELD=value",
                                 "write _COMM=sshd, or _SYSTEMD_UNIT=ssh.service");
            }
        }
        end_alternative();
    }
}

void check_journal(const Section& section, JournalSpec& journal) {
    if (section.map().kind != Value::Kind::map) return;
    if (journal.alternatives.empty() && journal.directory.empty())
        section.error(section.map(), "\"journal\"", "names neither unit nor match",
                      "write \"journal: true\" for all of it");
}

void read_syslog_listen(const Field& field, SyslogDraft& draft) {
    for (const Value* word : field.words()) {
        auto address = parse_listen_address(word->text, syslog_port, syslog_tls_port);
        if (!address) {
            field.error(
                *word, "is no address to listen at",
                "write udp://0.0.0.0:514, tcp://[::]:514, tls://[::]:6514 or unix:/run/x.sock");
            continue;
        }
        address->path = field.reading().absolute(address->path);
        if (address->kind == ListenAddress::Kind::unix_datagram) address->file = draft.file;
        if (address->kind == ListenAddress::Kind::tls) {
            if (!built_with_tls) {
                field.error(*word, needs_tls, take_it_out);
                continue;
            }
            address->tls = draft.tls;
            if (draft.tls.certificate.empty() || draft.tls.key.empty())
                field.error(*word, "needs \"certificate\" and \"key\"", "name two PEM files");
        }
        draft.spec.listen.push_back(std::move(*address));
    }
}

void check_syslog(const Section& section, SyslogDraft& draft) {
    bool open = false;  // to others than this machine
    for (const ListenAddress& address : draft.spec.listen)
        open = open || address.kind != ListenAddress::Kind::unix_datagram;
    if (section.find("listen") == nullptr)
        section.error(section.map(), "\"syslog\"", "names nothing to listen at",
                      "add \"listen: udp://0.0.0.0:514\"");
    else if (open && section.find("from") == nullptr)
        section.error(section.map(), "\"syslog\"", "does not say whose messages are believed",
                      "add \"from: [192.168.1.0/24]\": anybody could have others banned else");
}

}  // namespace

std::string unit_name(const std::string& written) {
    return written.find('.') == std::string::npos ? written + ".service" : written;
}

std::vector<std::string> units_of(const std::optional<JournalSpec>& journal) {
    std::vector<std::string> units;
    if (!journal) return units;
    for (const std::vector<std::string>& terms : journal->alternatives)
        if (terms.size() == 1 && terms.front().starts_with(of_unit))
            units.push_back(terms.front().substr(of_unit.size()));
    return units;
}

const Table<JournalSpec>& journal_keys() {
    static const Table<JournalSpec> table{
        "journal",
        {
            key::special("unit", read_unit, "unit, or a list", "",
                         "entries of these units: ssh.service"),
            key::special("match", read_match, "match, or a list", "",
                         "entries with these fields: `_COMM=sshd PRIORITY=6 + _COMM=cron`; + means "
                         "or"),
            key::path("directory", &JournalSpec::directory, "path",
                      "where the journal's files are; without it: this machine's"),
        },
        check_journal};
    return table;
}

const Table<SyslogDraft>& syslog_keys() {
    // The files of TLS and sockets come before the addresses, which take them.
    static const Table<SyslogDraft> table = [] {
        std::vector<Key<SyslogDraft>> keys{
            key::special(
                "listen", read_syslog_listen, "address, or a list", "",
                "udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT or unix:/PATH"),
            key::prefixes("from", &SyslogSpec::from,
                          "whose messages are believed; needed for all but Unix sockets"),
        };
        return Table<SyslogDraft>{
            "syslog", joined<SyslogDraft>(tls_keys(), socket_file_keys(), keys), check_syslog};
    }();
    return table;
}

void read_logpath(const Field& field, JailConfig& jail) {
    for (const Value* word : field.words()) {
        LogSpec log;  // its options are taken from the jail when all keys are read
        log.path = field.reading().absolute(word->text);
        if (log.path.empty())
            field.error(*word, "is empty");
        else if (log.path.contains('\0'))
            field.error(*word, "has a NUL byte in it, which no path has");
        else
            jail.logs.push_back(std::move(log));
    }
}

void read_source(const Field& field, JailConfig& jail) {
    auto source = field.text();
    if (!source) return;
    if (*source == "bans")
        jail.rules.fed_by_bans = true;
    else if (*source == "access")
        jail.rules.fed_by_access = true;
    else if (*source == "remote")
        jail.fed_by_remote = true;
    else if (*source == "stdin")
        jail.reads_stdin = true;
    else
        field.error("must be bans, access, remote or stdin", "logs are named with \"logpath\"");
}

void read_journal(const Field& field, JailConfig& jail) {
    JournalSpec journal;
    if (field.value().kind == Value::Kind::scalar) {
        if (field.boolean().value_or(false)) jail.journal = journal;
        return;
    }
    journal_keys().read(field.value(), "journal", field.reading(), journal);
    jail.journal = std::move(journal);
}

void read_syslog(const Field& field, JailConfig& jail) {
    SyslogDraft draft;
    syslog_keys().read(field.value(), "syslog", field.reading(), draft);
    jail.syslog = std::move(draft.spec);
}

void read_encoding(const Field& field, LogSpec& options) {
    auto text = field.text();
    if (!text) return;
    if (auto encoding = parse_encoding(*text))
        options.encoding = *encoding;
    else
        field.error("must be one of auto, utf-8, latin1, utf-16le, utf-16be");
}

void read_timezone(const Field& field, JailConfig& jail) {
    auto text = field.text();
    if (!text) return;
    jail.log_options.timezone = std::move(*text);
    jail.timezone_where = field.value().where;
}

}  // namespace bandd
