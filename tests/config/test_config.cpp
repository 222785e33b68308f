// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration means. Faulty ones stand in bad-config/, with their messages.
#include <unistd.h>

#include <sys/stat.h>

#include "config/access.h"
#include "config/compile.h"
#include "config/forgeable.h"
#include "config/keys.h"
#include "config/load.h"
#include "config/shipped_jails.h"
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

TEST_CASE("a jail that chooses patterns keeps those that only tell of a connection") {
    FilterConfig filter;
    filter.dialect = Dialect::fail2ban;
    filter.failregex = {
        {"1", "^<F-MLFID>\\d+</F-MLFID>: <F-NOFAIL>connect</F-NOFAIL> from <HOST>$", {}, {}},
        {"2", "^<F-MLFID>\\d+</F-MLFID>: bad$", {}, {}},
        {"3", "^<F-MLFID>\\d+</F-MLFID>: worse$", {}, {}}};
    std::vector<Error> errors, warnings;
    auto made = compile_filter(filter, {.patterns = {"3"}}, errors, warnings);
    CHECK(errors.empty());
    REQUIRE(made->patterns.size() == 2);
    CHECK(made->patterns[0].id == "1");
    CHECK(made->patterns[1].id == "3");
    CHECK(made->identity != compile_filter(filter, {}, errors, warnings)->identity);
}

TEST_CASE("imported filters: a pattern that takes a client's text for a host is shown by a line") {
    auto shown = [](const std::string& regex, const std::string& prefix = "",
                    const std::string& ignored = "") {
        FilterConfig filter;
        filter.name = "imported";
        filter.dialect = Dialect::fail2ban;
        filter.failregex = {{"1", regex, {}, {}}};
        if (!ignored.empty()) filter.ignoreregex = {{"1", ignored, {}, {}}};
        if (!prefix.empty()) filter.prefregex = {"prefregex", prefix, {}, {}};
        std::vector<Error> warnings = forgeable_patterns(filter);
        return warnings.empty() ? std::string() : to_line(warnings.front());
    };
    // Those of the document that bandd grew from.
    std::string head = R"(^.* \"SMTPD\"#011\d*#011\d*#011\".*\"#011\"<HOST>\"#011)";
    for (const char* rest : {R"(\"RECEIVED: EHLO .*\.us\"$)", R"(\"RECEIVED: EHLO adams\.edu\"$)",
                             R"(\"SENT: 503 Bad sequence of commands\"$)",
                             R"(\"RECEIVED: MAIL FROM:<goof@gmail\.com>.*\"$)"}) {
        std::string warning = shown(head + rest);
        INFO(warning);
        CHECK(
            warning.starts_with("pattern \"1\": a client could name another host: \".*\" takes "
                                "any text, so this line bans 198.51.100.7 and not 203.0.113.9: "));
        CHECK(warning.find(R"("203.0.113.9"#011")") < warning.find(R"("198.51.100.7"#011")"));
    }
    CHECK_FALSE(shown(head + R"(\"RECEIVED: EHLO .*\.us\"$)", "", R"("")").empty());
    CHECK_FALSE(shown("^user .* from <HOST> .*$").empty());
    CHECK_FALSE(shown("^user .*? from <HOST>").empty());
    CHECK_FALSE(shown("login from <HOST> failed").empty());
    CHECK(shown("^login from <HOST> .*", "^app: <F-CONTENT>.+</F-CONTENT>$").empty());
    std::string within = shown("^user .* from <HOST> .*$", "^app: <F-CONTENT>.+</F-CONTENT>$");
    CHECK(within.find(": app: user ") != std::string::npos);
    // Where prefregex names the host.
    std::string by_prefix = "^app .*client <HOST>: <F-CONTENT>.+</F-CONTENT>$";
    CHECK_FALSE(shown("^user .* unknown$", by_prefix).empty());
    CHECK(shown("^user \\S+ unknown$", by_prefix).empty());
    // Nothing takes long, however often a pattern repeats nothing.
    std::string nested = "<HOST>";
    for (int i = 0; i < 20; ++i) nested = "(?:(?:){64}" + nested + "){64}";
    CHECK(shown("^" + nested).empty());
    // What cannot be shown is not said.
    for (const char* safe :
         {"^user .* from <HOST>$", R"(^user "[^"]*" from <HOST> .*$)", "^user \\S+ from <HOST>",
          R"(^\S+ "SMTPD" \d+ "[^"]*" "<HOST>" "EHLO .*\.us"$)", "^<HOST> .* failed$",
          "^(?:(?! from ).)* from <HOST> .*$"}) {
        INFO(safe);
        CHECK(shown(safe).empty());
    }
}

TEST_CASE_METHOD(Directory,
                 "http: auth: one server that knows passwords, and who guesses is to be banned",
                 "[http]") {
    auto faults = [&](const std::string& auth, const std::string& jails = "jails: {}") {
        write_file(dir / "bandd.yaml", "http: {listen: \"tcp://127.0.0.1:10041\", auth: " + auth +
                                           "}\n" + jails + "\n");
        Loaded loaded = load_config(dir.path(), {BANDD_SOURCE},
                                    [](const std::string&) { return Result<Zone>(Zone{}); });
        std::string text;
        for (const Error& error : loaded.errors) text += to_line(error) + "\n";
        for (const Error& warning : loaded.warnings) text += to_line(warning) + "\n";
        return text;
    };
    auto has = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };
    const std::string watched = "jails: {refused-logons: {source: access, maxretry: 5}}";
    CHECK(has(faults("{imap: 127.0.0.1}"), "nobody who guesses passwords is banned"));
    CHECK(faults("{imap: 127.0.0.1}", watched).empty());
    CHECK(faults("{dovecot_sasl: /run/x}", watched).empty());
    CHECK(faults("{imap: \"10.0.0.1:993\", tls: yes, tls_name: mx}", watched).empty());
    CHECK(has(faults("{}", watched), "needs one server that knows the passwords"));
    CHECK(has(faults("{imap: 127.0.0.1, dovecot_sasl: /x}", watched), "needs one server"));
    CHECK(has(faults("{dovecot_sasl: /x, tls: yes}", watched), "\"tls\" is for imap"));
    CHECK(has(faults("{imap: 8.8.8.8}", watched), "passwords go over the network as they are"));
    CHECK(has(faults("{imap: mail.example}", watched), "is no address"));
    CHECK(has(faults("{imap: 127.0.0.1, timeout: 2m}", watched), "must be 1s to 60s"));
    CHECK(has(faults("{imap: 127.0.0.1, tls: maybe}", watched), "starttls"));
    CHECK(has(faults("{imap: 127.0.0.1, tls_ca: /none.pem}", watched), "cannot read"));
}

TEST_CASE_METHOD(Directory,
                 "patterns: a list with nothing in it is a fault, and does not mean all") {
    for (const char* none : {"[]", "[ ]"}) {
        write_file(dir / "bandd.yaml",
                   "jails:\n  app:\n    filter: sshd\n    logpath: x\n    patterns: " +
                       std::string(none) + "\n");
        Loaded loaded = load_config(dir.path(), {BANDD_SOURCE},
                                    [](const std::string&) { return Result<Zone>(Zone{}); });
        REQUIRE(loaded.errors.size() == 1);
        CHECK(to_line(loaded.errors[0]).find("names no pattern") != std::string::npos);
    }
}

TEST_CASE_METHOD(Directory, "a list that is a FIFO is a fault, and nobody waits for it", "[http]") {
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    for (const char* keys : {"defaults: {ignoreip: 'file:fifo'}", "accounts: {exempt: 'file:fifo'}",
                             "accounts: {ignoreip: 'file:fifo'}"}) {
        write_file(dir / "bandd.yaml", std::string(keys) + "\n");
        Loaded loaded = load_config(dir.path(), {BANDD_SOURCE},
                                    [](const std::string&) { return Result<Zone>(Zone{}); });
        REQUIRE(loaded.errors.size() == 1);
        CHECK(to_line(loaded.errors[0]).find("it is no file") != std::string::npos);
    }
    for (const char* keys : {"http: {token: 'file:fifo'}",
                             "http: {auth: {imap: 127.0.0.1, tls: "
                             "yes, tls_ca: fifo}}"}) {
        write_file(dir / "bandd.yaml", std::string(keys) + "\n");
        Loaded loaded = load_config(dir.path(), {BANDD_SOURCE},
                                    [](const std::string&) { return Result<Zone>(Zone{}); });
        REQUIRE_FALSE(loaded.errors.empty());
        CHECK(to_line(loaded.errors[0]).find("it is no file") != std::string::npos);
    }
    AccessConfig access;
    access.users_file = dir / "fifo";
    std::vector<Error> bad;
    auto users = read_users(access, bad);
    REQUIRE_FALSE(users);
    CHECK(to_line(users.error()).find("it is no file") != std::string::npos);
}

#ifdef BANDD_MINIMAL
TEST_CASE_METHOD(Directory,
                 "a configuration that needs what this build leaves out is refused, at its place") {
    for (const auto& [text, missing] : std::map<std::string, std::string>{
             {"http: {listen: 'tcp://127.0.0.1:10041'}\n", "needs HTTP"},
             {"remote: {listen: 'tls://127.0.0.1:7071', certificate: /a, key: /b, peers: {x: "
              "{token: y}}}\n",
              "needs TLS"},
             {"jails: {x: {filter: sshd, syslog: {listen: 'tls://127.0.0.1', certificate: /a, key: "
              "/b}}}\n",
              "needs TLS"}}) {
        write_file(dir / "bandd.yaml", text);
        Loaded loaded = load_config(dir.path(), {BANDD_SOURCE},
                                    [](const std::string&) { return Result<Zone>(Zone{}); });
        REQUIRE_FALSE(loaded.errors.empty());
        INFO(to_line(loaded.errors[0]));
        CHECK(to_line(loaded.errors[0]).find("bandd.yaml:1:") != std::string::npos);
        CHECK(to_line(loaded.errors[0]).find(missing) != std::string::npos);
    }
}
#endif

TEST_CASE_METHOD(Directory, "interface: words of other programs' rules are no names") {
    auto loads = [&](const std::string& names) {
        write_file(dir / "bandd.yaml",
                   "jails:\n  app: {filter: sshd, logpath: x, action: {nftables: {interface: " +
                       names + "}}}\n");
        return load_config(dir.path(), {BANDD_SOURCE},
                           [](const std::string&) { return Result<Zone>(Zone{}); })
            .errors.empty();
    };
    for (const char* good : {"any", "ppp0", "ppp*", "[eth0, eth0.100]", "[]", "wg-home"}) {
        INFO(good);
        CHECK(loads(good));
    }
    for (const char* bad : {"ppp+", "'!ppp0'", "all", "[any, ppp0]", "sixteen-letters-", "a/b"}) {
        INFO(bad);
        CHECK_FALSE(loads(bad));
    }
}

TEST_CASE_METHOD(Directory, "wherever addresses are listed, a file can list them") {
    write_file(dir / "lists/office", "# the office\n198.51.100.0/24\r\n\n 2001:db8::/32 # v6\n");
    write_file(dir / "lists/names", "\xef\xbb\xbfmail.example.org\n203.0.113.9\n");
    write_file(dir / "lists/empty", "");
    Config& config = load(
        "defaults: {ignoreip: [10.0.0.0/8, file:lists/office]}\n"
        "accounts: {ignoreip: file:lists/office}\n"
        "policy: {from: [192.0.2.1, file:lists/office, file:lists/empty],\n"
        "  reject_broadband: {except: [file:lists/names]}}\n"
        "remote: {from: [file:lists/office]}\n"
        "jails:\n  a: {logpath: /l, filter: app, ignoreip: 'file:lists/names'}\n");
    std::vector<Prefix> office{prefix("198.51.100.0/24"), prefix("2001:db8::/32")};
    CHECK(config.remote.from == office);
    CHECK(config.policy.from.size() == 3);
    CHECK(config.access.rules.not_counted == PrefixSet(office));
    CHECK(jail("a").rules.ignoreip.contains(ip("198.51.100.77")));
    CHECK(jail("a").rules.ignoreip.contains(ip("203.0.113.9")));
    CHECK(jail("a").ignore_names == std::vector<std::string>{"mail.example.org"});
    CHECK(config.policy.reject_broadband->rules.except.contains(ip("203.0.113.9")));
    CHECK(config.policy.reject_broadband->rules.except_names ==
          std::vector<std::string>{"mail.example.org"});
}

TEST_CASE_METHOD(Directory, "accounts: limits of one user, and those that are exempt") {
    write_file(dir / "exempt", "# robots\nBackup@example.org\n");
    Config& config = load(
        "geoip: x\naccounts:\n  addresses: 20\n  exempt: [Postmaster, file:exempt]\n"
        "  users: {Bob@example.org: {addresses: 100}, j\u00d6rg: {addresses: 0, countries: 10}}\n");
    const AccountLimits& limits = config.access.rules.accounts;
    CHECK(limits.exempt == decltype(limits.exempt){"postmaster", "backup@example.org"});
    CHECK(limits.users.at("bob@example.org") == UserLimits{{}, 100});
    CHECK(limits.users.at("j\u00f6rg") == UserLimits{10, 0});
}

TEST_CASE_METHOD(Directory, "policy: reject_broadband is a word, a text or a map") {
    auto answer = [&](const std::string& value) {
        auto& end_users =
            load("policy: {reject_broadband: " + value + "}\n").policy.reject_broadband;
        return end_users ? end_users->message : "";
    };
    CHECK(answer("false").empty());
    CHECK(answer("true") == EndUserConfig{}.message);
    CHECK(answer("554 5.7.1 Not from <ip>") == "554 5.7.1 Not from <ip>");
    CHECK(answer("{message: 550 No}") == "550 No");
    CHECK(answer("{words: [kunde]}") == EndUserConfig{}.message);
}

namespace {

// A configuration over shipped jails of its own.
struct Shipped : Directory {
    TempDirectory data;
    Shipped() {
        write_file(data / "jails/app.yaml",
                   "app:\n  enabled: auto\n  logpath: /shipped/*.log\n  journal: {unit: app}\n"
                   "  filter: app\n  port: [smtp, auto]\n  maxretry: 12\n  mode: noisy\n"
                   "app-second: {enabled: false, logpath: /shipped/2, filter: app}\n");
        write_file(data / "jails/fed.yaml", "fed: {enabled: auto, source: bans, bantime: 7d}\n");
        write_file(data / "jails/never.yaml", "never: {logpath: /shipped/3, filter: app}\n");
    }
    Config& read() {
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n"
                   "  - {id: denied, regex: '^denied <HOST>$'}\n"
                   "  - {id: noisy, mode: noisy, regex: '^noise <HOST>$'}\n");
        loaded = load_config(
            dir.path(), {data.path()}, [](const std::string&) { return Result<Zone>(Zone{}); },
            Samples::skip, IdleJails::keep);
        for (const Error& error : loaded.errors) UNSCOPED_INFO(to_line(error));
        CHECK(loaded.errors.empty());
        return loaded.config;
    }
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const JailConfig& jail : loaded.config.jails) names.push_back(jail.rules.name);
        return names;
    }
};

}  // namespace

TEST_CASE_METHOD(Shipped, "no shipped jail is used by itself") {
    read();
    CHECK(names() == std::vector<std::string>{"manual"});
}

TEST_CASE_METHOD(Shipped, "a jail that is named takes from the shipped one what it does not say") {
    write_file(dir / "bandd.yaml", "defaults: {maxretry: 4, bantime: 3h}\n");
    write_file(dir / "jails/mine.yaml", "app: {maxretry: 3, mode: }\napp-second:\nfed:\n");
    read();
    const JailConfig& app = jail("app");
    CHECK(app.enabled == Enabled::automatic);
    CHECK(app.rules.maxretry == 3);
    CHECK(app.modes.empty());
    CHECK(app.filter == "app");
    REQUIRE(app.logs.size() == 1);
    CHECK(app.logs[0].path == "/shipped/*.log");
    CHECK(std::get<NftablesAction>(app.actions.at(0)).ports == std::vector<PortRange>{{25, 25}});
    CHECK(app.rules.bantime.base == std::chrono::hours(3));
    // Of the shipped jail before the defaults.
    CHECK(jail("fed").rules.fed_by_bans);
    CHECK(jail("fed").rules.bantime.base == std::chrono::hours(24 * 7));
    // It is shipped as one that must be asked for.
    CHECK(names() == std::vector<std::string>{"app", "fed", "manual"});
}

TEST_CASE_METHOD(Shipped,
                 "who says where the lines come from says all of it, and wants them read") {
    write_file(dir / "jails/mine.yaml", "app: {logpath: /mine}\napp-second: {logpath: /mine}\n");
    read();
    const JailConfig& app = jail("app");
    CHECK(app.enabled == Enabled::yes);
    REQUIRE(app.logs.size() == 1);
    CHECK(app.logs[0].path == "/mine");
    CHECK_FALSE(app.journal);
    CHECK(app.rules.maxretry == 12);
    CHECK(app.modes == std::vector<std::string>{"noisy"});
    // Whose ports `port: auto` means does not hang on where the lines come from.
    CHECK(app.service.units == std::vector<std::string>{"app.service"});
    CHECK(std::get<NftablesAction>(app.actions.at(0)).auto_ports);
    CHECK(names() == std::vector<std::string>{"app", "app-second", "manual"});
}

TEST_CASE_METHOD(Shipped, "a jail with logs and filter of its own stands alone, as yesterday") {
    write_file(dir / "jails/app.yaml", "app: {logpath: /mine, filter: app}\n");
    write_file(dir / "jails/fed.yaml", "fed: {source: bans}\n");
    read();
    CHECK(jail("app").rules.maxretry == 5);
    CHECK(jail("app").modes.empty());
    CHECK(std::get<NftablesAction>(jail("app").actions.at(0)).ports.empty());
    CHECK(jail("fed").rules.bantime.base == std::chrono::hours(1));
}

TEST_CASE("each shipped jail stands alone: copies and links of it stay what they are") {
    const std::vector<std::string> directories{BANDD_SOURCE};
    const TextReader reader = read_text;
    ShippedJails shipped(directories, reader);
    std::size_t count = 0;
    for (const auto& [name, jail] : shipped.all()) {
        INFO(name);
        CHECK(stands_alone(*jail));
        ++count;
    }
    CHECK(count > 100);
}

TEST_CASE_METHOD(Shipped, "a link to a shipped file is that file") {
    std::filesystem::create_directories(dir / "jails");
    std::filesystem::create_symlink(data / "jails/app.yaml", dir / "jails/app.yaml");
    read();
    CHECK(names() == std::vector<std::string>{"app", "manual"});
    CHECK(jail("app").rules.maxretry == 12);
}

TEST_CASE_METHOD(Shipped,
                 "shipped jails are read as whoever reads trusts files, and only if wanted") {
    write_file(dir / "jails/mine.yaml", "fed:\n");
    std::vector<std::string> files;
    auto keys = load_keys(dir.path(), {data.path()}, [&](const std::string& file) {
        files.push_back(std::filesystem::path(file).filename().string());
        return read_text(file);
    });
    REQUIRE(keys);
    CHECK(std::ranges::count(files, "fed.yaml") > 0);
    CHECK(std::ranges::count(files, "app.yaml") == 0);
}

TEST_CASE_METHOD(Shipped, "a jail that is neither shipped nor watches anything") {
    write_file(dir / "jails/mine.yaml", "ap: {maxretry: 3}\n");
    loaded = load_config(dir.path(), {data.path()},
                         [](const std::string&) { return Result<Zone>(Zone{}); });
    REQUIRE(loaded.errors.size() == 1);
    CHECK(to_line(loaded.errors[0]) ==
          dir / "jails/mine.yaml" + ":1:1: jail \"ap\": watches nothing; did you mean \"app\"?");
}

TEST_CASE_METHOD(Shipped, "nor does one whose name is misspelt wait for a log of its own") {
    write_file(dir / "jails/mine.yaml", "ap: {enabled: auto}\nfed: {enabled: auto}\n");
    loaded = load_config(dir.path(), {data.path()},
                         [](const std::string&) { return Result<Zone>(Zone{}); });
    REQUIRE(loaded.errors.size() == 1);
    CHECK(to_line(loaded.errors[0]) ==
          dir / "jails/mine.yaml" + ":1:1: jail \"ap\": watches nothing; did you mean \"app\"?");
}

TEST_CASE_METHOD(Shipped, "a directory that cannot be read is not an empty one") {
    if (geteuid() != 0) return;
    std::string place = GENERATE("jails", "filters", "actions");
    write_file(dir / "jails/mine.yaml", "app:\n");
    std::filesystem::create_directories(dir / place);
    std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
    std::filesystem::permissions(dir / place, std::filesystem::perms(0700));
    REQUIRE(seteuid(65534) == 0);
    loaded = load_config(dir.path(), {data.path()},
                         [](const std::string&) { return Result<Zone>(Zone{}); });
    REQUIRE(seteuid(0) == 0);
    REQUIRE_FALSE(loaded.errors.empty());
    CHECK(to_line(loaded.errors[0]) == "cannot read \"" + dir / place + "\": Permission denied");
}
