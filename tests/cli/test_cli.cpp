// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl as a user meets it, where no daemon is needed: messages in full, exit codes.
#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
namespace fs = std::filesystem;

namespace {

Ran bandctl(const std::string& arguments) { return sh(built("bandctl") + " " + arguments); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every faulty configuration of bad-config/ is refused with the messages beside it") {
    clean_namespace();
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(BANDD_SOURCE "/tests/bad-config")) {
        std::string name = entry.path().filename().string();
        Ran ran =
            sh("cd " + entry.path().string() + " && " + built("bandctl") + " --config . check");
        std::string expected = read_file(entry.path().string() + "/expected");
        expected = replaced(replaced(expected, "{ROOT}", BANDD_SOURCE), "{DATA}", BANDD_DATA_DIR);
        INFO(name);
        CHECK(ran.out + "exit " + std::to_string(ran.code) + "\n" == expected);
        // The daemon refuses what the check refuses, with the same words; samples are the check's.
        if (ran.code == 2 && name != "wrong-sample") {
            Ran daemon = sh("cd " + entry.path().string() + " && timeout 20 " + built("bandd") +
                            " --config .");
            INFO(daemon.out);
            CHECK(daemon.code == 2);
            CHECK(has(daemon.out, ran.out.substr(7, ran.out.find('\n') - 7)));
        }
        ++count;
    }
    CHECK(count >= 12);
}

TEST_CASE("what is shipped is without fault, and each filter carries samples that must not match") {
    TempDirectory dir;
    fs::copy(BANDD_SOURCE "/filters", dir / "filters");
    fs::copy(BANDD_SOURCE "/actions", dir / "actions");
    std::string jails;
    for (const auto& entry : fs::directory_iterator(BANDD_SOURCE "/jails"))
        write_file(dir / "jails/" + entry.path().filename().string(),
                   replaced(read_file(entry.path().string()), "enabled: auto", "enabled: true"));
    Ran ran = bandctl("--config " + dir.path() + " check");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(ran.out.starts_with("all is well: "));
    for (const auto& entry : fs::directory_iterator(BANDD_SOURCE "/filters")) {
        std::string text = read_file(entry.path().string());
        INFO(entry.path());
        CHECK(has(text, "match: none"));
    }
}

TEST_CASE(
    "check names programs that need more rights than they have, and files that others may write") {
    TempDirectory dir;
    std::string file = dir / "bandd.yaml";
    auto check = [&](const std::string& keys) {
        write_file(file, "jails:\n  app:\n    source: bans\n    action:\n      - exec: {" + keys +
                             "}\n    ignorecommand: {run: [/bin/true], user: no-such-user}\n");
        return bandctl("--config " + dir.path() + " check").out;
    };
    std::string out = check("ban: [/usr/sbin/iptables, -A, <ip>], unban: [/usr/sbin/nft, list]");
    INFO(out);
    CHECK(has(out,
              "warning: " + file +
                  ":2:3: jail \"app\", action exec \"/usr/sbin/iptables\": "
                  "\"iptables\" does nothing for the user bandd-exec without rights; write \"user: "
                  "root\" and \"capabilities: [net_admin, net_raw]\"\n"));
    CHECK(has(out, "action exec \"/usr/sbin/nft\": \"nft\" does nothing"));
    CHECK(has(out, "ignorecommand \"/bin/true\": there is no user \"no-such-user\" here\n"));
    CHECK(has(out, "usable: "));
    out = check("user: root, ban: [/usr/sbin/iptables, -A, <ip>]");
    CHECK_FALSE(has(out, "does nothing"));
    fs::permissions(file, fs::perms{0666});
    out = bandctl("--config " + dir.path() + " check").out;
    INFO(out);
    CHECK(has(out,
              "warning: programs are not run: \"" + file + "\": others than root may write to it"));
}

TEST_CASE("the configuration that setup installs is without fault") {
    Ran ran = bandctl("--config " BANDD_SOURCE "/packaging/bandd.yaml check");
    INFO(ran.out);
    CHECK(ran.code == 0);
}

TEST_CASE("usage: help for all and each, exit code 2 for what is not understood") {
    Ran help = bandctl("--help");
    CHECK(help.code == 0);
    for (const char* command :
         {"status",  "bans",    "ban",    "unban",  "explain", "history", "accounts",
          "account", "reload",  "watch",  "flush",  "version", "check",   "test",
          "geo",     "filters", "replay", "import", "state",   "keys",    "allow",
          "set",     "stop",    "start",  "help",   "get",     "banned",  "ping"}) {
        INFO(command);
        CHECK(has(help.out, std::string("  ") + command + " "));
        Ran one = bandctl(std::string(command) + " --help");
        CHECK(one.code == 0);
        CHECK(has(one.out, "bandctl " + std::string(command)));
        CHECK_FALSE(has(one.out, built("bandctl")));  // nobody wants to know the program's path
        CHECK(bandctl("help " + std::string(command)).out == one.out);
    }
    CHECK(bandctl("help").out == help.out);
    CHECK(has(bandctl("help unbann").out, "did you mean \"unban\"?"));
    CHECK(bandctl("").code == 2);
    CHECK(bandctl("nonsense").code == 2);
    CHECK(bandctl("ban").code == 2);
    CHECK(bandctl("status --colour").code == 2);
    Ran near = bandctl("unbann 192.0.2.1");
    CHECK(near.code == 2);
    CHECK(has(near.out, "did you mean \"unban\"?"));
}

TEST_CASE("a jail or an address may be called like a command: only the first word is one") {
    TempDirectory dir;
    Ran ran = bandctl("--socket " + dir / "none" + " status test");
    INFO(ran.out);
    CHECK(ran.code == 3);
    CHECK(bandctl("--socket " + dir / "none" + " account watch").code == 3);
    CHECK(bandctl("status app test").code == 2);
}

TEST_CASE("what can't be written is said, not lost in silence") {
    for (const char* command : {"keys", "keys --json"}) {
        Ran ran = bandctl(std::string(command) + " > /dev/full");
        INFO(command << ": " << ran.out);
        CHECK(ran.code == 1);
        CHECK(has(ran.out, "No space left on device"));
        CHECK(std::ranges::count(ran.out, '\n') == 1);
    }
}

TEST_CASE("a configuration file of a terabyte is refused, not read") {
    TempDirectory dir;
    write_file(dir / "bandd.yaml", "");
    fs::resize_file(dir / "bandd.yaml", std::uintmax_t{1} << 40);
    Ran ran = bandctl("check " + dir.path());
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "it is larger than 16 MiB"));
}

TEST_CASE("without a daemon: exit code 3 and where it was looked for") {
    TempDirectory dir;
    for (const char* command : {"status", "bans", "ban 192.0.2.1", "unban 192.0.2.1",
                                "explain 192.0.2.1", "reload", "watch", "flush", "version"}) {
        Ran ran = bandctl("--socket " + dir / "none" + " " + command);
        INFO(command);
        CHECK(ran.code == 3);
        CHECK(has(ran.out, "cannot reach bandd at \"" + dir / "none" +
                               "\": No such file or directory; is it running?"));
    }
}

TEST_CASE("a bad address on the command line is refused before anybody is asked") {
    TempDirectory dir;
    for (const char* bad :
         {"192.0.2.256", "192.0.2.0/33", "example.org", "2001:db8::/129", "192.0.2"}) {
        for (const char* command : {"ban", "unban", "explain"}) {
            Ran ran = bandctl("--socket " + dir / "none" + " " + command + " " + bad);
            CHECK(ran.code == 2);
            CHECK(ran.out ==
                  std::string("\"") + bad +
                      "\": is no address and no CIDR block; write 192.0.2.1, 192.0.2.0/24 or "
                      "2001:db8::/64\n");
        }
    }
    Ran ran = bandctl("--socket " + dir / "none" + " ban 192.0.2.1 --for soon");
    CHECK(ran.code == 2);
    CHECK(ran.out == "\"soon\": is no duration; write 90, 10m, 2h, 1d12h or forever\n");
}

TEST_CASE("test: which lines match which pattern, and why not") {
    TempDirectory dir;
    write_file(dir / "log",
               "Nov 21 10:00:00 mx postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
               "authentication "
               "failed: x\n"
               "Nov 21 10:00:01 mx postfix/qmgr[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
               "authentication "
               "failed: x\n"
               "Nov 21 10:00:02 mx postfix/smtpd[1]: connect from unknown[203.0.113.9]\n");
    Ran ran = bandctl("test postfix " + dir / "log");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "203.0.113.9"));
    CHECK(has(ran.out, "tag"));
    Ran json = bandctl("test postfix --json " + dir / "log");
    CHECK(std::count(json.out.begin(), json.out.end(), '\n') >= 3);
    CHECK(json.out.starts_with("{"));
    Ran piped = sh("cat " + dir / "log" + " | " + built("bandctl") + " test postfix -");
    CHECK(piped.code == 0);
    CHECK(bandctl("test postfixx " + dir / "log").code == 2);
    Ran missing = bandctl("test postfix " + dir / "missing");
    CHECK(missing.code == 2);
    CHECK(has(missing.out, "cannot read \"" + dir / "missing" + "\": No such file or directory"));
    Ran none = sh("echo harmless | " + built("bandctl") + " test postfix -");
    CHECK(none.code == 1);
}

TEST_CASE("test: a single regex, single lines, and how near a line came to matching") {
    std::string line =
        " --line 'Nov 21 03:05:50 mx sshd[1]: Failed password for root from 203.0.113.9 port 1 "
        "ssh2'";
    Ran hit =
        bandctl("test --regex '^Failed password for <F-USER>\\S+</F-USER> from <HOST>'" + line);
    INFO(hit.out);
    CHECK(hit.code == 0);
    CHECK(has(hit.out, "line 1: hit: regex  203.0.113.9  user=root\n"));
    Ran old = bandctl(
        "test --fail2ban --regex '^ \\S+ sshd\\[\\d+\\]: (?!Accepted)\\S+ .* from <HOST>'" + line);
    INFO(old.out);
    CHECK(has(old.out, "line 1: hit: regex  203.0.113.9\n"));
    Ran near = bandctl("test --regex '^Failed password for \\S+ via <HOST>'" + line);
    INFO(near.out);
    CHECK(near.code == 1);
    CHECK(has(near.out,
              "regex comes nearest: it takes \"Failed password for root \", but then wants via "
              "<HOST>\n"));
    Ran shipped = bandctl(
        "test sshd --line 'Nov 21 03:05:50 mx sshd[1]: Failed password for root from nowhere'");
    INFO(shipped.out);
    CHECK(has(shipped.out,
              "failed-password comes nearest: it takes \"Failed password for root from \", but "
              "then wants <HOST>(?: port "));
    Ran other_mode = bandctl(
        "test sshd --line 'Nov 21 03:05:50 mx sshd[1]: Connection closed by 203.0.113.9 port 7 "
        "[preauth]'");
    INFO(other_mode.out);
    CHECK(has(other_mode.out, "which is all, but it is not used (its mode)"));
    CHECK(has(bandctl("test --regex '^x <HOST>' --line 'y'").out, "; no date was found"));
    CHECK(bandctl("test").code == 2);
    CHECK(bandctl("test --regex '^x <HOST>'").code == 2);
    CHECK(bandctl("test --regex '^x'" + line).code == 2);
}

TEST_CASE("filters: what there is, shipped and one's own") {
    TempDirectory dir;
    write_file(dir / "filters/mine.yaml", "description: my own\nfailregex: ['^x <HOST>']\n");
    Ran ran = bandctl("--config " + dir.path() + " filters");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "my own"));
    CHECK(has(ran.out, "OpenSSH server, failed logins"));
    CHECK(has(bandctl("--json --config " + dir.path() + " filters").out, "\"filter\":\"mine\""));
}

TEST_CASE("check asks the kernel, as root, what the ipsets that jails name can hold") {
    TempDirectory dir;
    must("chmod 755 " + dir.path());
    must(
        "ipset create good hash:net timeout 0; ipset create single hash:ip timeout 0;"
        "ipset create six hash:net family inet6 timeout 0; ipset create pairs hash:net,port;"
        "ipset create bits bitmap:ip range 10.0.0.0/24; ipset create untimed hash:net;"
        "ipset create single6 hash:ip family inet6 timeout 0;"
        "ipset create drops hash:net forceadd timeout 0 maxelem 64; ipset create bandd-own-4 "
        "list:set");
    std::string jails = "jails:\n";
    auto jail = [&](const std::string& name, const std::string& ipset,
                    const std::string& keys = "") {
        jails += "  " + name + ": {logpath: /l, filter: sshd, action: [{ipset: " + ipset + "}]" +
                 keys + "}\n";
    };
    jail("a", "{set: good, set6: six}");
    jail("b", "{set: single}");
    jail("c", "{set: single}", ", ban_prefix: {ipv4: 24}");
    jail("d", "{set: six}");
    jail("e", "{set: pairs}");
    jail("f", "{set: bits}");
    jail("g", "{set: untimed}");
    jail("h", "{set: good, set6: single6}");
    jail("i", "{set: good, set6: single6}", ", ban_prefix: {ipv6: 128}");
    jail("j", "{set: drops}");
    jail("k", "{set: nosuch}");
    jail("l", "{set: nosuch, create: true}");
    jail("own", "{}");
    write_file(dir / "bandd.yaml", jails);
    auto check = [&](const std::string& as) {
        Ran ran = sh(as + built("bandctl") + " --config " + dir.path() + " check");
        CHECK(ran.code == 0);
        return replaced(ran.out.substr(0, ran.out.rfind(", 1 filter")), dir / "bandd.yaml:", "");
    };
    std::string hint = "; bandd writes to hash:net and hash:ip sets\n";
    CHECK(
        check("") ==
        "warning: 4:3: ipset \"single\": is of type hash:ip and can't hold the /24 that the jail "
        "bans; make it a hash:net set, or write \"ban_prefix: {ipv4: 32}\"\n"
        "warning: 5:3: ipset \"six\": holds IPv6, not IPv4; name the IPv4 set with \"set:\" and "
        "the IPv6 one with \"set6:\"\n"
        "warning: 6:3: ipset \"pairs\": is of type hash:net,port" +
            hint + "warning: 7:3: ipset \"bits\": is of type bitmap:ip" + hint +
            "warning: 9:3: ipset \"single6\": is of type hash:ip and can't hold the /48 that the "
            "jail "
            "bans; make it a hash:net set, or write \"ban_prefix: {ipv6: 128}\"\n"
            "warning: 11:3: ipset \"drops\": was made with forceadd: beyond 64 elements the kernel "
            "throws others out, and says nothing; make it without forceadd\n"
            "warning: 12:3: ipset \"nosuch\": does not exist; make it: ipset create nosuch "
            "hash:net "
            "family inet timeout 0 maxelem 1000000, or set \"create: true\"\n"
            "warning: 14:3: ipset \"bandd-own-4\": is of type list:set" +
            hint +
            "note: ipset \"untimed\": has no timeouts: bandd takes each address out at the end of "
            "its "
            "ban, which it must be running for; make it with \"timeout 0\", and bans end by "
            "themselves\n"
            "usable: 13 jails");
    std::string without = check("setpriv --reuid 65534 --clear-groups ");
    INFO(without);
    CHECK(has(without, "note: ipset: the kernel was not asked what its sets can hold: "));
    CHECK(has(without, "; run bandctl check as root\n"));
    CHECK(has(without, "all is well: 13 jails"));
}

TEST_CASE("filters, test and replay say which patterns a jail uses, and what they count as") {
    TempDirectory dir;
    write_file(dir / "bandd.yaml",
               "jails:\n"
               "  hm: {logpath: /x/hm.log, filter: hmailserver, weights: {bad-sequence: 5}}\n"
               "  abuse: {logpath: /x/hm.log, filter: hmailserver, maxretry: 1, patterns: "
               "[bad-sequence, authentication-not-enabled]}\n");
    std::string head =
        "2026-11-21T10:00:00Z mail \"SMTPD\"\t1\t2\t\"2026-11-21 10:00:00.000\"\t\"203.0.113.9\"\t";
    write_file(dir / "hm.log", head + "\"SENT: 535 Authentication failed. Bye\"\n" + head +
                                   "\"SENT: 503 Bad sequence of commands\"\n");
    std::string uses =
        "jail abuse uses its patterns: only bad-sequence, authentication-not-enabled\n"
        "jail hm uses its patterns: all; bad-sequence (counts 5)\n";
    std::string config = "--config " + dir.path() + " ";
    CHECK(has(bandctl(config + "filters").out, "filter hmailserver:\n" + uses));
    // A filter of the configuration's own, which is named by a relative path.
    TempDirectory own;
    write_file(own / "etc/filters/shop.yaml",
               "description: x\nfailregex:\n  - {id: bad, regex: '^bad <HOST>$'}\n"
               "  - {id: worse, regex: '^worse <HOST>$'}\nsamples:\n"
               "  - {line: 'bad 203.0.113.9', match: bad}\n"
               "  - {line: 'worse 203.0.113.9', match: worse}\n");
    write_file(own / "etc/bandd.yaml", "jails:\n  shop: {logpath: /x.log, weights: {worse: 3}}\n");
    for (const char* command : {"filters", "test shop"}) {
        INFO(command);
        CHECK(
            has(sh("cd " + own.path() + " && " + built("bandctl") + " --config etc " + command).out,
                "jail shop uses its patterns: all; worse (counts 3)"));
    }
    CHECK(has(bandctl(config + "test hmailserver").out, uses));
    CHECK(has(bandctl(config + "test hmailserver " + dir.path() + "/hm.log").out, uses));
    CHECK(has(bandctl("--json " + config + "filters").out,
              R"("jails":{"abuse":"only bad-sequence, authentication-not-enabled","hm":"all; )"));
    Ran replayed = bandctl(config + "replay --all " + dir.path() + "/hm.log");
    INFO(replayed.out);
    CHECK(has(replayed.out, "bad-sequence: 6 failures by 2 lines\n"));
    CHECK(has(replayed.out,
              "hm: 1 ban, 2 hits, 0 ignored\n"
              "  patterns: all; bad-sequence (counts 5)\n"));
    CHECK(has(replayed.out, "abuse: 1 ban, 1 hit, 0 ignored\n  patterns: only bad-sequence, "));
}

TEST_CASE("import and check: all of Debian's default fail2ban, without an error") {
    if (!fs::exists("/etc/fail2ban/jail.conf")) {
        WARN("skipped: needs Debian's package fail2ban");
        return;
    }
    TempDirectory dir;
    std::string out = dir / "out";
    Ran ran = bandctl("import fail2ban --all --to " + out);
    INFO(ran.out);
    REQUIRE(ran.code == 0);
    // All that is said of the 91 jails, as Debian ships them.
    std::string notes = ran.out.substr(0, ran.out.find("91 jails"));
    CHECK(
        notes ==
        "carried over\n"
        "  recidive: counts bandd's own bans (source: bans), not the lines of fail2ban's log\n"
        "changed\n"
        "  3proxy: is called jail-3proxy here, as bandd's names go\n"
        "lost\n"
        "  pass2allow-ftp: action iptables-multiport lets addresses through (blocktype = return), "
        "which bandd has no action for\n"
        "  pass2allow-ftp: no action of it could be carried over: it bans nobody\n"
        "to decide\n"
        "  apache-fakegooglebot: ignorecommand runs as bandd-exec, without root's rights; give it "
        "\"user: root\" if it needs them\n"
        "  xinetd-fail: action iptables-multiport-log: packets are not logged; add log_prefix to "
        "nftables for that\n");
    CHECK(has(ran.out, " written to " + out + "\n"));
    Ran check = bandctl("check " + out);
    INFO(check.out);
    CHECK(check.code == 0);
    CHECK(has(check.out, "usable: "));
    // Those by which a client can name another host, each with a line that does it.
    std::istringstream lines(check.out);
    std::string forgeable;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("warning: ")) continue;
        REQUIRE(has(line, "a client could name another host: "));
        std::string file = line.substr(line.find("/filters/") + 9);
        std::string name = file.substr(0, file.find(".yaml"));
        forgeable += name + " ";
        // It bans the wrong one, as is said.
        std::string shown = line.substr(line.find("not 203.0.113.9: ") + 17);
        shown = shown.substr(0, shown.rfind("; begin it with ^"));
        write_file(out + "/line", shown + "\n");
        Ran tried = bandctl("test " + out + "/filters/" + name + ".yaml " + out + "/line");
        INFO(tried.out);
        CHECK(has(tried.out, "  198.51.100.7"));
    }
    CHECK(forgeable == "asterisk haproxy-http-auth pam-generic pure-ftpd roundcube-auth ");
    // Every jail, enabled.
    std::size_t jails = 0;
    for (const auto& entry : fs::directory_iterator(out + "/jails")) {
        write_file(entry.path().string(),
                   replaced(read_file(entry.path().string()), "enabled: false", "enabled: true"));
        ++jails;
    }
    CHECK(jails > 80);
    Ran all = bandctl("check " + out);
    INFO(all.out);
    CHECK(all.code == 0);
    CHECK(has(bandctl("import fail2ban --to " + out).out, "is there and not empty"));
    CHECK(bandctl("import fail2ban --to " + out).code == 2);
    CHECK(bandctl("import fail2ban --from " + dir.path() + " --to " + out).code == 2);
    CHECK(bandctl("import crowdsec").code == 2);
}

TEST_CASE(
    "replay: who would have been banned by old logs, plain and compressed, and by which lines") {
    TempDirectory dir;
    write_file(
        dir / "bandd.yaml",
        "jails:\n  sshd: {logpath: /var/log/auth.log, maxretry: 2, findtime: 1h, bantime: 1h}\n"
        "  other: {filter: sshd, logpath: /var/log/other.log, maxretry: 1}\n");
    std::string failed = " mx sshd[7]: Failed password for root from 203.0.113.9 port 4711 ssh2\n";
    write_file(dir / "auth.log.2",
               "2026-01-02T03:00:00Z" + failed + "2026-01-02T03:00:01Z mx x: y\n");
    write_file(dir / "auth.log.1", "2026-01-02T03:30:00Z" + failed);
    must("gzip " + dir.path() + "/auth.log.2; zstd -q --rm " + dir.path() + "/auth.log.1");
    std::string logs = dir / "auth.log.1.zst " + dir.path() + "/auth.log.2.gz";
    Ran ran = bandctl("--config " + dir.path() + " replay --jail sshd " + logs);
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "  ban 203.0.113.9  sshd  until "));
    CHECK(has(ran.out, " (1h), ban number 1\n"));
    CHECK(has(ran.out, "    failed-password: 2026-01-02T03:00:00Z mx sshd[7]: Failed password"));
    CHECK(has(ran.out, "sshd: 1 ban, 2 hits, 0 ignored\n        2  failed-password\n"));
    CHECK(has(ran.out, "3 lines in "));
    Ran machine = bandctl("--json --config " + dir.path() + " replay -j sshd " + logs);
    CHECK(has(machine.out, R"("from":"2026-01-02T03:30:00Z")"));
    CHECK(has(machine.out, R"("until":"2026-01-02T04:30:00Z")"));
    // A log that a jail names goes through that jail; one that nobody names, through none.
    write_file(dir / "bandd.yaml", "jails:\n  sshd: {logpath: " + dir.path() +
                                       "/a.log, maxretry: 1}\n"
                                       "  other: {filter: sshd, logpath: /x.log, maxretry: 1}\n");
    write_file(dir / "a.log", "2026-01-02T03:00:00Z" + failed);
    write_file(dir / "b.log", "2026-01-02T03:00:00Z" + failed);
    CHECK(has(bandctl("--config " + dir.path() + " replay " + dir / "a.log").out, "sshd: 1 ban"));
    CHECK_FALSE(
        has(bandctl("--config " + dir.path() + " replay " + dir / "a.log").out, "other: 1 ban"));
    Ran none = bandctl("--config " + dir.path() + " replay " + dir / "b.log");
    CHECK(none.code == 2);
    CHECK(none.out == dir / "b.log" +
                          ": no jail reads it, so it goes through none; give --jail NAME, or --all "
                          "for every jail\n");
    Ran both = bandctl("--config " + dir.path() + " replay " + dir / "a.log " + dir / "b.log");
    INFO(both.out);
    CHECK(both.code == 0);
    CHECK(has(both.out, dir / "b.log: no jail reads it"));
    CHECK(has(both.out, "sshd: 1 ban"));
    CHECK_FALSE(has(both.out, "other: "));
    Ran all = bandctl("--config " + dir.path() + " replay --all " + dir / "b.log");
    CHECK(all.code == 0);
    CHECK(has(all.out, "sshd: 1 ban"));
    CHECK(has(all.out, "other: 1 ban"));
    // The log may be of another machine: jails whose own log is not here are asked, too.
    write_file(dir / "auto/bandd.yaml",
               "jails:\n  sshd: {enabled: auto, logpath: /not/here.log, maxretry: 1}\n");
    for (const char* how : {"--all ", "-j sshd "})
        CHECK(has(bandctl("--config " + dir / "auto" + " replay " + how + dir / "b.log").out,
                  "sshd: 1 ban"));
    CHECK(bandctl("--config " + dir / "auto" + " replay " + dir / "b.log").code == 2);
    CHECK(has(bandctl("--config " + dir / "auto" + " replay --all -j sshd " + dir / "b.log").out,
              "--all: cannot be given with --jail"));
    // Standard input, a file or a pipe.
    for (const std::string& from : {"cat " + dir / "b.log | ", std::string()}) {
        std::string to = from.empty() ? " < " + dir / "b.log" : "";
        auto piped = [&](const std::string& how) {
            return sh(from + built("bandctl") + " --config " + dir.path() + " replay " + how + to);
        };
        CHECK(has(piped("-").out, "-: no jail reads it, so it goes through none"));
        CHECK(has(piped("-j other -").out, "other: 1 ban"));
        CHECK(has(piped("--all -").out, "sshd: 1 ban"));
        write_file(dir / "stdin/bandd.yaml",
                   "jails:\n  other: {filter: sshd, source: stdin, maxretry: 1}\n");
        CHECK(has(sh(from + built("bandctl") + " --config " + dir / "stdin" + " replay -" + to).out,
                  "other: 1 ban"));
    }

    Ran missing = bandctl("--config " + dir.path() + " replay " + dir / "nothing");
    CHECK(missing.code == 2);
    CHECK(
        has(missing.out, "cannot read \"" + dir.path() + "/nothing\": No such file or directory"));
    Ran nojail = bandctl("--config " + dir.path() + " replay -j ssdh " + dir / "a.log");
    CHECK(nojail.code == 2);
    CHECK(has(nojail.out, "did you mean \"sshd\"?"));
    must("printf broken > " + dir / "c.log.gz; printf broken > " + dir / "c.log.zst");
    Ran broken = bandctl("--config " + dir.path() + " replay --all " + dir / "c.log.zst");
    CHECK(broken.code == 2);
    CHECK_FALSE(has(broken.out, "no jail"));
}

TEST_CASE("replay: a client who chooses where his line is cut names nobody else") {
    TempDirectory dir;
    write_file(dir / "filters/end.yaml",
               "description: test\nfailregex:\n"
               "  - {id: end, regex: '^login failed for .* from <HOST>$'}\n"
               "samples:\n  - {line: login failed for x from 203.0.113.9, match: end}\n");
    write_file(dir / "filters/begin.yaml",
               "description: test\nfailregex:\n"
               "  - {id: begin, regex: '^denied <HOST> as .*$'}\n"
               "samples:\n  - {line: denied 203.0.113.9 as x, match: begin}\n");
    write_file(dir / "bandd.yaml", "jails:\n  end: {logpath: " + dir / "*.log, maxretry: 1}\n" +
                                       "  begin: {logpath: " + dir / "*.log, maxretry: 1}\n");
    auto cut_at = [](std::size_t limit, const std::string& begin, const std::string& end) {
        return begin + std::string(limit - begin.size() - end.size(), 'a') + end;
    };
    std::string tail = "ZZ from 203.0.113.9\n";
    std::string date = "2026-11-30T10:00:00Z ";
    write_file(dir / "text.log", cut_at(65536, date + "login failed for ", " from 198.51.100.7") +
                                     tail + cut_at(65536, date + "denied 203.0.113.1 as ", "") +
                                     tail);
    // A container's, whose line goes on in another file.
    write_file(dir / "cri.log", date + "stdout F login failed for x from 203.0.113.2\n" + date +
                                    "stdout P login failed for x from 198.51.100.7\n");
    write_file(
        dir / "docker.log",
        R"({"log":"login failed for x from 203.0.113.3\n","stream":"stdout","time":"2026-11-30T10:00:00Z"})"
        "\n"
        R"({"log":"login failed for x from 198.51.100.7","stream":"stdout","time":"2026-11-30T10:00:00Z"})"
        "\n");
    Ran ran = bandctl("--config " + dir.path() + " replay " + dir / "text.log " + dir / "cri.log " +
                      dir / "docker.log");
    INFO(ran.out);
    for (const char* right : {"203.0.113.1", "203.0.113.2", "203.0.113.3"})
        CHECK(has(ran.out, "ban " + std::string(right) + " "));
    CHECK_FALSE(has(ran.out, "198.51.100.7"));
    CHECK_FALSE(has(ran.out, "203.0.113.9"));
}

TEST_CASE("test: a line is cut where the daemon cuts it, and joined as it joins") {
    TempDirectory dir;
    write_file(dir / "bandd.yaml", "line_limit: 1024\n");
    std::string docker = R"({"log":"denied )";
    for (int i = 0; i < 900; ++i) docker += "\\u003c";
    docker += R"( from 203.0.113.1\n","stream":"stdout","time":"2026-11-30T10:00:00Z"})";
    std::string date = "2026-11-30T10:00:00Z ";
    std::string too_long = "denied " + std::string(1000, 'x') + " from 198.51.100.7";
    std::string as_if = "denied " + std::string(1024 - 7 - 18, 'x') + " from 198.51.100.7";
    write_file(dir / "docker.log", docker + "\n");
    write_file(dir / "cri.log",
               date + "stdout P denied x\n" + date + "stdout F  from 203.0.113.2\n");
    write_file(dir / "text.log", too_long + "\n" + as_if + "ZZ\n");
    std::string test = "--config " + dir.path() + " test --regex 'denied \\S+ from <HOST>$' ";
    CHECK(has(bandctl(test + dir / "docker.log").out, "hit: regex  203.0.113.1"));
    CHECK(has(bandctl(test + dir / "cri.log").out, "hit: regex  203.0.113.2"));
    Ran text = bandctl(test + dir / "text.log");
    INFO(text.out);
    CHECK(has(text.out, "2 lines, 0 hits"));
    CHECK(
        has(text.out, "line 2: cut: regex matches, but the line has no end or is over line_limit"));
    CHECK(has(bandctl(test + "--line '" + as_if + "ZZ'").out, "0 hits"));
}

TEST_CASE("replay: the daemon's limits hold") {
    TempDirectory dir;
    std::string jails = "jails:\n  sshd: {logpath: " + dir / "a.log, maxretry: 1}\n";
    std::string failed = " mx sshd[7]: Failed password for root from 203.0.113.";
    for (const char* host : {"1", "2", "3"})
        append_file(dir / "a.log", "2026-01-02T03:00:00Z" + failed + host + " port 4711 ssh2\n");
    for (auto [limit, bans] : {std::pair("", "3 bans"), std::pair("ban_limit: 1\n", "1 ban")}) {
        write_file(dir / "bandd.yaml", limit + jails);
        CHECK(has(bandctl("--config " + dir.path() + " replay " + dir / "a.log").out,
                  "sshd: " + std::string(bans)));
    }
}

TEST_CASE("replay: a client who has 1 MiB of his written into a JSON log does not hide by it") {
    TempDirectory dir;
    write_file(dir / "bandd.yaml", "jails:\n  caddy: {logpath: " + dir.path() +
                                       "/*.log, maxretry: 3, findtime: 1h, bantime: 1h}\n");
    // As Caddy writes a header that is no UTF-8, and as Docker cuts it.
    must("python3 - " + dir.path() +
         " <<'E'\n"
         R"(
import json, sys
for name, unit in ('direct', '\\ufffd'), ('docker', 'x'):
    with open(sys.argv[1] + '/' + name + '.log', 'w') as log:
        for i in range(3):
            line = ('{"level":"error","ts":179603109%d.5,"request":{"remote_ip":"203.0.113.%d",'
                    '"headers":{"Authorization":[],"X":["%s"]}},"status":401,'
                    '"resp_headers":{"Www-Authenticate":["Basic realm=x"]}}\n'
                    % (i, 1 if name == 'direct' else 2, unit * (1 << 20)))
            if name == 'direct':
                log.write(line)
                continue
            for at in range(0, len(line), 16384):
                log.write('{"log":%s,"stream":"stderr","time":"2026-11-30T10:00:00.%09dZ"}\n'
                          % (json.dumps(line[at:at + 16384]), at))
)"
         "E\n");
    for (const auto& [name, address] :
         {std::pair("direct.log", "203.0.113.1"), std::pair("docker.log", "203.0.113.2")}) {
        Ran ran = bandctl("--config " + dir.path() + " replay " + dir / name);
        INFO(ran.out.substr(0, 2000));
        CHECK(has(ran.out, "ban " + std::string(address)));
    }
}

TEST_CASE("replay: --offset is added to the dates of logs, as of another time zone") {
    TempDirectory dir;
    write_file(dir / "bandd.yaml",
               "jails:\n  sshd: {logpath: " + dir.path() +
                   "/*.log, maxretry: 2, findtime: 1h, bantime: 1h, bantime.increment: false}\n");
    std::string failed = " mx sshd[7]: Failed password for root from 203.0.113.9 port 4711 ssh2\n";
    write_file(dir / "a.log", "2026-01-02T03:00:00Z" + failed);
    write_file(dir / "b.log", "2026-01-02T03:30:00Z" + failed);
    std::string json = "--json --config " + dir.path() + " replay ";
    std::string logs = " " + dir / "a.log " + dir / "b.log";
    CHECK(has(bandctl(json + logs).out, R"("from":"2026-01-02T03:30:00Z")"));
    CHECK(has(bandctl(json + "--offset 1h" + logs).out, R"("from":"2026-01-02T04:30:00Z")"));
    CHECK(has(bandctl(json + "--offset=-30m" + logs).out, R"("from":"2026-01-02T03:00:00Z")"));
    must("cat " + logs + " > " + dir / "c.log");
    CHECK(has(bandctl(json + "--offset +5h45m " + dir / "c.log").out,
              R"("from":"2026-01-02T09:15:00Z")"));
    for (const char* wrong : {"", "10m", "1h1m", "forever", "x", "-1", "15m"}) {
        Ran ran = bandctl(json + "--offset '" + std::string(wrong) + "'" + logs);
        INFO(ran.out);
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "zones do not differ by that; write a multiple of 15m"));
    }
}

TEST_CASE("the configuration reference in docs/ is what `bandctl keys` prints") {
    CHECK(bandctl("keys").out == read_file(BANDD_SOURCE "/docs/configuration.md"));
}

TEST_CASE("shells complete commands, options, the words to choose from, and files") {
    TempDirectory dir;
    write_file(dir / "list.txt", "");
    write_file(dir / "filters/mine.yaml", "description: my own\nfailregex: ['^x <HOST>']\n");
    std::string shipped = BANDD_SOURCE "/packaging/completions/";
    std::string path = "cd " + dir.path() + "; PATH=" + built("") + ":$PATH ";
    // What is offered after a line, in order, each in a line of its own.
    std::map<std::string, std::function<std::string(const std::string&)>> shells;
    shells["bash"] = [&](const std::string& line) {
        return must("export COMP_LINE=" + line + "; " + path + "bash -c 'source " + shipped +
                    "bandctl.bash; COMP_POINT=${#COMP_LINE}; COMP_WORDBREAKS=\" :=\"; _bandctl; " +
                    R"(printf "%s\n" "${COMPREPLY[@]}"' | sort)");
    };
    if (sh("command -v fish").code == 0)
        shells["fish"] = [&](const std::string& line) {
            return must(path + "HOME=" + dir.path() + " fish --no-config -c 'source " + shipped +
                        "bandctl.fish; complete -C " + line + "' | cut -f1");
        };
    // zsh completes on a terminal only.
    if (sh("command -v zsh").code == 0)
        shells["zsh"] = [&](const std::string& line) {
            return must(path + BANDD_SOURCE "/tests/cli/zsh-complete " + shipped + " " + line);
        };
    for (const auto& [shell, completed] : shells) {
        INFO(shell);
        CHECK(completed("\"bandctl sta\"") == "start\nstate\nstatus\n");
        CHECK(has(completed("\"bandctl \""), "keys\n"));
        for (const char* option : {"--jail", "--since", "--limit", "--json", "--config"})
            CHECK(has(completed("\"bandctl history --\""), std::string(option) + "\n"));
        CHECK_FALSE(has(completed("\"bandctl history --\""), "--force"));
        CHECK(completed("\"bandctl accounts --sort c\"") == "count\ncountries\n");
        CHECK(completed("\"bandctl bans --format c\"") == "csv\n");
        CHECK(completed("\"bandctl --json account joe b\"") == "block\n");
        CHECK(completed("\"bandctl -c . test min\"") == "mine\n");
        CHECK(has(completed("\"bandctl replay li\""), "list.txt"));
        CHECK(has(completed("\"bandctl -c fil\""), "filters"));
        CHECK(completed("\"bandctl help unb\"") == "unban\n");
    }
    CHECK(shells.size() >= 1);
    WARN("completion was tested in " << shells.size() << " of 3 shells");
}

TEST_CASE(
    "replay: says that a filter knows its program's lines no more, whoever reads how much at "
    "once") {
    TempDirectory dir;
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n"
               "  - {id: denied, regex: '^denied <F-USER>\\S+</F-USER> <HOST>$'}\n"
               "samples:\n  - {line: denied bob 203.0.113.9, match: denied}\n"
               "  - {line: allowed bob 203.0.113.9, match: none}\n");
    std::string lines;
    for (int i = 0; i < 6000; ++i)
        lines += "2026-11-21 10:00:00 " +
                 (i % 10 == 0 ? "denied bob 198.51.100." + std::to_string(i / 10 % 200 + 1)
                              : "page " + std::to_string(i) + " was served in no time at all") +
                 "\n";
    write_file(dir / "good.log", lines);
    for (int i = 1; i <= 30; ++i)
        lines += "2026-11-21 11:00:00 denied user bob at 198.51.100." + std::to_string(i) + "\n";
    write_file(dir / "changed.log", lines);
    for (const char* matchers : {"1", "4"}) {
        write_file(dir / "bandd.yaml", "matchers: " + std::string(matchers) +
                                           "\njails:\n  app: {logpath: '*.log', maxretry: 1000}\n");
        std::string replay = "--config " + dir.path() + " replay ";
        CHECK_FALSE(has(bandctl(replay + dir / "good.log").out, "blind"));
        Ran ran = bandctl(replay + dir / "changed.log");
        INFO(ran.out);
        CHECK(has(ran.out, "pattern \"denied\" of filter \"app\" is blind: since 2026-11-21T"));
        CHECK(has(ran.out, "6 lines look like failures, and nothing matches them"));
        CHECK(has(bandctl("--json " + replay + dir / "changed.log").out, "\"kind\":\"warning\""));
    }
}
