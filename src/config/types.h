// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as plain values: what the YAML said, checked, with defaults filled in. Edges of
// the program see only this file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/decide/access.h"
#include "core/decide/end_users.h"
#include "core/decide/rules.h"
#include "core/match/scanner.h"
#include "core/text/encoding.h"

namespace bandd {

struct PortRange {
    std::uint16_t first = 0, last = 0;
    auto operator<=>(const PortRange&) const = default;
};
enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };
enum class Hook { prerouting, input, forward };
enum class Verdict { drop, reject };

struct NftablesAction {
    std::vector<Hook> hooks{Hook::prerouting};
    std::vector<std::string>
        interfaces;       // where packets come in; `ppp*`: all that begin so; empty: any
    int priority = -300;  // "raw": before connection tracking at -200
    Verdict verdict = Verdict::drop;
    std::string log_prefix;
    std::vector<PortRange> ports;  // empty: all
    bool auto_ports = false;       // and those on which the jail's service listens here
    std::vector<Protocol> protocols;
    auto operator<=>(const NftablesAction&) const = default;
};
struct IpsetAction {
    std::string set4, set6;  // empty: no set for that family
    bool ours = true;        // bandd makes it, and nothing else writes to it
    bool create = true;
    std::uint32_t maxelem = 1'000'000;
    // The widest prefixes that its jail bans by itself.
    int widest4 = 32, widest6 = ipv6_host_length;
    auto operator<=>(const IpsetAction&) const = default;
};

// Linux's capabilities: bit N is capability N of linux/capability.h.
using Capabilities = std::uint64_t;
// Whom programs of the configuration run as. A machine without that user has `nobody`.
inline constexpr std::string_view default_program_user = "bandd-exec";

struct ExecAction {
    std::vector<std::string> ban, unban;  // argv; empty: nothing to run
    std::string user{default_program_user};
    std::optional<Capabilities> capabilities;  // nothing: all for root, none for others
    Duration timeout = std::chrono::seconds(60);
    int parallel = 4;
    auto operator<=>(const ExecAction&) const = default;
};
struct SyslogAction {
    int facility = 23;  // local7
    int severity = 5;   // notice
    std::string tag = "bandd";
    std::string ban = "<ip> BANNED!";
    std::string unban = "<ip> BAN LIFTED!";
    auto operator<=>(const SyslogAction&) const = default;
};
using ActionConfig = std::variant<NftablesAction, IpsetAction, ExecAction, SyslogAction>;
std::string_view action_name(const ActionConfig& action);

enum class Start { findtime, end, beginning };

// A log to watch: what makes two jails share one reader.
struct LogSpec {
    std::string path;  // absolute; may hold wildcards
    Encoding encoding = Encoding::automatic;
    std::string timezone;  // empty: the machine's
    Escapes escapes = Escapes::automatic;
    Start start = Start::findtime;
    auto operator<=>(const LogSpec&) const = default;
};

// Entries of the systemd journal that a jail reads.
struct JournalSpec {
    // One of these must fit; each is a list of FIELD=value, as journalctl takes them. Empty: all.
    std::vector<std::vector<std::string>> alternatives;
    std::string directory;  // empty: this machine's journal
    auto operator<=>(const JournalSpec&) const = default;
};

// By what the listening sockets of a service are known.
struct ServiceConfig {
    std::vector<std::string> units;  // of systemd, with their suffix; or of OpenRC
    std::vector<std::string> users;  // never root, whose sockets are of any service
    bool is_known() const { return !units.empty() || !users.empty(); }
    auto operator<=>(const ServiceConfig&) const = default;
};

// PEM files.
struct TlsFiles {
    std::string certificate, key;
    std::string clients;  // signers of clients' certificates; empty: clients need none
    auto operator<=>(const TlsFiles&) const = default;
};

// Who may open a Unix socket.
struct SocketFile {
    unsigned mode = 0;  // 0: 0660 with a group, 0666 without
    std::string group;  // empty: the group of who made it
    auto operator<=>(const SocketFile&) const = default;
};

// Where something is listened for.
struct ListenAddress {
    enum class Kind { udp, tcp, tls, unix_datagram, unix_stream };
    Kind kind = Kind::udp;
    Address address;         // of udp, tcp and tls
    std::uint16_t port = 0;  // the same
    std::string path;        // of a Unix socket
    SocketFile file;         // the same
    TlsFiles tls;
    auto operator<=>(const ListenAddress&) const = default;
};
std::string to_string(const ListenAddress& address);
struct SyslogSpec {
    std::vector<ListenAddress> listen;
    std::vector<Prefix> from;  // senders that are believed; Unix sockets need none
    auto operator<=>(const SyslogSpec&) const = default;
};

// What a field of a JSON line must be: one of these; what begins with ^ is a regex.
struct FieldTestConfig {
    std::string field;  // a name of JsonConfig, or a path
    std::vector<std::string> wants;
    Place where;
};
struct PatternConfig {
    std::string id, regex, mode;
    bool once = false;  // see core/decide/sessions.h
    std::string safe;   // why no client can name another host by it, though it looks so
    Place where;
    std::vector<FieldTestConfig> tests;  // of filters of JSON logs
};
// The log's lines are JSON objects. Paths in them; empty: the log does not have that.
struct JsonConfig {
    std::vector<std::string> ip, user;  // the first one that a line has
    std::string time, message, forwarded;
    std::map<std::string, std::string> fields;  // others, by the name that they get
    auto operator<=>(const JsonConfig&) const = default;
    bool empty() const { return *this == JsonConfig{}; }
};
// Whether <HOST> takes host names, too, and what becomes of them: fail2ban's `usedns`. raw: they
// count for nothing; warn, yes: their addresses do.
enum class UseDns : std::uint8_t { no, raw, warn, yes };
struct Sample {
    std::string line, match, ip, user;
    Place where;
};
struct FilterConfig {
    std::string name, description, tag;
    Place where, tag_where;
    std::vector<Prefix> senders;
    bool session_by_pid = false;  // lines of one process of the syslog head are one session
    bool finds_logins = false;    // not attacks: their addresses count to accounts
    std::vector<PatternConfig> failregex, ignoreregex;
    JsonConfig json;  // empty: the lines are text
    Place json_where;
    Dialect dialect = Dialect::bandd;
    // Of fail2ban's dialect.
    PatternConfig prefregex;  // there is none if its regex is empty
    std::vector<std::string> datepattern;
    Place datepattern_where;
    std::size_t maxlines = 1;
    UseDns usedns = UseDns::warn;
    WordLists lists, sample_lists;
    std::vector<Sample> samples;
};

// A program that bandd runs: `ignorecommand` (exit code 0: the address is exempt), the action of
// `accounts`.
struct ProgramConfig {
    std::vector<std::string> argv;  // empty if there is none
    std::string user{default_program_user};
    std::optional<Capabilities> capabilities;  // as in ExecAction
    Duration timeout = std::chrono::seconds(60);
    auto operator<=>(const ProgramConfig&) const = default;
};

// The tags that arguments may hold: of actions at a ban and of `ignorecommand`, or of the action of
// `accounts`.
enum class ProgramTags : std::uint8_t { ban, account };

// A program as the configuration names it, with all that says how it runs.
struct ConfiguredProgram {
    ProgramTags tags = ProgramTags::ban;
    std::string jail;  // <jail>; empty for `accounts`
    ProgramConfig program;
    auto operator<=>(const ConfiguredProgram&) const = default;
};

// Whole countries, kept out by the kernel.
struct GeoblockConfig {
    std::string name;
    std::vector<std::string> countries;
    bool all_but = false;        // all others
    std::vector<Prefix> except;  // never
    NftablesAction packets;      // which, where, and what becomes of them
    Place where;
};

// Who may log in from where, and what is said to those who may not.
// As whom lines about logins are written to syslog.
struct LoginSyslog {
    int facility = 16;  // local0
    int severity = 6;   // info
    std::string ident = "bandd";
};

struct AccessConfig {
    AccessRules rules;       // without what is in the file
    std::string users_file;  // of `user|CC` and `user|IP`; empty: none
    std::string message =
        "554 5.7.1 This account was used from too many places. Please change its password.";
    std::string place_message = "554 5.7.1 You may not log in from there.";
    std::string password_message = "535 5.7.8 Invalid login or password";
    std::optional<LoginSyslog> syslog;
    ProgramConfig action;  // run once when an account has too many; nothing is asked
    Place where, accounts_where;
};

// What Postfix answers to end users' hosts.
struct EndUserConfig {
    EndUserRules rules;
    std::string message =
        "554 5.7.1 We do not accept mail from end-user hosts (<hostname>); use your provider's "
        "mail server";
};

// Postfix's policy delegation.
struct PolicyConfig {
    std::vector<ListenAddress> listen;
    std::vector<Prefix> from;                           // other machines that may ask
    std::vector<std::string> users{"root", "postfix"};  // of this machine, the same
    SocketFile file;                                    // whose group may ask, too
    std::optional<EndUserConfig> reject_broadband;
};

struct HostAndPort {
    Address address;
    std::uint16_t port = 0;
    auto operator<=>(const HostAndPort&) const = default;
};

// Who knows whether a password is right: a mail server that bandd asks.
struct PasswordServer {
    enum class Kind : std::uint8_t { imap, dovecot_sasl };
    enum class Tls : std::uint8_t { no, starttls, yes };
    Kind kind = Kind::imap;
    HostAndPort imap;
    std::string socket;         // Dovecot's, for SASL
    Tls tls = Tls::no;          // of IMAP
    std::string tls_name;       // that its certificate must have; empty: its address
    std::string tls_authority;  // PEM: who signed it; empty: whom this machine believes
    // Dovecot lets who guesses wait up to 15 s, and then 2 s. A guess that is not judged counts to
    // no jail.
    Duration timeout = std::chrono::seconds(30);
    bool operator==(const PasswordServer&) const = default;
};

// nginx, Dovecot and Prometheus ask by HTTP.
struct HttpConfig {
    std::optional<ListenAddress> listen;
    std::string token;  // empty: this machine only
    // Who may change something without a token. Debian's names, nginx.org's and Dovecot's.
    std::vector<std::string> users{"root", "www-data", "nginx", "dovecot", "dovenull", "vmail"};
    std::map<std::string, HostAndPort, std::less<>> mail_servers;  // by protocol: where nginx goes
    std::optional<PasswordServer> auth;  // bandd checks the passwords of nginx' logins
    // Somebody says that the server behind nginx checks the passwords of SMTP logins.
    bool backend_checks = false;
};

// Bans by hand that name no jail belong here. It exists even if nobody configured it.
inline constexpr std::string_view manual_jail = "manual";

// Other machines that have addresses banned here.
struct PeerConfig {
    std::string name;
    std::string token;        // one of these two is how it is known
    std::string certificate;  // the common name in a certificate that `clients` signed
    bool may_add = true, may_delete = true, may_check = true;
    std::string jail{manual_jail};  // where its bans go
    Duration longest = forever;     // ban
    Place where;
};
struct RemoteConfig {
    std::vector<ListenAddress> listen;
    TlsFiles tls;
    std::vector<Prefix> from;  // who may connect at all, besides this machine
    // Who may speak the plain text dialect: other machines, and users of this one.
    std::vector<Prefix> text_from;
    std::vector<std::string> text_users{"root"};
    std::vector<PeerConfig> peers;
    std::string text_jail{manual_jail};  // where bans of the text dialect go
    std::uint32_t rate = 600;            // requests a minute of one peer
    Place where;
};

// The machines with which bans are shared.
// What other nodes may have banned here. The operator is not bound by it: he only lifts.
struct FleetTrust {
    std::vector<std::string> jails;  // whose bans are taken; none: all jails'
    Duration longest = forever;      // ban
    int widest_v4 = 16, widest_v6 = 32;
    std::uint32_t rate = 6000;   // words on bans a minute of one node
    std::size_t most = 500'000;  // bans of one node that are not over
    bool operator==(const FleetTrust&) const = default;
};
struct FleetConfig {
    std::string join;  // file; empty: there is no fleet
    FleetTrust trust;
    std::size_t outbox = 64;  // MiB of hits that no server has
};
// Bans of jails that this machine does not have belong here. It exists if there is a fleet.
inline constexpr std::string_view fleet_jail = "fleet";
// What a jail shares with the fleet.
enum class Share : std::uint8_t { nothing, bans, hits };
// Of a jail that shares its hits: counting nodes keep all hits of findtime.
inline constexpr std::uint32_t most_shared_maxretry = 10'000;
inline constexpr Duration longest_shared_findtime = std::chrono::days(7);

// What the jail's filter must have, for a key of the jail: a field that it captures, or a pattern.
struct NeededName {
    std::string key, name;
    Place where;
};

enum class Enabled { yes, no, automatic };

struct JailConfig {
    Place where;
    Enabled enabled = Enabled::yes;
    std::string description;
    std::vector<LogSpec> logs;
    std::optional<JournalSpec> journal;
    std::optional<SyslogSpec> syslog;
    LogSpec log_options;  // time zone and escapes of what comes from no file
    Place timezone_where;
    bool reads_stdin = false;
    bool reads_anything() const { return !logs.empty() || journal || syslog || reads_stdin; }
    bool fed_by_remote = false;  // other machines ask for its bans
    Share share = Share::bans;   // if there is a fleet
    std::uint32_t witnesses = 1;  // nodes whose hits made a ban of others, or it is not taken
    bool is_fed() const { return rules.fed_by_bans || rules.fed_by_access || fed_by_remote; }
    std::string filter;
    Place filter_where;
    std::vector<std::string> modes;
    WordLists lists;
    JsonConfig json;                          // paths in place of the filter's
    std::vector<Prefix> trusted_proxies;      // whose <F-FORWARDED> is believed
    std::vector<std::string> patterns;        // ids; empty: all of the filter
    std::vector<NeededName> needed_patterns;  // by `patterns` and `weights`
    JailRules rules;
    Place condition_where;                  // of `where`
    std::vector<NeededName> needed_fields;  // by `where` and `count`
    std::vector<std::string> broadband_words;
    std::vector<std::string> ignore_names;  // host names in ignoreip
    ProgramConfig ignorecommand;
    std::vector<ActionConfig> actions;
    ServiceConfig service;  // for actions with auto_ports
};

enum class LogLevel { error, warning, notice, info, debug };

struct LogConfig {
    std::string target = "auto";
    LogLevel level = LogLevel::notice;
    auto operator<=>(const LogConfig&) const = default;
};

// What a key is, and who said it: for people who ask. Secrets are left out.
struct Setting {
    std::string key;    // of a map within: "remote.rate"
    std::string value;  // as the configuration would write it
    Place where;        // without a file: nobody, so it is bandd's own default
};

// Of each jail that the configuration names, whether or not it is used.
enum class JailUse : std::uint8_t { used, disabled, idle };  // idle: `auto`, and nothing to read
struct JailSettings {
    std::string name;
    Place where;
    JailUse use = JailUse::used;
    std::vector<Setting> settings;
};

// More would take the router's work from it.
inline constexpr unsigned automatic_matchers = 4;
inline constexpr int most_matchers = 16;

struct Config {
    std::string directory;  // where bandd.yaml is or would be
    std::string file;       // that is it, whatever its name
    std::string state = "/var/lib/bandd/bandd.db";
    std::string socket = "/run/bandd/bandd.sock";
    std::string user = "bandd";
    std::string group = "bandd";
    bool flush_on_stop = false;
    std::string dns_servers;         // separated by commas; empty: the machine's
    std::vector<std::string> geoip;  // MaxMind DB files
    AccessConfig access;
    std::vector<GeoblockConfig> geoblocks;
    PolicyConfig policy;
    HttpConfig http;
    RemoteConfig remote;
    FleetConfig fleet;
    LogConfig log;
    std::size_t ban_limit = 2'000'000;
    std::size_t memory_limit = 64;  // MiB
    std::size_t line_limit = 65536;
    // A cut JSON line is none, so a client who has much of his written would hide. Go's servers
    // take 1 MiB of headers, and Caddy writes six bytes for one that is no UTF-8.
    static constexpr std::size_t longest_json_line = 8 << 20;
    // Of any log: what its readers want is cut from it.
    std::size_t longest_line() const { return std::max(line_limit, longest_json_line); }
    int matchers = 0;  // threads; 0: as many as there are processors, at most automatic_matchers
    Duration dbpurgeage = std::chrono::days(30);
    Duration checkpoint = std::chrono::seconds(2);
    std::vector<JailConfig> jails;  // enabled ones, `manual` included
    // Of all jails that are not disabled: those with `enabled: auto` whether or not they have a log
    // here. So it follows from the files of the configuration alone.
    std::vector<ConfiguredProgram> programs;
    std::map<std::string, FilterConfig, std::less<>> filters;  // that the jails use
    std::map<std::string, Zone, std::less<>> zones;            // by LogSpec::timezone
    std::vector<Setting> settings;                             // bandd.yaml's
    std::vector<JailSettings> jail_settings;
};

}  // namespace bandd
