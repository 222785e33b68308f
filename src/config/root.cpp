// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/root.h"

#include "config/access.h"
#include "config/built.h"
#include "config/fleet.h"
#include "config/geoblock.h"
#include "config/listen.h"
#include "config/servers.h"

namespace bandd {

template <>
Config& inside(RootDraft& draft) {
    return draft.config;
}

namespace {

constexpr std::uint16_t dns_port = 53;

void keep_defaults(const Field& field, RootDraft& draft) { draft.defaults = &field.value(); }
void keep_jails(const Field& field, RootDraft& draft) { draft.jails = &field.value(); }

void read_matchers(const Field& field, Config& config) {
    if (field.value().text == "auto") return;
    if (auto number = field.whole_number({1, most_matchers}))
        config.matchers = static_cast<int>(*number);
}

void read_dns_servers(const Field& field, Config& config) {
    for (const Value* word : field.words()) {
        auto server = parse_host_and_port(word->text, dns_port);
        if (!server) {
            field.error(*word, "is no address",
                        "write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53");
            continue;
        }
        config.dns_servers += config.dns_servers.empty() ? "" : ",";
        config.dns_servers += to_string_with_port(server->first, server->second);
    }
}

void read_geoip(const Field& field, Config& config) {
    for (const Value* word : field.words())
        config.geoip.push_back(field.reading().absolute(word->text));
}

void read_accounts(const Field& field, Config& config) {
    config.access.accounts_where = field.value().where;
    accounts_keys().read(field.value(), "accounts", field.reading(), config.access);
}

void read_fleet(const Field& field, Config& config) {
    if (!built_with_fleet) return field.error(needs_fleet, "take it out, or install bandd-fleet");
    fleet_keys().read(field.value(), "fleet", field.reading(), config.fleet);
}

void read_log_target(const Field& field, LogConfig& log) {
    auto text = field.text();
    if (!text) return;
    bool word = *text == "auto" || *text == "stderr" || *text == "syslog" || *text == "journal";
    if (!word && text->find('/') == std::string::npos)
        return field.error("must be auto, stderr, syslog, journal or a path");
    log.target = word ? *text : field.reading().absolute(*text);
}

}  // namespace

const Table<RootDraft>& root_keys() {
    static const Table<RootDraft> table{
        "bandd.yaml",
        {
            key::special("defaults", keep_defaults, "map of jail keys", "",
                         "what every jail has that does not say otherwise"),
            key::special("jails", keep_jails, "map of jails", "the files in jails/",
                         "jails by name; `!include GLOB` takes them from files"),
            key::path("state", &Config::state, "path",
                      "SQLite file with log positions, windows and bans; read when bandd starts"),
            key::path("socket", &Config::socket, "path",
                      "where bandctl finds the daemon; read when bandd starts"),
            key::text("user", &Config::user, "user name",
                      "whom the daemon becomes once it has started as root; it must exist; `root`: "
                      "nobody else; read when bandd starts"),
            key::text("group", &Config::group, "group name",
                      "who, besides root, may use bandctl; read when bandd starts"),
            key::choice("stop", &Config::flush_on_stop, {{"keep", false}, {"flush", true}},
                        "whether bans stay in the kernel when the daemon stops"),
            key::special("dns_servers", read_dns_servers, "list of addresses", "the machine's",
                         "name servers that are asked for host names; read when bandd starts"),
            key::special("geoip", read_geoip, "path, or a list of them", "",
                         "files that tell countries and networks: MaxMind DB (.mmdb) or "
                         "IP2Location's .BIN; the first that knows is believed"),
            key::map("access", &Config::access, access_keys(), "who may log in from where"),
            key::special("accounts", read_accounts, "map", "",
                         "from how many countries and addresses an account may be used"),
            key::special("geoblock", read_geoblocks, "map of blocks", "",
                         "whole countries that the kernel keeps out"),
            key::map("policy", &Config::policy, policy_keys(),
                     "answers for Postfix (check_policy_service)"),
            key::map("http", &Config::http, http_keys(),
                     "answers for nginx (auth_http) and Dovecot (auth_policy), and numbers for "
                     "Prometheus"),
            key::map("remote", &Config::remote, remote_keys(),
                     "other machines that have addresses banned here"),
            key::special("fleet", read_fleet, "map", "", "machines that share bans with this one"),
            key::map("log", &Config::log, log_keys(), "the daemon's own log"),
            key::number("ban_limit", &Config::ban_limit, {1, 100'000'000},
                        "most bans at one time; further ones are refused and counted"),
            key::number("memory_limit", &Config::memory_limit, {1, 1'000'000},
                        "MiB; most memory for the addresses that all jails count and have not "
                        "banned, some 60 bytes each and 16 a further hit; over it, of the jail "
                        "that counts most those furthest from a ban are forgotten"),
            key::number("line_limit", &Config::line_limit, {512, 16 << 20},
                        "bytes; longer lines are cut there and counted; of logs of a filter with "
                        "`json` not less than 8 MiB; read when bandd starts"),
            key::special("matchers", read_matchers, "auto | 1 to 16", "auto",
                         "threads that match a backlog or busy logs; auto: as many as processors, "
                         "at most 4, while that is faster"),
            key::duration("dbpurgeage", &Config::dbpurgeage,
                          "how long an address's earlier bans are remembered"),
            key::duration("checkpoint", &Config::checkpoint,
                          "how often the state is written, at most"),
        }};
    return table;
}

const Table<LogConfig>& log_keys() {
    static const Table<LogConfig> table{
        "log",
        {
            key::special("target", read_log_target, "auto | stderr | syslog | journal | path",
                         &LogConfig::target,
                         "where the daemon's own log goes; auto: the journal, or standard error, "
                         "or syslog if "
                         "nobody reads that"),
            key::choice("level", &LogConfig::level,
                        {{"error", LogLevel::error},
                         {"warning", LogLevel::warning},
                         {"notice", LogLevel::notice},
                         {"info", LogLevel::info},
                         {"debug", LogLevel::debug}},
                        "what is logged: bans are `notice`, single hits `info`"),
        }};
    return table;
}

}  // namespace bandd
