// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration means. Faulty ones stand in bad-config/, with their messages.
#include "config/compile.h"
#include "config/keys.h"
#include "config/load.h"
#include "core/match/filter.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct Directory {
    TempDirectory dir;
    Loaded loaded;
    Config& load(const std::string& yaml) {
        write_file(dir / "bandd.yaml", yaml);
        write_file(dir / "filters/app.yaml",
                   "description: test\nlists: {bad: [spam.example]}\nfailregex:\n"
                   "  - {id: denied, regex: '^denied <HOST>$'}\n"
                   "  - {id: helo, regex: '^helo <LIST:bad> from <HOST>$'}\n"
                   "  - {id: noisy, mode: noisy, regex: '^noise <HOST>$'}\n");
        loaded = load_config(dir.path(), {BANDD_SOURCE},
                             [](const std::string&) { return Result<Zone>(Zone{}); });
        for (const Error& error : loaded.errors) UNSCOPED_INFO(to_line(error));
        CHECK(loaded.errors.empty());
        return loaded.config;
    }
    const JailConfig& jail(const std::string& name) {
        for (const JailConfig& jail : loaded.config.jails)
            if (jail.rules.name == name) return jail;
        FAIL("no jail " + name);
        return loaded.config.jails.front();
    }
};

}  // namespace

TEST_CASE_METHOD(Directory, "nothing but defaults: a jail for bans by hand, with nftables") {
    Config& config = load("");
    REQUIRE(config.jails.size() == 1);
    const JailConfig& manual = config.jails[0];
    CHECK(manual.rules.name == "manual");
    CHECK(manual.rules.maxretry == 5);
    CHECK(manual.rules.findtime == std::chrono::minutes(10));
    CHECK(manual.rules.bantime.base == std::chrono::hours(1));
    CHECK(manual.rules.v4_length == 32);
    CHECK(manual.rules.v6_length == 64);
    REQUIRE(manual.actions.size() == 1);
    const auto& action = std::get<NftablesAction>(manual.actions[0]);
    CHECK(action.hooks == std::vector{Hook::prerouting});
    CHECK(action.ports.empty());
    CHECK(config.state == "/var/lib/bandd/bandd.db");
}

TEST_CASE_METHOD(Directory,
                 "defaults reach every jail; a jail's own keys go first; ignoreip adds up") {
    load(
        "defaults: {maxretry: 3, bantime: 2h, ignoreip: [10.0.0.0/8], action: [{ipset: {set: "
        "mine}}]}\n"
        "jails:\n"
        "  a: {logpath: /a, filter: app}\n"
        "  b: {logpath: /b, filter: app, maxretry: 7, ignoreip: '192.0.2.1 192.0.2.2, ::1',\n"
        "      action: [nftables], port: [smtp, 1000-1010]}\n");
    CHECK(jail("a").rules.maxretry == 3);
    CHECK(jail("b").rules.maxretry == 7);
    CHECK(jail("b").rules.bantime.base == std::chrono::hours(2));
    CHECK(jail("a").rules.ignoreip.contains(ip("10.1.2.3")));
    CHECK(jail("b").rules.ignoreip.contains(ip("10.1.2.3")));
    CHECK(jail("b").rules.ignoreip.contains(ip("192.0.2.2")));
    CHECK_FALSE(jail("a").rules.ignoreip.contains(ip("192.0.2.2")));
    const auto& set = std::get<IpsetAction>(jail("a").actions.at(0));
    CHECK(set.set4 == "mine");
    CHECK_FALSE(set.ours);
    CHECK_FALSE(set.create);
    const auto& nftables = std::get<NftablesAction>(jail("b").actions.at(0));
    CHECK(nftables.ports == std::vector<PortRange>{{25, 25}, {1000, 1010}});
    CHECK(nftables.protocols == std::vector{Protocol::tcp});
}

TEST_CASE_METHOD(Directory,
                 "paths are the configuration's, files of jails add up, includes are followed") {
    write_file(dir / "jails/one.yaml", "one: {logpath: logs/*.log, filter: app}\n");
    write_file(dir / "jails/empty.yaml", "# nothing yet\n");
    write_file(dir / "more/two.yaml", "two: {logpath: [/x, y], filter: app}\n");
    Config& config = load("state: s/db\nsocket: s/sock\njails: !include more/*.yaml\n");
    CHECK(config.state == dir / "s/db");
    CHECK(config.socket == dir / "s/sock");
    CHECK(jail("one").logs.at(0).path == dir / "logs/*.log");
    CHECK(jail("two").logs.at(0).path == "/x");
    CHECK(jail("two").logs.at(1).path == dir / "y");
}

TEST_CASE_METHOD(Directory, "enabled: auto takes a jail only while one of its logs exists") {
    std::string yaml =
        "jails:\n  app: {enabled: auto, logpath: [a.log, b.log]}\n  off: {enabled: false, "
        "logpath: /x, filter: app}\n";
    CHECK(load(yaml).jails.size() == 1);
    write_file(dir / "b.log", "");
    CHECK(load(yaml).jails.size() == 2);
    CHECK(jail("app").logs.size() == 2);
}

TEST_CASE_METHOD(Directory, "bantime: forever, and the ladder of bantime.increment") {
    load(
        "jails:\n  a: {logpath: /a, filter: app, bantime: forever}\n"
        "  b: {logpath: /a, filter: app, bantime: 10m, bantime.increment: true}\n"
        "  c: {logpath: /a, filter: app, bantime.increment: {factor: 4, maximum: 1d, jitter: 5m, "
        "all_jails: true}}\n");
    CHECK(jail("a").rules.bantime.base == forever);
    CHECK(jail("b").rules.bantime.increment);
    CHECK(jail("b").rules.bantime.factor == 2);
    CHECK(jail("c").rules.bantime.factor == 4);
    CHECK(jail("c").rules.bantime.maximum == std::chrono::hours(24));
    CHECK(jail("c").rules.bantime.jitter == std::chrono::minutes(5));
    CHECK(jail("c").rules.bantime.all_jails);
}

TEST_CASE_METHOD(Directory, "modes and lists choose and extend a filter's patterns") {
    load(
        "jails:\n  app: {logpath: /a}\n"
        "  loud: {logpath: /a, filter: 'app[mode=noisy]', lists: {bad: ['*.us']}}\n"
        "  all: {logpath: /a, filter: app, mode: aggressive}\n");
    Compiled compiled = compile(loaded.config);
    REQUIRE(compiled.errors.empty());
    auto matches = [&](const std::string& name, const std::string& line) {
        std::vector<JailIndex> jails;
        for (std::size_t i = 0; i < loaded.config.jails.size(); ++i)
            if (loaded.config.jails[i].rules.name == name)
                jails.push_back(static_cast<JailIndex>(i));
        auto rules = make_ruleset(compiled.filters, jails, Zone{}, Escapes::automatic, 1000);
        MatchScratch scratch;
        return match(*rules->rules.at(0).filter, "", line, scratch).fate == LineFate::hit;
    };
    CHECK(matches("app", "denied 203.0.113.9"));
    CHECK_FALSE(matches("app", "noise 203.0.113.9"));
    CHECK(matches("loud", "noise 203.0.113.9"));
    CHECK(matches("all", "noise 203.0.113.9"));
    CHECK(matches("app", "helo spam.example from 203.0.113.9"));
    CHECK_FALSE(matches("app", "helo x.us from 203.0.113.9"));
    CHECK(matches("loud", "helo x.us from 203.0.113.9"));
    CHECK(matches("loud", "helo spam.example from 203.0.113.9"));
}

TEST_CASE_METHOD(Directory, "named actions of actions/, and the syslog and exec ones") {
    write_file(dir / "actions/tell.yaml",
               "description: x\naction:\n  - exec: {ban: [/bin/tell, <ip>], timeout: 5s, parallel: "
               "2, user: nobody}\n"
               "  - syslog: {facility: mail, severity: warning, tag: f2b}\n");
    load("jails:\n  app: {logpath: /a, action: [nftables-reject, tell]}\n");
    REQUIRE(jail("app").actions.size() == 3);
    CHECK(std::get<NftablesAction>(jail("app").actions[0]).verdict == Verdict::reject);
    const auto& exec = std::get<ExecAction>(jail("app").actions[1]);
    CHECK(exec.ban == std::vector<std::string>{"/bin/tell", "<ip>"});
    CHECK(exec.timeout == std::chrono::seconds(5));
    CHECK(exec.parallel == 2);
    CHECK(exec.user == "nobody");
    const auto& syslog = std::get<SyslogAction>(jail("app").actions[2]);
    CHECK(syslog.facility == 2);
    CHECK(syslog.severity == 4);
    CHECK(syslog.tag == "f2b");
}

TEST_CASE("every key of the reference has a type and a meaning") {
    for (const KeyHelp& key : all_keys()) {
        INFO(key.section << "." << key.name);
        CHECK_FALSE(key.values.empty());
        CHECK_FALSE(key.help.empty());
    }
}

TEST_CASE("the reference tells ranges and defaults, which the structs hold") {
    auto find = [](std::string_view section, std::string_view name) {
        for (const KeyHelp& key : all_keys())
            if (key.section == section && key.name == name) return key;
        FAIL("no key " << name);
        return KeyHelp{};
    };
    CHECK(find("jail", "findtime").default_value == "10m");
    CHECK(find("jail", "maxretry").values == "1 to 1000");
    CHECK(find("jail", "maxretry").default_value == "5");
    CHECK(find("jail", "start").values == "findtime | end | beginning");
    CHECK(find("jail", "ban_prefix").default_value == "{ipv4: 32, ipv6: 64}");
    CHECK(find("jail", "ipv6_escalation").default_value == "{56: 8, 48: 4}");
    CHECK(find("action syslog", "facility").default_value == "local7");
    CHECK(find("peer", "jail").default_value == "manual");
    // Words of old are understood, but not told.
    CHECK(find("jail", "enabled").values == "true | false | auto");
    CHECK(find("filter", "finds").values == "attacks | logins");
}

TEST_CASE("bandd.yaml(5) and docs/configuration.md hold every key, as the tables tell it") {
    std::string page = read_file(BANDD_SOURCE "/packaging/man/bandd.yaml.5");
    INFO("to mend it: packaging/man/update");
    CHECK(page.find("\n" + keys_man() + ".SH SEE ALSO\n") != std::string::npos);
    CHECK(read_file(BANDD_SOURCE "/docs/configuration.md") == keys_markdown());
}

TEST_CASE_METHOD(
    Directory, "ipv6_escalation: the steps come widest last; off is none; absent is the default") {
    load(
        "defaults: {ipv6_escalation: {40: 3, 56: 2}}\njails:\n  a: {logpath: /a, filter: app}\n"
        "  b: {logpath: /a, filter: app, ipv6_escalation: off}\n"
        "  c: {logpath: /a, filter: app, ignorecommand: [/bin/true]}\n");
    using Steps = std::vector<EscalationStep>;
    CHECK(jail("a").rules.ipv6_escalation == Steps{{56, 2}, {40, 3}});
    CHECK(jail("b").rules.ipv6_escalation == Steps{});
    CHECK(jail("c").rules.asks_program);
    load("jails: {a: {logpath: /a, filter: app}}\n");
    CHECK_FALSE(jail("a").rules.ipv6_escalation);
}

TEST_CASE_METHOD(Directory, "words of old still work: finds: log-ons, enabled: yes and no") {
    for (const char* finds : {"logins", "log-ons"}) {
        write_file(dir / "filters/seen.yaml",
                   std::string("description: test\nfinds: ") + finds +
                       "\nfailregex: '^in <F-USER>\\S+</F-USER> from <HOST>$'\n");
        load("jails:\n  seen: {logpath: /a, enabled: yes}\n  gone: {logpath: /a, enabled: no}\n");
        INFO(finds);
        CHECK(jail("seen").rules.logins);
        CHECK(loaded.config.jails.size() == 2);  // with the one for bans by hand
    }
}

TEST_CASE_METHOD(Directory,
                 "where, count and findtime: today, from the defaults and of a jail's own") {
    Config& config = load(
        "geoip: db/geo.mmdb\n"
        "defaults: {where: hostname is broadband or country is RU, reverse_lookup: true}\n"
        "jails:\n"
        "  a: {logpath: /l, filter: app}\n"
        "  b: {logpath: /l, filter: app, broadband_words: [kunde]}\n"
        "  c: {logpath: /l, filter: app, where: country is US, count: \"distinct ip by net/20,48\","
        " findtime: today, timezone: X}\n");
    CHECK(config.geoip == std::vector<std::string>{dir / "db/geo.mmdb"});
    Address who = ip("24.196.192.21");
    Fields name{{"hostname", "kunde.isp.isp.example"}};
    CHECK(jail("a").rules.where->evaluate({who, name, nullptr}) != Truth::yes);
    CHECK(jail("b").rules.where->evaluate({who, name, nullptr}) == Truth::yes);
    CHECK(jail("c").rules.where->text() == "country is US");
    CHECK(jail("a").rules.reverse_lookup);
    CHECK_FALSE(jail("a").rules.distinct);
    CHECK_FALSE(jail("a").rules.today);
    CHECK(jail("c").rules.distinct == DistinctCount{DistinctCount::Of::ip, ""});
    CHECK(jail("c").rules.v4_length == 20);
    CHECK(jail("c").rules.v6_length == 48);
    CHECK(jail("c").rules.today);
    CHECK(compile(config).errors.empty());
}
