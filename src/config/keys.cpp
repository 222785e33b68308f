// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keys.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace bandd {
namespace {

constexpr std::array keys{
    Key{"bandd.yaml", "defaults", "map of jail keys", "",
        "what every jail has that does not say otherwise"},
    Key{"bandd.yaml", "jails", "map of jails", "the files in jails/",
        "jails by name; `!include GLOB` takes them from files"},
    Key{"bandd.yaml", "state", "path", "/var/lib/bandd/bandd.db",
        "SQLite file with log positions, windows and bans"},
    Key{"bandd.yaml", "socket", "path", "/run/bandd/bandd.sock", "where bandctl finds the daemon"},
    Key{"bandd.yaml", "user", "user name", "bandd",
        "whom the daemon becomes once it has started as root; `root`: nobody else"},
    Key{"bandd.yaml", "group", "group name", "bandd", "who, besides root, may use bandctl"},
    Key{"bandd.yaml", "stop", "keep | flush", "keep",
        "whether bans stay in the kernel when the daemon stops"},
    Key{"bandd.yaml", "dns_servers", "list of addresses", "the machine's",
        "name servers that are asked for host names; read when bandd starts"},
    Key{"bandd.yaml", "geoip", "path, or a list of them", "",
        "MaxMind DB files (.mmdb) that tell countries and networks; the first that knows is "
        "believed"},
    Key{"bandd.yaml", "access", "map", "", "who may log in from where"},
    Key{"bandd.yaml", "accounts", "map", "", "from how many places an account may be used"},
    Key{"bandd.yaml", "geoblock", "map of blocks", "", "whole countries that the kernel keeps out"},
    Key{"bandd.yaml", "policy", "map", "", "answers for Postfix (check_policy_service)"},
    Key{"bandd.yaml", "http", "map", "",
        "answers for nginx (auth_http) and Dovecot (auth_policy), and numbers for Prometheus"},
    Key{"bandd.yaml", "remote", "map", "", "other machines that have addresses banned here"},
    Key{"bandd.yaml", "log", "map", "", "the daemon's own log"},
    Key{"bandd.yaml", "ban_limit", "number", "2000000",
        "most bans at one time; further ones are refused and counted"},
    Key{"bandd.yaml", "line_limit", "bytes", "65536", "longer lines are cut there and counted"},
    Key{"bandd.yaml", "matchers", "auto | 1 to 16", "auto",
        "threads that match a backlog or busy logs; auto: as many as processors, at most 4"},
    Key{"bandd.yaml", "dbpurgeage", "duration", "30d",
        "how long an address's earlier bans are remembered"},
    Key{"bandd.yaml", "checkpoint", "duration", "2s", "how often the state is written, at most"},

    Key{"log", "target", "stderr | syslog | journal | path", "stderr",
        "where the daemon's own log goes"},
    Key{"log", "level", "error | warning | notice | info | debug", "notice",
        "what is logged: bans are `notice`, single hits `info`"},

    Key{"jail", "enabled", "true | false | auto", "true",
        "auto: only while one of its logs exists"},
    Key{"jail", "description", "text", "", "for people"},
    Key{"jail", "logpath", "path, glob, or a list of them", "",
        "logs to watch; they need not exist yet"},
    Key{"jail", "journal", "true | map", "",
        "read the systemd journal: all of it, or what unit and match name"},
    Key{"jail", "syslog", "map", "", "listen for syslog messages from other machines"},
    Key{"jail", "source", "bans | access | remote | stdin", "",
        "`bans`: this jail counts the bans of all other jails (recidive); `access`: logins that "
        "were refused or had a wrong password, as nginx and Dovecot tell them; `remote`: other "
        "machines ask for its bans; `stdin`: it reads what is piped into `bandd --stdin`"},
    Key{"jail", "filter", "filter name", "the jail's name",
        "what in those logs is an attack; `name[mode=…]` as in fail2ban works, too"},
    Key{"jail", "mode", "word or list", "",
        "optional parts of the filter to use; `aggressive` means all"},
    Key{"jail", "lists", "map of lists", "", "words to add to the filter's lists"},
    Key{"jail", "maxretry", "number", "5", "hits within findtime that lead to a ban (1 to 1000)"},
    Key{"jail", "findtime", "duration | today", "10m",
        "the window in which hits are counted; today: a calendar day in the log's time zone"},
    Key{"jail", "count", "hits | distinct WHAT by ip, net/LENGTH or user", "hits",
        "`distinct user by ip`: maxretry different users (password spraying); `distinct ip by "
        "net/24`: maxretry different addresses of a block, which is banned as a whole; `distinct "
        "ip by "
        "user`: maxretry different addresses that tried one account, all of which are banned"},
    Key{"jail", "where", "condition", "",
        "which hits count: `country in [RU, CN] and not user in [root]`; see bandd.yaml(5)"},
    Key{"jail", "reverse_lookup", "true | false", "false",
        "ask name servers for the host name that `where` needs, if the line does not tell it"},
    Key{"jail", "broadband_words", "list of words", "",
        "for `hostname is broadband`, besides those that are built in; * is any run of letters"},
    Key{"jail", "bantime", "duration | forever", "1h", "how long a ban lasts"},
    Key{"jail", "bantime.increment", "true | false | map", "false",
        "longer bans for those who come back"},
    Key{"jail", "bantime.extend", "true | false", "false", "a hit during a ban restarts its time"},
    Key{"jail", "ban_prefix", "map", "{ipv4: 32, ipv6: 64}",
        "address block that is counted and banned as one"},
    Key{"jail", "ignoreip", "list of addresses, CIDRs, host names, file:PATH", "",
        "never counted, never banned; defaults and jail add up; host names are looked up before a "
        "ban"},
    Key{"jail", "ignorecommand", "list: program and arguments, or a map", "",
        "asked before a ban, with <ip>, <family> and <jail> replaced; exit code 0: no ban"},
    Key{"jail", "ignoreself", "true | false", "true", "the same for this machine's own addresses"},
    Key{"jail", "action", "list of actions", "[nftables]", "what a ban does"},
    Key{"jail", "port", "port, range, service, or a list", "all", "ports that a ban closes"},
    Key{"jail", "protocol", "tcp | udp | list", "tcp, if port is given",
        "protocols that a ban closes"},
    Key{"jail", "simulate", "true | false", "false", "decide and log, but ban nothing"},
    Key{"jail", "maxmatches", "number", "10", "matched lines kept with a ban (0 to 100)"},
    Key{"jail", "track_limit", "number", "1000000",
        "most addresses that are counted at one time; the oldest make room"},
    Key{"jail", "encoding", "auto | utf-8 | latin1 | utf-16le | utf-16be", "auto",
        "of the logs; auto: by byte-order mark"},
    Key{"jail", "timezone", "zone name or offset", "the machine's",
        "of dates in the logs that name none: Europe/Berlin, +0200"},
    Key{"jail", "start", "findtime | end | beginning", "findtime",
        "where reading begins in a log seen for the first time"},
    Key{"jail", "escapes", "auto | undo | keep", "auto",
        "whether #011 in a line is rsyslog's tab; auto: in lines with a syslog head"},

    Key{"journal", "unit", "unit, or a list", "", "entries of these units: ssh.service"},
    Key{"journal", "match", "match, or a list", "",
        "entries with these fields: `_COMM=sshd PRIORITY=6 + _COMM=cron`; + stands for or"},
    Key{"journal", "directory", "path", "this machine's", "where the journal's files are"},

    Key{"syslog", "listen", "address, or a list", "",
        "udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT or unix:/PATH; opened when "
        "bandd "
        "starts"},
    Key{"syslog", "from", "list of addresses and CIDRs", "",
        "whose messages are believed; needed for all but Unix sockets"},
    Key{"syslog", "certificate", "PEM file", "", "for tls: ours, with its chain"},
    Key{"syslog", "key", "PEM file", "",
        "for tls: the certificate's key; both are read again on reload"},
    Key{"syslog", "clients", "PEM file", "",
        "for tls: clients need a certificate that one of these signed"},

    Key{"bantime.increment", "factor", "number", "2",
        "each ban lasts this many times the one before"},
    Key{"bantime.increment", "maximum", "duration", "5w", "but not longer than this"},
    Key{"bantime.increment", "jitter", "duration", "0s",
        "up to this much is added, so that not all return at once"},
    Key{"bantime.increment", "all_jails", "true | false", "false",
        "count the address's bans of all jails"},

    Key{"ignorecommand", "run", "list: program and arguments", "", "what is asked"},
    Key{"ignorecommand", "user", "user name", "root", "as whom, if the daemon was started by root"},
    Key{"ignorecommand", "timeout", "duration", "60s",
        "then the program is killed, and the address banned"},

    Key{"access", "countries", "list of codes, or unknown", "everywhere",
        "from where everybody may log in; private addresses always may"},
    Key{"access", "users", "map of lists", "",
        "from where else one user may: countries, addresses, CIDRs"},
    Key{"access", "users_file", "path", "",
        "the same, as lines `user|CC` and `user|ADDRESS`, or as a map (NAME.yaml); read again when "
        "it changes"},
    Key{"access", "message", "text", "554 5.7.1 You may not log in from there.",
        "what Postfix answers those who may not"},

    Key{"accounts", "findtime", "duration", "24h", "the time in which places are counted"},
    Key{"accounts", "countries", "number", "0: any",
        "different countries from which an account may be used in that time"},
    Key{"accounts", "addresses", "number", "0: any", "different addresses, the same"},
    Key{"accounts", "ignoreip", "list of addresses and CIDRs", "",
        "logins from there do not count"},
    Key{"accounts", "limit", "number", "100000",
        "most accounts that are counted at one time; the oldest make room"},
    Key{"accounts", "message", "text",
        "554 5.7.1 This account was used from too many places. Please change its password.",
        "what Postfix answers then"},
    Key{"accounts", "action", "list: program and arguments, or a map", "",
        "run once when an account has too many; <user>, <ip>, <country>, <countries>, <addresses>, "
        "<reason> are replaced"},

    Key{"accounts action", "run", "list: program and arguments", "", "what is run"},
    Key{"accounts action", "user", "user name", "root",
        "as whom, if the daemon was started by root"},
    Key{"accounts action", "timeout", "duration", "60s", "then the program is killed"},

    Key{"geoblock", "countries", "list of codes", "", "whose networks are kept out"},
    Key{"geoblock", "all_but", "list of codes", "",
        "or: the networks of all countries but these (what no database knows may come)"},
    Key{"geoblock", "except", "list of addresses and CIDRs", "", "never kept out"},
    Key{"geoblock", "port", "port, range, service, a list, or all", "",
        "ports that are closed to them; all: every packet, answers to your own connections, too"},
    Key{"geoblock", "protocol", "tcp | udp | list", "tcp", "the same"},
    Key{"geoblock", "hook", "input | forward | prerouting, or a list", "prerouting",
        "as of action nftables"},
    Key{"geoblock", "priority", "number", "-300", "as of action nftables"},
    Key{"geoblock", "verdict", "drop | reject", "drop", "as of action nftables"},
    Key{"geoblock", "log_prefix", "text", "", "as of action nftables"},

    Key{"policy", "listen", "address, or a list", "",
        "unix:/PATH or tcp://ADDRESS:PORT (10040); opened when bandd starts"},
    Key{"policy", "from", "list of addresses and CIDRs", "", "who may ask, besides this machine"},

    Key{"http", "listen", "address", "", "tcp://ADDRESS:PORT (10041); opened when bandd starts"},
    Key{"http", "token", "text, or file:PATH", "",
        "asked for in `Authorization: Bearer TOKEN` or `X-Auth-Key: TOKEN`; without one only this "
        "machine may ask"},
    Key{"http", "imap", "address:port", "", "the mail server behind nginx, for IMAP"},
    Key{"http", "pop3", "address:port", "", "the same for POP3"},
    Key{"http", "smtp", "address:port", "", "the same for SMTP"},

    Key{"remote", "listen", "address, or a list", "",
        "tls://ADDRESS:PORT (7071), or tcp://ADDRESS:PORT (7070) for the plain text dialect; "
        "opened when bandd starts"},
    Key{"remote", "certificate", "PEM file", "", "for tls: ours, with its chain"},
    Key{"remote", "key", "PEM file", "", "for tls: the certificate's key"},
    Key{"remote", "clients", "PEM file", "",
        "for tls: clients need a certificate that one of these signed"},
    Key{"remote", "from", "list of addresses and CIDRs", "",
        "who may connect by tls, besides this machine; 0.0.0.0/0 and ::/0: everybody"},
    Key{"remote", "text_from", "list of addresses and CIDRs", "",
        "who may speak the plain text dialect, besides this machine"},
    Key{"remote", "text_jail", "jail", "manual", "where bans of the text dialect go"},
    Key{"remote", "peers", "map of peers", "", "who may do what, by name"},
    Key{"remote", "rate", "number", "600", "requests of one peer in a minute"},

    Key{"peer", "token", "text, or file:PATH", "", "what it proves itself by"},
    Key{"peer", "certificate", "common name", "", "or the name in its certificate"},
    Key{"peer", "may", "list of add, del, check", "[add, del, check]", "what it may do"},
    Key{"peer", "jail", "jail", "manual", "where its bans go; it can end only those"},
    Key{"peer", "longest", "duration", "forever", "longer bans of it are cut to this"},

    Key{"ban_prefix", "ipv4", "8 to 32", "32", "prefix length for IPv4"},
    Key{"ban_prefix", "ipv6", "16 to 128", "64", "prefix length for IPv6"},

    Key{"action nftables", "hook", "input | forward | prerouting, or a list", "prerouting",
        "where packets are stopped; prerouting covers this machine, what it forwards, and "
        "containers"},
    Key{"action nftables", "priority", "number", "-300",
        "before connection tracking, so that open connections are cut"},
    Key{"action nftables", "verdict", "drop | reject", "drop",
        "reject answers icmp-port-unreachable"},
    Key{"action nftables", "log_prefix", "text", "",
        "if given, stopped packets are logged by the kernel (at most 10 a second)"},
    Key{"action nftables", "port", "port, range, service, or a list", "the jail's", ""},
    Key{"action nftables", "protocol", "tcp | udp | list", "the jail's", ""},

    Key{"action ipset", "set", "set name", "bandd-JAIL-4",
        "the IPv4 set; a name of yours means a set that you made"},
    Key{"action ipset", "set6", "set name", "bandd-JAIL-6, if `set` is not given", "the IPv6 set"},
    Key{"action ipset", "create", "true | false", "false with a set of yours",
        "make the set if it is missing"},
    Key{"action ipset", "maxelem", "number", "1000000", "size of a set that bandd makes"},

    Key{"action exec", "ban", "list: program and arguments", "",
        "run at a ban; <ip>, <prefix>, <jail>, <bantime>, <matches>, … are replaced"},
    Key{"action exec", "unban", "list: program and arguments", "", "run at the end of a ban"},
    Key{"action exec", "user", "user name", "root", "as whom, if the daemon was started by root"},
    Key{"action exec", "timeout", "duration", "60s", "then the program is killed"},
    Key{"action exec", "parallel", "1 to 64", "4", "at most so many at a time; further ones wait"},

    Key{"action syslog", "facility", "kern … local7", "local7", "syslog facility"},
    Key{"action syslog", "severity", "emerg … debug", "notice", "syslog severity"},
    Key{"action syslog", "tag", "word", "bandd", "the program name in the line"},
    Key{"action syslog", "ban", "text", "<ip> BANNED!", "written once the ban holds"},
    Key{"action syslog", "unban", "text", "<ip> BAN LIFTED!", "written at its end"},

    Key{"filter", "description", "text", "", "one line: whose log, which attacks"},
    Key{"filter", "tag", "regex", "", "what the syslog tag must be in full: postfix/smtpd"},
    Key{"filter", "finds", "attacks | logins", "attacks",
        "logins: its lines are logins that succeeded; they count to `accounts`, and ban nobody"},
    Key{"filter", "sender", "list of addresses and CIDRs", "",
        "only syslog messages that one of these machines sent; <F-LOG_SENDER> in actions is which"},
    Key{"filter", "failregex", "list of patterns", "", "a line that one of these matches is a hit"},
    Key{"filter", "ignoreregex", "list of regexes", "", "unless one of these matches it, too"},
    Key{"filter", "dialect", "bandd | fail2ban", "bandd",
        "fail2ban: its tags and Python's syntax, matched against the whole line without its date"},
    Key{"filter", "prefregex", "regex", "",
        "dialect fail2ban: must match first; its <F-CONTENT> is what failregex sees"},
    Key{"filter", "datepattern", "pattern, or a list", "the usual formats",
        "dialect fail2ban: how a date is found and read: %Y-%m-%d, {^LN-BEG}, {DATE}, {EPOCH}, …"},
    Key{"filter", "maxlines", "1 to 100", "1",
        "dialect fail2ban: so many lines are matched as one text"},
    Key{"filter", "usedns", "yes | warn | no | raw", "warn",
        "dialect fail2ban: no: <HOST> is an address only; else a name fits, too, and its addresses "
        "are counted (raw: nobody is)"},
    Key{"filter", "lists", "map of lists", "",
        "words for <LIST:name>, which jails can add to; * stands for any text"},
    Key{"filter", "sample_lists", "map of lists", "", "words that only the samples have"},
    Key{"filter", "samples", "list of samples", "", "lines that the filter is tested with"},

    Key{"pattern", "id", "word", "", "its name in logs and bans"},
    Key{"pattern", "regex", "regex", "",
        "RE2 syntax with <HOST>, <ADDR>, <IP4>, <IP6>, <F-USER>…</F-USER>, <LIST:name>"},
    Key{"pattern", "mode", "word", "", "used only by jails with this mode"},

    Key{"sample", "line", "text", "", "as it stands in the log"},
    Key{"sample", "match", "pattern id | none | ignored", "", "what must become of it"},
    Key{"sample", "ip", "address", "", "the host that must be found"},
    Key{"sample", "user", "text", "", "the <F-USER> that must be found"},

    Key{"action file", "description", "text", "", "one line"},
    Key{"action file", "action", "list of actions", "", "what this name stands for"},
};

}  // namespace

std::span<const Key> all_keys() { return keys; }

std::vector<std::string_view> keys_of(std::string_view section) {
    std::vector<std::string_view> names;
    for (const Key& key : keys)
        if (key.section == section) names.push_back(key.name);
    return names;
}

std::string keys_markdown() {
    std::string page =
        "# Configuration reference\n\n"
        "Made by `bandctl keys` from the table that `bandctl check` uses; do not edit.\n\n"
        "Durations: `90`, `10m`, `1d12h`, `2w`, `forever`. Times without a zone are read in the\n"
        "log's `timezone`.\n";
    std::string_view section;
    for (const Key& key : keys) {
        if (key.section != section) {
            section = key.section;
            page += fmt::format(
                "\n## {}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", section);
        }
        auto cell = [](std::string_view text) {
            std::string out;
            for (char c : text) {
                if (c == '|') out += '\\';
                out += c;
            }
            return out;
        };
        std::string fallback = key.fallback.empty() ? "" : fmt::format("`{}`", cell(key.fallback));
        page += fmt::format("| `{}` | {} | {} | {} |\n", key.name, cell(key.type), fallback,
                            cell(key.help));
    }
    return page;
}

}  // namespace bandd
