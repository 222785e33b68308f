// SPDX-License-Identifier: GPL-2.0-or-later
// A hand-made tree with what people do in fail2ban's files, and what becomes of each line of it.
#include "config/compile.h"
#include "config/load.h"
#include "import/fail2ban_database.h"
#include "import/to_yaml.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using namespace bandd::fail2ban;

namespace {

struct Tree {
    TempDirectory dir;
    Tree() {
        write_file(dir / "fail2ban.conf", "[Definition]\nloglevel = INFO\ndbpurgeage = 2d\n");
        write_file(dir / "jail.conf",
                   "[DEFAULT]\nignoreip = 127.0.0.1/8 ::1\nbantime = 10m\nfindtime = 600\n"
                   "maxretry = 5\nbackend = auto\nusedns = warn\nlogencoding = auto\n"
                   "enabled = false\nmode = normal\nfilter = %(__name__)s[mode=%(mode)s]\n"
                   "protocol = tcp\nport = 0:65535\nbanaction = fw\n"
                   "action = %(banaction)s[name=%(__name__)s, port=\"%(port)s\", "
                   "protocol=\"%(protocol)s\"]\n[app]\nlogpath = /var/log/app.log\n[other]\n"
                   "filter = app\nlogpath = /var/log/other.log\n");
        write_file(dir / "filter.d/common.conf", "[DEFAULT]\n__prefix = \\S+ %(_daemon)s:\\s\n");
        write_file(dir / "filter.d/app.conf",
                   "[INCLUDES]\nbefore = common.conf\n[Definition]\n_daemon = app\n"
                   "prefregex = ^%(__prefix)s<F-CONTENT>.+</F-CONTENT>$\n"
                   "failregex = ^denied <F-USER>\\S+</F-USER> <HOST>$\n            <mdre-<mode>>\n"
                   "mdre-normal =\nmdre-extra = ^it's odd: <HOST>$\nmode = normal\n"
                   "ignoreregex = ^denied backup\ndatepattern = {^LN-BEG}%%Y-%%m-%%d %%H:%%M:%%S\n"
                   "[Init]\nmaxlines = 1\n");
        write_file(dir / "action.d/fw.conf", "[Definition]\nactionban = fw add <ip>\n");
        write_file(dir / "action.d/iptables.conf",
                   "[Definition]\nactionban = iptables <ip>\n[Init]\nblocktype = REJECT\n");
        write_file(
            dir / "action.d/mail.conf",
            "[Definition]\nactionstart = hello\nactionban = printf \"<matches>\" | mail -s "
            "\"<name>: <ip> <F-USER> <matches>\" <dest>\nactionunban = \n[Init]\ndest = root\n");
        write_file(dir / "action.d/six.conf",
                   "[Definition]\nactionban = <prog> <ip>\n[Init]\nprog = four\n"
                   "[Init?family=inet6]\nprog = six\n");
    }
    void local(const std::string& text) { write_file(dir / "jail.local", text); }
    Imported import(bool all = false) {
        auto read = read_definitions(dir.path(), all);
        INFO((read ? "" : to_line(read.error())));
        REQUIRE(read);
        return to_yaml(*read, "F2B");
    }
    std::string jail(const std::string& options) {
        local("[app]\nenabled = true\n" + options);
        imported = import();
        // Whatever it says, bandd must take it.
        TempDirectory out;
        for (const auto& [name, text] : imported.files) write_file(out / name, text);
        Loaded loaded = load_config(out.path(), {}, [](const std::string& name) -> Result<Zone> {
            if (name.empty()) return Zone{};
            if (auto zone = Zone::from_offset(name)) return *zone;
            return fail("zone");
        });
        for (const Error& error : loaded.errors) FAIL(to_line(error));
        for (const Error& error : compile(loaded.config).errors) FAIL(to_line(error));
        return imported.files["jails/app.yaml"];
    }
    // How it is told: "lost: app, other: what".
    bool noted(const std::string& part) const {
        for (const std::string& note : told()) {
            UNSCOPED_INFO(note);
            if (note.find(part) != std::string::npos) return true;
        }
        return false;
    }
    std::vector<std::string> told() const {
        static constexpr const char* fates[] = {"carried", "changed", "lost", "to decide"};
        std::vector<std::string> all;
        for (const Note& note : imported.notes.sorted()) {
            std::string text = std::string(fates[static_cast<int>(note.fate)]) + ": ";
            for (const std::string& jail : note.jails)
                text += jail + (jail == note.jails.back() ? ": " : ", ");
            all.push_back(text + note.what);
        }
        return all;
    }
    Imported imported;
};

bool has(const std::string& text, const std::string& part) {
    UNSCOPED_INFO(text << "\nlacks: " << part);
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(Tree, "import: a jail and its filter, readable, with where they come from") {
    CHECK(jail("banaction = iptables\nport = http,https\n") ==
          "# from [app] of F2B, by bandctl import fail2ban\n"
          "app:\n"
          "  enabled: true\n"
          "  filter: 'app'\n"
          "  logpath:\n"
          "    - '/var/log/app.log'\n"
          "  maxretry: 5\n"
          "  findtime: '600'\n"
          "  bantime: '10m'\n"
          "  ignoreip: ['127.0.0.1/8', '::1']\n"
          "  action:\n"
          "    - nftables: {verdict: reject}\n"
          "  port: ['http', 'https']\n"
          "  protocol: [tcp]\n");
    CHECK(imported.files["filters/app.yaml"] ==
          "# from " + dir.path() + "/filter.d/common.conf\n# from " + dir.path() +
              "/filter.d/app.conf\n"
              "description: 'imported from fail2ban: app'\n"
              "dialect: fail2ban\n"
              "usedns: 'warn'\n"
              "maxlines: 1\n"
              "datepattern:\n"
              "  - '{^LN-BEG}%Y-%m-%d %H:%M:%S'\n"
              "prefregex: '^\\S+ app:\\s<F-CONTENT>.+</F-CONTENT>$'\n"
              "failregex:\n"
              "  - '^denied <F-USER>\\S+</F-USER> <HOST>$'\n"
              "ignoreregex:\n"
              "  - '^denied backup'\n");
    CHECK(imported.files["bandd.yaml"] ==
          "# Imported from F2B by bandctl import fail2ban.\n"
          "# Jails are in jails/, their filters in filters/.\n"
          "dbpurgeage: '2d'\nlog: {level: info}\n");
    CHECK(told().empty());
    CHECK(imported.left_out == 1);
}

TEST_CASE_METHOD(Tree,
                 "import: modes and options choose patterns; what the jail says stands above") {
    jail("filter = app[mode=extra]\n");
    CHECK(has(imported.files["filters/app.yaml"], "  - '^it''s odd: <HOST>$'\n"));
    jail("mode = extra\n");
    CHECK(has(imported.files["filters/app.yaml"], "  - '^it''s odd: <HOST>$'\n"));
    jail("failregex = %(known/failregex)s\n            ^mine <HOST>$\nusedns = no\n");
    CHECK(has(imported.files["filters/app.yaml"],
              "  - '^denied <F-USER>\\S+</F-USER> <HOST>$'\n  - '^mine <HOST>$'\n"));
    CHECK(has(imported.files["filters/app.yaml"], "usedns: 'no'\n"));
}

TEST_CASE_METHOD(Tree,
                 "import: two jails of one filter share its file only if it came out the same") {
    local(
        "[app]\nenabled=true\n[other]\nenabled=true\n[third]\nenabled=true\nfilter=app[mode=extra]"
        "\n"
        "logpath=/x\n");
    Imported out = import();
    CHECK(has(out.files["jails/other.yaml"], "filter: 'app'"));
    CHECK(has(out.files["jails/third.yaml"], "filter: 'third'"));
    CHECK(out.filters == 2);
}

TEST_CASE_METHOD(Tree, "import: times, numbers, logs, encodings, zones") {
    std::string text = jail(
        "bantime = -1\nmaxretry = 3\nlogpath = /var/log/a.log tail\n          /var/log/b*.log\n"
        "logencoding = ISO-8859-1\nlogtimezone = UTC+0200\nignoreself = false\n");
    for (const char* line : {"  bantime: forever\n", "  maxretry: 3\n", "    - '/var/log/a.log'\n",
                             "    - '/var/log/b*.log'\n", "  start: end\n", "  encoding: latin1\n",
                             "  timezone: 'UTC+0200'\n", "  ignoreself: false\n"})
        CHECK(has(text, line));
}

TEST_CASE_METHOD(Tree, "import: times that fail2ban calculates") {
    CHECK(has(jail("bantime = 3600*24\n"), "  bantime: 86400\n"));
    CHECK(has(jail("findtime = 60 * 1m\n"), "  findtime: 3600\n"));
    for (const char* odd : {"3600+1", "*", "60*", "60*-1", "999999999*999999999"}) {
        jail(std::string("bantime = ") + odd + "\n");
        CHECK(noted("is no duration that bandd takes, so its own default holds"));
    }
}

TEST_CASE_METHOD(Tree, "import: jails that read the journal") {
    CHECK(has(jail("backend = systemd\njournalmatch = _SYSTEMD_UNIT=app.service + _COMM=app\n"),
              "  journal:\n    match:\n      - '_SYSTEMD_UNIT=app.service + _COMM=app'\n"));
    CHECK_FALSE(has(imported.files["jails/app.yaml"], "logpath"));
    CHECK(has(jail("backend = systemd\n"), "  journal: true\n"));
    CHECK(has(jail("backend = systemd[journalpath=/j, journalflags=1]\n"),
              "  journal:\n    directory: '/j'\n"));
    CHECK(noted("journalflags = 1 is not carried over"));
}

TEST_CASE_METHOD(Tree, "import: growing ban times, and what of them cannot be said") {
    std::string grows = "banaction = iptables\nbantime.increment = true\n";
    std::string fewer =
        "changed: app: bantime.increment: who was banned before needs maxretry hits again; "
        "fail2ban counts each of his for two or more";
    CHECK(has(jail(grows + "bantime.maxtime = 5w\nbantime.rndtime = 10m\n"
                           "bantime.overalljails = true\n"),
              "  bantime.increment: {factor: 2, maximum: '5w', jitter: '10m', all_jails: true}\n"));
    CHECK(told() == std::vector{fewer});
    // fail2ban's bans grow without an end if none is told.
    CHECK(has(jail(grows), "{factor: 2, maximum: forever}"));
    // Its last multiplier is one.
    CHECK(has(jail(grows + "bantime = 10m\nbantime.multipliers = 1 4 16 64\n"),
              "{factor: 4, maximum: 38400}"));
    CHECK(has(jail(grows + "bantime = 10m\nbantime.maxtime = 1h\n"
                           "bantime.multipliers = 1 2 4 8 16 32 64\n"),
              "{factor: 2, maximum: '1h'}"));
    CHECK(told() == std::vector{fewer});
    jail(grows + "bantime.multipliers = 1 5 30 60\n");
    CHECK(noted("changed: app: bantime.multipliers = 1 5 30 60: each ban is twice as long"));
    jail(grows + "bantime.formula = ban.Time * 3\n");
    CHECK(noted("changed: app: bantime.formula = ban.Time * 3: each ban is twice as long"));
    jail(grows + "bantime.factor = 3\n");
    CHECK(noted("changed: app: bantime.factor = 3: bans from the second one on"));
}

TEST_CASE_METHOD(Tree, "import: the formulas of fail2ban's own jail.conf are carried over") {
    std::string grows = "banaction = iptables\nbantime.increment = true\n";
    std::string fewer = "changed: app: bantime.increment: who was banned before ";
    CHECK(has(jail(grows + "bantime.formula = ban.Time * (1<<(ban.Count if "
                           "ban.Count<20 else 20)) * banFactor\n"),
              "{factor: 2, maximum: forever}"));
    REQUIRE(told().size() == 1);
    CHECK(has(told()[0], fewer));
    CHECK(has(
        jail(grows + "bantime.factor = 2.0 / 2.885385\nbantime.formula = "
                     "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)\n"),
        "{factor: 2, maximum: forever}"));
    REQUIRE(told().size() == 1);
    CHECK(has(told()[0], fewer));
}

TEST_CASE_METHOD(Tree, "import: recidive counts bandd's own bans, as fail2ban's log has none") {
    write_file(dir / "filter.d/recidive.conf",
               "[Definition]\nfailregex = ^NOTICE \\[(?!recidive\\])(?:.*)\\] Ban <HOST>$\n");
    std::string options =
        "enabled = true\nbanaction = iptables-allports\nbantime = 1w\nfindtime = 1d\n"
        "maxretry = 4\nlogpath = /var/log/fail2ban.log\n";
    write_file(dir / "action.d/iptables-allports.conf",
               "[Definition]\nactionban = iptables <ip>\n[Init]\nblocktype = REJECT\n");
    local("[recidive]\n" + options + "[again]\n" + options +
          "filter = app[mode=extra]\n[app]\nenabled = false\n");
    write_file(dir / "fail2ban.conf", "[Definition]\nlogtarget = /var/log/fail2ban.log\n");
    imported = import();
    CHECK(imported.files["jails/recidive.yaml"] ==
          "# from [recidive] of F2B, by bandctl import fail2ban\n"
          "recidive:\n"
          "  enabled: true\n"
          "  source: bans\n"
          "  maxretry: 4\n"
          "  findtime: '1d'\n"
          "  bantime: '1w'\n"
          "  ignoreip: ['127.0.0.1/8', '::1']\n"
          "  action:\n"
          "    - nftables: {verdict: reject}\n");
    CHECK_FALSE(imported.files.contains("filters/recidive.yaml"));
    CHECK(noted("carried: recidive: counts bandd's own bans (source: bans)"));
    // Another that reads that log.
    CHECK(has(imported.files["jails/again.yaml"], "  source: bans\n"));
    CHECK(noted("changed: again: counts bandd's own bans (source: bans)"));
    CHECK(noted("those of all jails, whatever its patterns say"));
    TempDirectory out;
    for (const auto& [name, text] : imported.files) write_file(out / name, text);
    Loaded loaded =
        load_config(out.path(), {}, [](const std::string&) -> Result<Zone> { return Zone{}; });
    for (const Error& error : loaded.errors) FAIL(to_line(error));
    for (const JailConfig& jail : loaded.config.jails)
        CHECK(jail.rules.fed_by_bans == (jail.rules.name != "manual"));
}

TEST_CASE_METHOD(Tree, "import: what is made of a file that not everybody may read is secret") {
    auto only_root = [&](const char* file) {
        std::filesystem::permissions(dir / file, std::filesystem::perms(0600));
    };
    jail("action = mail\n");
    CHECK(imported.secret.empty());
    only_root("filter.d/app.conf");
    jail("action = mail\n");
    CHECK(imported.secret == std::set<std::string>{"filters/app.yaml"});
    only_root("action.d/mail.conf");
    jail("action = mail\n");
    CHECK(imported.secret == std::set<std::string>{"filters/app.yaml", "jails/app.yaml"});
    jail("action = fw\n");
    CHECK(imported.secret == std::set<std::string>{"filters/app.yaml"});
    only_root("jail.local");
    imported = import();
    CHECK(imported.secret == std::set<std::string>{"filters/app.yaml", "jails/app.yaml"});
}

TEST_CASE_METHOD(Tree, "import: a note is told once, of all jails that it is true of") {
    local(
        "[app]\nenabled=true\naction=mail[dest=\"<me@example.org>\"]\n[other]\nenabled=true\n"
        "action=mail[dest=\"<me@example.org>\"]\n");
    imported = import();
    // The address is none of fail2ban's tags.
    CHECK(told() ==
          std::vector<std::string>{
              "lost: app, other: action mail: what it does besides bans (actionstart)",
              "to decide: app, other: action mail runs as bandd-exec, without root's rights; write "
              "\"user: root\" if it needs them"});
}

TEST_CASE_METHOD(Tree, "import: what fail2ban would leave in angle brackets is no tag") {
    write_file(
        dir / "action.d/whois.conf",
        "[Definition]\nactionban = printf %%b \"From: Fail2Ban <<sender>>\\n<ip-rev>\" | mail\n"
        "[Init]\nsender = fail2ban\n");
    std::string text = jail("action = whois\n");
    CHECK(has(text, "From: Fail2Ban <fail2ban>"));
    CHECK(noted("action whois: <ip-rev> in actionban is not known to bandd and stays as it is"));
    CHECK_FALSE(noted("<fail2ban>"));
}

TEST_CASE_METHOD(Tree, "import: what has no end is no file, and is left out") {
    must("mkdir " + dir / "jail.d; mkfifo " + dir / "jail.d/pipe.conf");
    local("[app]\nenabled = true\nlogpath = /var/log/a tail\n  /var/log/b\n");
    std::vector<Error> faults;
    imported = import();
    CHECK(noted("pipe.conf\": is left out: it is no file"));
    CHECK(noted("changed: app: logpath: one file has \"tail\""));
    must("mkfifo " + dir / "pipe");
    auto database = read_database(dir / "pipe", Instant{}, [](std::uint64_t, std::uint64_t) {});
    REQUIRE_FALSE(database);
    CHECK(has(to_line(database.error()),
              "pipe\": is no file; name fail2ban's database with --database FILE"));
}

TEST_CASE_METHOD(Tree, "import: nothing is dropped in silence") {
    jail("action = gone[x=1]\n         smtp.py[dest=\"a\"]\n         iptables[blocktype=RETURN]\n");
    CHECK(noted("action \"gone\": there is no "));
    CHECK(noted("action smtp.py is written in Python and cannot be carried over"));
    CHECK(noted("lets addresses through (blocktype = return)"));
    CHECK(noted("it bans nobody"));
    jail("banaction = iptables\nport = http,nosuch\n");
    CHECK(noted("port = nosuch is no service that bandd knows"));
    local("[app]\nenabled=true\nfilter=nosuch\n[other]\nenabled=true\nlogpath = %(nothing)s\n");
    imported = import();
    CHECK(noted("lost: app: filter \"nosuch\": there is no "));
    CHECK(noted("lost: app: left out: it has no failregex"));
    CHECK(noted("lost: other: [other] logpath: names %(nothing)s, which is not defined"));
}

TEST_CASE_METHOD(Tree,
                 "import: other actions become programs; clients' text is never a part of them") {
    std::string text = jail("action = fw\n         mail[name=app, dest=me]\n         six\n");
    CHECK(has(text,
              "    - exec:  # fw\n        ban:\n          - '/bin/sh'\n          - '-c'\n"
              "          - 'fw add <ip>'\n          - 'fw'\n"));
    CHECK(has(text,
              "          - 'printf \"${1}\" | mail -s \"app: <ip> ${2} ${1}\" me'\n"
              "          - 'mail'\n          - '<matches>'\n          - '<F-USER>'\n"));
    CHECK(noted("lost: app: action mail: what it does besides bans (actionstart)"));
    CHECK(has(text, "case <family> in\n"));
    CHECK(has(text, "            six <ip>\n"));
}

TEST_CASE_METHOD(Tree,
                 "import: programs get root's rights only where they are known to need them") {
    write_file(dir / "action.d/hole.conf",
               "[Definition]\nactionban = /sbin/ip route add blackhole <ip>\n");
    write_file(dir / "action.d/own.conf", "[Definition]\nactionban = sudo iptables -A <ip> 2>&1\n");
    write_file(dir / "action.d/deny.conf",
               "[Definition]\nactionban = echo \"ALL: <ip>\" >> /etc/hosts.deny\n");
    CHECK(has(jail("action = hole\n"), "'hole'\n        capabilities: [net_admin]\n"));
    CHECK(has(jail("action = own\n"),
              "'own'\n        user: root\n        capabilities: [net_admin, net_raw]\n"));
    CHECK(has(jail("action = deny\n"), "'deny'\n        user: root\n"));
    CHECK(
        noted("action deny writes below /etc, which bandd.service may not: systemctl edit bandd, "
              "with [Service] and ReadWritePaths=/etc"));
    std::string text = jail("action = fw\nignorecommand = /bin/friend <ip>\n");
    CHECK_FALSE(has(text, "user:"));
    CHECK(
        noted("action fw runs as bandd-exec, without root's rights; write \"user: root\" if it "
              "needs them"));
    CHECK(noted("ignorecommand runs as bandd-exec, without root's rights"));
}

TEST_CASE_METHOD(Tree, "import: a firewall's jail with all ports, several protocols, drop") {
    std::string text = jail(
        "action = iptables[port=\"25\", protocol=tcp, blocktype=DROP]\n"
        "         iptables[port=\"26:28\", protocol=udp]\n");
    CHECK(has(text,
              "    - nftables: {verdict: drop}\n  port: ['25', '26-28']\n"
              "  protocol: [tcp, udp]\n"));
    CHECK_FALSE(has(jail("banaction = iptables\n"), "port:"));
}

TEST_CASE("import: a directory that is none of fail2ban's is said") {
    TempDirectory dir;
    auto read = read_definitions(dir / "nothing", false);
    REQUIRE_FALSE(read);
    CHECK(to_line(read.error()) == "\"" + dir.path() +
                                       "/nothing\": is no directory; name fail2ban's "
                                       "configuration with --from DIR");
    CHECK_FALSE(read_definitions(dir.path(), false));
}

TEST_CASE("import: YAML text is read back as it was") {
    for (const std::string& text :
         {std::string("it's"), std::string("a\tb\x01\x7f\"\\"), std::string("# no comment: x"),
          std::string("two\nlines"), std::string(" begins\nwith space"), std::string("")}) {
        auto read = parse_document(
            "a: " + yaml_text(text) + "\nb: " + yaml_block(text, "    ") + "\n", "t");
        INFO(text);
        REQUIRE(read);
        CHECK(read->find("a")->text == text);
        CHECK(read->find("b")->text == text);
    }
}

TEST_CASE_METHOD(Tree, "import: who is exempt: addresses, host names, a program") {
    std::string text = jail(
        "ignoreip = 192.0.2.0/24 home.example.org 300.1.1.1\n"
        "ignorecommand = /usr/local/bin/friend <ip>\n");
    CHECK(has(text, "  ignoreip: ['192.0.2.0/24', 'home.example.org']\n"));
    CHECK(noted("ignoreip = 300.1.1.1 is no address and no host name"));
    CHECK(has(text, "  ignorecommand:\n    - '/usr/local/bin/friend'\n    - '<ip>'\n"));
}

TEST_CASE_METHOD(Tree, "import: an ignorecommand that needs a shell gets one") {
    std::string text = jail("ignorecommand = grep -q \"^<ip>$\" /etc/friends || test <ip-host>\n");
    CHECK(has(text, "    - '/bin/sh'\n    - '-c'\n"));
    CHECK(noted("ignorecommand: <ip-host> is not known to bandd"));
}

TEST_CASE_METHOD(Tree, "import: no two jails become one, whatever their names are") {
    local(
        "[my app]\nenabled = true\nfilter = app\nlogpath = /var/log/a.log\n[my_app]\nenabled = "
        "true\n"
        "filter = app\nlogpath = /var/log/b.log\n[my/app]\nenabled = true\nfilter = app\n"
        "logpath = /var/log/c.log\n");
    imported = import();
    CHECK(imported.jails == 3);
    // A name that bandd takes is kept: bans are by it.
    CHECK(has(imported.files["jails/my_app.yaml"], "/var/log/b.log"));
    CHECK(has(imported.files["jails/my_app-2.yaml"], "my_app-2:\n"));
    CHECK(has(imported.files["jails/my_app-2.yaml"], "/var/log/a.log"));
    CHECK(has(imported.files["jails/my_app-3.yaml"], "/var/log/c.log"));
    std::string longest(63, 'a');
    JailNames names = bandd_names({longest + "b", longest + "c"});
    CHECK(names[longest + "b"].size() == 63);
    CHECK(names[longest + "c"].size() == 63);
    CHECK(names[longest + "c"].ends_with("a-2"));
}

TEST_CASE_METHOD(Tree,
                 "import: files that include themselves, and values without an end, are said") {
    auto faults = [&] {
        std::string all;
        for (const Note& note : import().notes.sorted()) all += note.what + "\n";
        return all;
    };
    write_file(dir / "filter.d/app.local", "[INCLUDES]\nbefore = app.conf\n[Definition]\n");
    local("[app]\nenabled = true\n");
    CHECK(has(faults(), "filter.d/app.local\": includes itself"));
    CHECK(import().jails == 1);
    write_file(dir / "filter.d/app.local", "[INCLUDES]\nbefore = ../filter.d/app.local\n");
    CHECK(import().jails == 1);
    write_file(dir / "filter.d/app.local", "");
    local("[INCLUDES]\nbefore = jail.conf\n[app]\nenabled = true\n");
    CHECK(has(faults(), "jail.local\": includes itself"));
    // Files that include two others each, and so on.
    for (int i = 0; i < 18; ++i) {
        std::string next = "x" + std::to_string(i + 1);
        write_file(dir / ("filter.d/x" + std::to_string(i) + ".conf"),
                   "[INCLUDES]\nbefore = " + next + ".conf\n  ./" + next + ".conf\n");
    }
    local("[app]\nenabled = true\nfilter = x0\n");
    CHECK(has(faults(), "more than 1000 files are included"));
    for (const char* seed : {"", "0123456789"}) {
        std::string text = std::string("[DEFAULT]\nx0 = ") + seed + "\n";
        for (int i = 1; i <= 8; ++i) {
            text += "x" + std::to_string(i) + " =";
            for (int n = 0; n < 10; ++n) text += " %(x" + std::to_string(i - 1) + ")s";
            text += "\n";
        }
        local(text + "[app]\nenabled = true\nport = %(x8)s\n");
        std::string said = faults();
        CHECK((has(said, "%(name)s to fill in") || has(said, "is longer than 262144")));
    }
}
