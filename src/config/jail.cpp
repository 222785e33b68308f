// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/jail.h"

#include <algorithm>

#include "config/counting.h"
#include "config/filter_file.h"
#include "config/jail_sources.h"
#include "config/names.h"
#include "config/ports.h"
#include "config/program.h"

namespace bandd {

template <>
JailConfig& inside(JailDraft& draft) {
    return draft.jail;
}
template <>
JailRules& inside(JailDraft& draft) {
    return draft.jail.rules;
}
template <>
BantimePolicy& inside(JailDraft& draft) {
    return draft.jail.rules.bantime;
}
template <>
LogSpec& inside(JailDraft& draft) {
    return draft.jail.log_options;
}

namespace {

// A name, or `name[mode=…]` as in fail2ban.
void read_filter_name(const Field& field, JailConfig& jail) {
    auto text = field.text();
    if (!text) return;
    jail.filter = std::move(*text);
    jail.filter_where = field.value().where;
    auto bracket = jail.filter.find('[');
    if (bracket == std::string::npos) return;
    std::string options = jail.filter.substr(bracket + 1);
    jail.filter.resize(bracket);
    if (!options.ends_with(']') || !options.starts_with("mode="))
        field.error("only [mode=NAME] is understood");
    else
        jail.modes = {options.substr(5, options.size() - 6)};
}

void read_modes(const Field& field, JailConfig& jail) {
    auto words = field.words();
    if (words.empty()) return;
    jail.modes.clear();
    for (const Value* word : words) jail.modes.push_back(word->text);
}

void add_lists(const Field& field, JailConfig& jail) {
    for (auto& [list, words] : read_word_lists(field))
        jail.lists[list].insert(jail.lists[list].end(), words.begin(), words.end());
}

void read_json_of_jail(const Field& field, JailConfig& jail) { jail.json = read_json(field); }

void read_increment(const Field& field, BantimePolicy& policy) {
    if (field.value().kind == Value::Kind::scalar) {
        if (auto wanted = field.boolean()) policy.increment = *wanted;
        return;
    }
    policy.increment = true;
    increment_keys().read(field.value(), "bantime.increment", field.reading(), policy);
}

void read_ban_prefix(const Field& field, JailDraft& draft) {
    ban_prefix_keys().read(field.value(), "ban_prefix", field.reading(), draft);
}

std::string default_ban_prefix(JailDraft& draft) {
    const JailRules& rules = draft.jail.rules;
    return "{ipv4: " + written(rules.v4_length) + ", ipv6: " + written(rules.v6_length) + "}";
}

bool add_ignored(const std::string& item, JailDraft& draft) {
    if (auto prefix = parse_prefix(item))
        draft.ignored.push_back(*prefix);
    else if (is_host_name(item))
        draft.jail.ignore_names.push_back(item);
    else
        return false;
    return true;
}

void read_ignoreip(const Field& field, JailDraft& draft) {
    for (const Value* word : field.words()) {
        // fail2ban takes several in one value, with spaces or commas between.
        std::string_view rest = word->text;
        while (!rest.empty()) {
            auto end = rest.find_first_of(" ,");
            std::string item(rest.substr(0, end));
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            if (item.empty()) continue;
            for (const ListItem& one : field.items_of(*word, item))
                if (!add_ignored(one.text, draft))
                    field.error(one, "is no address, no CIDR block and no host name");
        }
    }
    draft.jail.rules.ignoreip = PrefixSet(draft.ignored);
}

void read_ignorecommand(const Field& field, JailConfig& jail) {
    jail.ignorecommand = read_program(field, ignorecommand_keys());
}

void read_jail_ports(const Field& field, JailDraft& draft) {
    read_ports(field, draft.ports, draft.auto_ports);
}
void read_service_units(const Field& field, ServiceConfig& service) {
    for (const Value* unit : field.words()) service.units.push_back(unit_name(unit->text));
}
void read_service_users(const Field& field, ServiceConfig& service) {
    for (const Value* user : field.words())
        if (user->text == "root")
            field.error(*user, "has the sockets of many services", "name the service's \"unit\"");
        else
            service.users.push_back(user->text);
}
void read_service(const Field& field, JailConfig& jail) {
    ServiceConfig service;
    service_keys().read(field.value(), "service", field.reading(), service);
    jail.service = std::move(service);
}
// What setup looks for; a jail does not ask.
void read_software(const Field& field, JailConfig&) {
    for (const Value* path : field.words())
        if (!path->text.starts_with('/')) field.error(*path, "must be an absolute path");
}
void read_jail_protocols(const Field& field, JailDraft& draft) {
    read_protocols(field, draft.protocols);
}
void keep_action(const Field& field, JailDraft& draft) { draft.action = &field.value(); }

std::vector<Key<JailDraft>> source_keys() {
    return {
        key::special("logpath", read_logpath, "path, glob, or a list of them", "",
                     "logs to watch; they need not exist yet"),
        key::special("journal", read_journal, "true | map", "",
                     "read the systemd journal: all of it, or what unit and match name"),
        key::special("syslog", read_syslog, "map", "",
                     "listen for syslog messages from other machines"),
        key::special(
            "source", read_source, "bans | access | remote | stdin", "",
            "`bans`: this jail counts the bans of all other jails (recidive); `access`: "
            "logins that were refused by country or had a wrong password, as Postfix, nginx and "
            "Dovecot tell of them; `remote`: other machines ask for its bans; `stdin`: it "
            "reads what is piped into `bandd --stdin`"),
        key::special("encoding", read_encoding, "auto | utf-8 | latin1 | utf-16le | utf-16be",
                     "auto", "of the logs; auto: by byte-order mark"),
        key::special("timezone", read_timezone, "zone name or offset", "the machine's",
                     "of dates in the logs that name none: Europe/Berlin, +0200"),
        key::choice(
            "start", &LogSpec::start,
            {{"findtime", Start::findtime}, {"end", Start::end}, {"beginning", Start::beginning}},
            "where reading begins in a log seen for the first time"),
        key::choice(
            "escapes", &LogSpec::escapes,
            {{"auto", Escapes::automatic}, {"undo", Escapes::undo}, {"keep", Escapes::keep}},
            "whether #011 in a line is rsyslog's tab; auto: in lines with a syslog head"),
    };
}

// What counts. A key comes after those that it looks at: `count` after `maxretry` and `ban_prefix`,
// `where` after `broadband_words`.
std::vector<Key<JailDraft>> counting_keys() {
    return {
        key::special("filter", read_filter_name, "filter name", "the jail's name",
                     "what in those logs is an attack; `name[mode=…]` as in fail2ban works, too"),
        key::special("mode", read_modes, "word or list", "",
                     "optional parts of the filter to use; `aggressive` means all"),
        key::special("lists", add_lists, "map of lists", "", "words to add to the filter's lists"),
        key::special("json", read_json_of_jail, "map", "",
                     "of a filter of JSON logs: paths in place of the filter's"),
        key::prefixes("trusted_proxies", &JailConfig::trusted_proxies,
                      "proxies of ours: of what came through one of them, the address is the last "
                      "one in X-Forwarded-For that is none of these; they are never counted"),
        key::special("patterns", read_patterns, "pattern id or list", "all",
                     "only hits of these patterns of the filter count"),
        key::special("weights", read_weights, "map: pattern id to 1 to 1000", "1 each",
                     "`{bad-sequence: 5}`: a hit of this pattern counts as 5 failures; not with "
                     "`count: distinct`"),
        key::number(
            "repeats", &JailRules::repeats, {1, 1000},
            "a line that stands for several hits (`message repeated 9 times`, `3 attempts`) "
            "counts as at most so many; 1: as one"),
        key::number("maxretry", &JailRules::maxretry, {1, 1000},
                    "hits within findtime that lead to a ban"),
        key::special("findtime", read_findtime, "duration | today", &JailRules::findtime,
                     "the window in which hits are counted; today: a calendar day in the log's "
                     "time zone"),
        key::special("ban_prefix", read_ban_prefix, "map", default_ban_prefix,
                     "address block that is counted and banned as one"),
        key::special("ipv6_escalation", read_ipv6_escalation, "map | off", written_ipv6_escalation,
                     "`56: 8`: an IPv6 /56 is banned once 8 of its /64 had a hit within findtime "
                     "(as the default: maxretry of them, if that is more); `48: 4`: a /48, once 4 "
                     "of its /56 came to that; the default holds for `ban_prefix` 64; never with "
                     "`count: distinct`, with `ignorecommand`, or for a `ban_prefix` over 64"),
        key::special("count", read_count, "hits | distinct WHAT by ip, net/LENGTH or user", "hits",
                     "`distinct user by ip`: maxretry different users (password spraying); "
                     "`distinct ip by net/24`: maxretry different addresses of a block, which is "
                     "banned as a whole; `distinct ip by user`: maxretry different addresses that "
                     "tried one account, all of which are banned"),
        key::boolean("reverse_lookup", &JailRules::reverse_lookup,
                     "ask name servers for the host name that `where` needs, if the line does not "
                     "tell it"),
        key::special("broadband_words", read_broadband_words, "list of words", "",
                     "for `hostname is broadband`, besides those that are built in; * is any run "
                     "of letters"),
        key::special(
            "where", read_condition, "condition", "",
            "which hits count: `country in [RU, CN] and not user in [root]`; see CONDITIONS "
            "in bandd.yaml(5)"),
        key::number("track_limit", &JailRules::track_limit, {1, 100'000'000},
                    "most addresses that are counted at one time; over it, of those furthest from "
                    "a ban the one hit longest ago is forgotten"),
    };
}

std::vector<Key<JailDraft>> ban_keys() {
    return {
        key::duration("bantime", &BantimePolicy::base, "how long a ban lasts", MayBeForever::yes),
        key::special("bantime.increment", read_increment, "true | false | map",
                     &BantimePolicy::increment, "longer bans for addresses that come back"),
        key::boolean("bantime.extend", &BantimePolicy::extend,
                     "a hit during a ban restarts its time"),
        key::special("ignoreip", read_ignoreip, "list of addresses, CIDRs, host names, file:PATH",
                     "",
                     "never counted, never banned; defaults and jail add up; host names are looked "
                     "up before a ban"),
        key::special("ignorecommand", read_ignorecommand, "list: program and arguments, or a map",
                     "",
                     "asked before a ban, with <ip>, <family> and <jail> replaced; exit code 0: no "
                     "ban"),
        key::boolean("ignoreself", &JailRules::ignoreself,
                     "this machine's own addresses are never counted, never banned"),
        key::special("action", keep_action, "list of actions", "[nftables]", "what a ban does"),
        key::special("port", read_jail_ports, "port, range, service, auto, or a list", "all",
                     "ports that a ban closes; auto: those on which the jail's `service` listens "
                     "on this machine, looked for every minute"),
        key::special("service", read_service, "map", "the journal's units",
                     "whose listening sockets `port: auto` means"),
        key::special("protocol", read_jail_protocols, "tcp | udp | list", "tcp, if port is given",
                     "protocols that a ban closes"),
        key::boolean("simulate", &JailRules::simulate, "decide and log, but ban nothing"),
        key::choice("share", &JailConfig::share,
                    {{"bans", Share::bans}, {"hits", Share::hits}, {"nothing", Share::nothing}},
                    "what it shares with the machines of the fleet, if there is one; hits: they "
                    "are counted together, and bans are shared, too; a jail that simulates shares "
                    "nothing"),
        key::number("witnesses", &JailConfig::witnesses, {1, 16},
                    "a ban of the fleet is taken if the hits of so many machines led to it"),
        key::number("maxmatches", &JailRules::maxmatches, {0, 100},
                    "matched lines kept with a ban"),
    };
}

}  // namespace

const Table<JailDraft>& jail_keys() {
    static const Table<JailDraft> table = [] {
        std::vector<Key<JailDraft>> keys{
            key::choice("enabled", &JailConfig::enabled,
                        {{"true", Enabled::yes},
                         {"yes", Enabled::yes, key::Said::no},
                         {"false", Enabled::no},
                         {"no", Enabled::no, key::Said::no},
                         {"auto", Enabled::automatic}},
                        "auto: only while one of its logs exists"),
            key::text("description", &JailConfig::description, "text", "for people"),
            key::special("software", read_software, "path, glob, or a list of them", "",
                         "`bandctl setup` offers the jail if one of these exists; without it, if "
                         "its log or its service does"),
        };
        return Table<JailDraft>{
            "jail", joined<JailDraft>(keys, source_keys(), counting_keys(), ban_keys())};
    }();
    return table;
}

const Table<ServiceConfig>& service_keys() {
    static const Table<ServiceConfig> table{
        "service",
        {
            key::special(
                "unit", read_service_units, "unit, or a list", "",
                "units of systemd, with the sockets that they are started by: ssh.service"),
            key::special("user", read_service_users, "user, or a list", "",
                         "users of this machine, but for root; one that does not exist has no "
                         "sockets"),
        }};
    return table;
}

const Table<JailDraft>& ban_prefix_keys() {
    static const Table<JailDraft> table{
        "ban_prefix",
        {
            key::number("ipv4", &JailRules::v4_length, {8, 32}, "prefix length for IPv4"),
            key::number("ipv6", &JailRules::v6_length, {16, 128}, "prefix length for IPv6"),
        }};
    return table;
}

const Table<BantimePolicy>& increment_keys() {
    static const Table<BantimePolicy> table{
        "bantime.increment",
        {
            key::number("factor", &BantimePolicy::factor, {1, 1000},
                        "each ban lasts this many times the one before"),
            key::duration("maximum", &BantimePolicy::maximum, "but not longer than this",
                          MayBeForever::yes),
            key::duration("jitter", &BantimePolicy::jitter,
                          "up to this much is added, so that not all return at once"),
            key::boolean("all_jails", &BantimePolicy::all_jails,
                         "count the address's bans of all jails"),
        }};
    return table;
}

namespace {

// Counting nodes keep all hits of findtime, by address.
void check_shared(const JailConfig& jail, Reading& reading) {
    const JailRules& rules = jail.rules;
    auto no = [&](std::string reason) {
        reading.errors.push_back(
            {"\"share: hits\"", std::move(reason), "write share: bans", jail.where});
    };
    if (rules.logins) return no("is not for logins");
    if (rules.fed_by_bans || rules.fed_by_access) return no("is for jails that read logs");
    if (rules.distinct && rules.distinct->by_user) return no("does not count by user");
    if (rules.today) return no("needs a findtime of a fixed length");
    if (rules.findtime > longest_shared_findtime) return no("needs a findtime of at most 7 days");
    if (rules.maxretry > most_shared_maxretry) return no("needs a maxretry of at most 10000");
}

}  // namespace

void read_jail(const Value& map, std::string what, Reading& reading, JailDraft& draft) {
    JailConfig& jail = draft.jail;
    std::size_t inherited = jail.logs.size();  // those have the options of the defaults
    jail_keys().read(map, std::move(what), reading, draft);
    for (std::size_t i = inherited; i < jail.logs.size(); ++i) {
        std::string path = std::move(jail.logs[i].path);
        jail.logs[i] = jail.log_options;
        jail.logs[i].path = std::move(path);
    }
    drop_looked_up_fields(jail);
    if (jail.share == Share::hits) check_shared(jail, reading);
    if (!jail.service.is_known()) jail.service.units = units_of(jail.journal);
    jail.rules.asks_program = !jail.ignorecommand.argv.empty();
    jail.rules.asks = !jail.ignore_names.empty() || jail.rules.asks_program;
}

}  // namespace bandd
