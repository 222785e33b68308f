// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl as a user meets it, where no daemon is needed: messages in full, exit codes.
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
namespace fs = std::filesystem;
using Json = nlohmann::json;

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
    Ran ran = bandctl("--config " + dir.path() + " check");
    INFO(ran.out);
    CHECK(ran.code == 2);  // as a reload would
    CHECK(has(ran.out, "programs are not run: \"" + file + "\": others than root may write to it"));
    CHECK_FALSE(has(ran.out, "usable"));
    fs::permissions(file, fs::perms{0644});
    fs::create_directory(dir / "open");
    fs::permissions(dir / "open", fs::perms{0777});
    fs::copy("/bin/true", dir / "open/true");
    for (std::string rights : {"user: root, ", "capabilities: [net_admin], "}) {
        write_file(file, "jails:\n  app:\n    source: bans\n    action:\n      - exec: {" + rights +
                             "ban: [" + dir / "open/true" + ", <ip>]}\n");
        ran = bandctl("--config " + dir.path() + " check");
        INFO(ran.out);
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "open/true\" is not run: \"" + dir / "open" +
                               "\": others than root may write to it"));
    }
    out = check("ban: [" + dir / "open/true" + ", <ip>]");  // it runs without rights
    CHECK_FALSE(has(out, "is not run"));
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
         {"status", "bans",   "ban",   "unban",   "explain", "history", "accounts", "account",
          "reload", "watch",  "flush", "version", "check",   "test",    "geo",      "filters",
          "replay", "import", "state", "keys",    "allow",   "set",     "stop",     "start",
          "config", "setup",  "help",  "get",     "banned",  "ping"}) {
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

TEST_CASE("state: of a configuration that is not there no state is guessed") {
    TempDirectory dir;
    for (const char* words : {"state export", "state import", "state import /dev/null"}) {
        Ran ran = bandctl("--config " + dir / "none " + words + " < /dev/null");
        INFO(ran.out);
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "configuration \"" + dir / "none" + "\": No such file or directory"));
    }
    write_file(dir / "bandd.yaml", "state: own.db\nbroken: {\n");
    CHECK(bandctl("--config " + dir.path() + " state export").code == 2);
    write_file(dir / "bandd.yaml", "state: own.db\nbroken: 1\n");
    CHECK(has(bandctl("--config " + dir.path() + " state export").out, dir / "own.db"));
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
            "warning: 13:3: ipset \"bandd-own-4\": is of type list:set" +
            hint +
            "note: ipset \"untimed\": has no timeouts: bandd takes each address out at the end of "
            "its "
            "ban, which it must be running for; make it with \"timeout 0\", and bans end by "
            "themselves\n"
            "usable: 12 jails");
    std::string without = check("setpriv --reuid 65534 --clear-groups ");
    INFO(without);
    CHECK(has(without, "note: ipset: the kernel was not asked what its sets can hold: "));
    CHECK(has(without, "; run bandctl check as root\n"));
    CHECK(has(without, "all is well: 12 jails"));
    jail("k", "{set: nosuch}");
    write_file(dir / "bandd.yaml", jails);
    Ran missing = bandctl("--config " + dir.path() + " check");
    CHECK(missing.code == 2);
    CHECK(has(missing.out, "error: " + dir / "bandd.yaml" +
                               ":14:3: ipset \"nosuch\": does not exist; make it: ipset create "
                               "nosuch hash:net family inet timeout 0 maxelem 1000000, or set "
                               "\"create: true\"\n"));
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
    for (const char* wrong : {"10m", "1h1m", "forever", "x", "-1", "15m"}) {
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
        CHECK(completed("\"bandctl get sshd ma\"") == "maxretry\n");
        CHECK(completed("\"bandctl state \"") == "export\nimport\n");
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

namespace {

// A configuration with one filter, and what check says of it.
struct Checked {
    TempDirectory dir;
    std::string yaml = dir / "bandd.yaml", mine = dir / "jails/mine.yaml";
    Checked() {
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex: [{id: denied, regex: '^denied <HOST>$'}]\n"
                   "samples:\n  - {line: 'denied 192.0.2.1', match: denied, ip: 192.0.2.1}\n"
                   "  - {line: 'allowed 192.0.2.1', match: none}\n");
    }
    Ran check(const std::string& arguments = "") const {
        return bandctl("--config " + dir.path() + " check " + arguments);
    }
};

}  // namespace

TEST_CASE_METHOD(Checked, "check: a configuration by which nobody would be banned is a fault") {
    write_file(yaml, "");
    Ran ran = check();
    CHECK(ran.code == 2);
    CHECK(ran.out.starts_with("error: " + yaml +
                              ": nobody would be banned: no jail is in use; bandctl setup finds "
                              "the services of this machine; --allow-empty, if that is meant\n"));
    CHECK(check("--allow-empty").code == 0);
    // What waits for its log is no fault: the machine may be new.
    write_file(mine, "app: {enabled: auto, logpath: /no/such/log}\n");
    ran = check();
    CHECK(ran.code == 0);
    CHECK(ran.out.starts_with("warning: " + yaml +
                              ": nobody would be banned: there is nothing to read here for app; "
                              "bandctl setup finds the services of this machine\nusable: "));
    write_file(mine, "app: {logpath: /no/such/log}\n");
    CHECK(check().code == 0);
    // Without a jail there may be something to do, too.
    write_file(mine, "");
    write_file(yaml, "policy: {listen: unix:/run/x}\n");
    CHECK(check().code == 0);
}

TEST_CASE_METHOD(Checked, "check: files that bandd passes over because of their name") {
    write_file(mine, "app: {logpath: /l}\n");
    write_file(dir / "bandd/bandd.yaml", "");
    CHECK(has(bandctl("check " + dir.path()).out,
              "is a configuration of its own and passed over: nothing in it is in force"));
    fs::remove_all(dir / "bandd");
    write_file(dir / "jails/other.yml", "other: {logpath: /l, filter: app}\n");
    Ran ran = check();
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "error: " + dir / "jails/other.yml" +
                           ": \"other.yml\": is passed over: only files that end in .yaml are "
                           "read; name it other.yaml\n"));
    fs::remove(dir / "jails/other.yml");
    write_file(dir / "jails/other.YAML", "other: {logpath: /l, filter: app}\n");
    CHECK(has(check().out,
              "\"other.YAML\": is passed over: only files that end in .yaml are read; "
              "name it other.yaml\n"));
    fs::remove(dir / "jails/other.YAML");
    write_file(mine, "app: {logpath: /etc}\n");
    CHECK(has(check().out,
              "jail \"app\", logpath \"/etc\": is a directory; name the files: /etc/*.log"));
    write_file(mine, "app: {logpath: \"/l\\0x\"}\n");
    CHECK(has(check().out, "has a NUL byte in it, which no path has"));
    write_file(mine, "app: {logpath: /l}\n");
    write_file(dir / "filters/other.yml", "");
    CHECK(check().code == 2);
}

TEST_CASE_METHOD(Checked,
                 "check: programs that are not there, tags and variables that mean nothing") {
    auto check_jail = [&](const std::string& keys) {
        write_file(mine, "app:\n  logpath: /l\n  " + keys + "\n");
        return check();
    };
    auto refuses = [&](const std::string& keys, const std::string& message) {
        Ran ran = check_jail(keys);
        INFO(ran.out);
        CHECK(ran.code == 2);
        CHECK(has(ran.out, "error: " + mine + ":" + message));
    };
    refuses("action: [{exec: {ban: [/usr/local/bin/nowhere, <ip>]}}]",
            "1:1: jail \"app\", action exec \"/usr/local/bin/nowhere\": there is no such program; "
            "install it, or give its path\n");
    refuses("ignorecommand: [/etc/passwd, <ip>]",
            "1:1: jail \"app\", ignorecommand \"/etc/passwd\": is no program that can be run; "
            "chmod +x it\n");
    refuses("action: [{exec: {ban: [/bin/echo, <ipp>]}}]",
            "1:1: jail \"app\", action exec \"/bin/echo\": nothing fills in <ipp>, which stays as "
            "it is; did you mean \"ip\"?\n");
    refuses("action: [{syslog: {ban: '<adress> BANNED'}}]",
            "1:1: jail \"app\", action syslog: nothing fills in <adress>, which stays as it is; "
            "there are <ip> <prefix> ");
    refuses("bantime: 1h\n  action: [{exec: {ban: [/bin/echo, '${API_KEY}']}}]",
            "4:37: \"${API_KEY}\": is not filled in: bandd knows no variables; write the value; a "
            "secret can be in a file: file:PATH\n");
    // A shell has its own.
    Ran ran = check_jail(
        "action: [{exec: {ban: [/bin/sh, -c, 'echo ${HOME} < /dev/null > x', x, <ip>, "
        "<F-USER>]}}]");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(check_jail("action: [{syslog: {ban: '<ip> <F-USER> <matches> a < b > c <'}}]").code == 0);
    write_file(yaml,
               "http: {listen: 'tcp://127.0.0.1:1', token: '${BANDD_TOKEN:-0123456789abcdef}'}\n");
    CHECK(has(check_jail("maxretry: 3").out,
              "error: " + yaml + ":1:44: \"${BANDD_TOKEN:-0123456789abcdef}\": "));
}

TEST_CASE_METHOD(Checked, "check --for-start: a slip keeps no script from starting bandd") {
    write_file(mine, "app: {logpath: /l, action: [{exec: {ban: [/no/where, <ipp>]}}]}\n");
    write_file(dir / "jails/x.yml", "");
    CHECK(check().code == 2);
    Ran ran = check("--for-start");
    INFO(ran.out);
    CHECK(ran.code == 0);
    write_file(mine, "");
    CHECK(check("--for-start").code == 0);
    write_file(mine, "app: {logpat: /l}\n");
    CHECK(check("--for-start").code == 2);
}

TEST_CASE_METHOD(Checked, "check: a single file before it is put in place, whatever its name") {
    write_file(yaml, "defaults: {maxretry: 3}\n");
    write_file(mine, "app: {logpath: /l}\n");
    TempDirectory other;
    std::string file = other / ".ansible_tmpabc";
    auto check_file = [&](const std::string& text) {
        write_file(file, text);
        Ran ran = check(file);
        INFO(ran.out);
        return ran;
    };
    // Jails: in place of those of the same name, with the filters and defaults that are there.
    Ran ran = check_file("app: {logpath: /m}\nsecond: {logpath: /n, filter: app}\n");
    CHECK(ran.code == 0);
    CHECK(ran.out == "all is well: 2 jails, 0 filters, 0 samples\n");
    ran = check_file("app: {logpath: /m, maxrety: 3}\n");
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "error: " + file +
                           ":1:20: unknown key \"maxrety\": in jail \"app\"; did you "
                           "mean \"maxretry\"?\n"));
    CHECK(check_file("app: {logpath: /m, filter: nosuch}\n").code == 2);
    CHECK(check_file("sshd: {maxretry: 3}\n").code == 0);
    CHECK(check_file("app: {logpath: /m, action: [{exec: {ban: [/no/where]}}]}\n").code == 2);
    // A filter, with its samples.
    ran = check_file(read_file(dir / "filters/app.yaml"));
    CHECK(ran.code == 0);
    CHECK(ran.out == "all is well: 0 jails, 1 filter, 2 samples\n");
    ran = check_file(replaced(read_file(dir / "filters/app.yaml"), "allowed", "denied"));
    CHECK(ran.code == 2);
    // An action.
    CHECK(check_file("description: x\naction:\n  - nftables: {hook: input}\n").code == 0);
    CHECK(check_file("description: x\naction:\n  - nftables: {hok: input}\n").code == 2);
    CHECK(check_file("action: [{exec: {ban: [/no/where]}}]\n").code == 2);
    // bandd.yaml: with the jails that are there, and by the name that it is to have.
    CHECK(check_file("defaults: {maxretry: 4}\n").code == 0);
    ran = check_file("defaults: {maxretry: 4}\nstat: x\n");
    CHECK(ran.code == 2);
    CHECK(has(ran.out, "error: " + yaml + ":2:1: unknown key \"stat\""));
    CHECK(check_file("jails: !include jails/*.yaml\n").code == 0);
    CHECK(check_file("defaults: [\n").code == 2);
    // What is wrong elsewhere is not this file's.
    write_file(dir / "jails/bad.yaml", "bad: {logpath: 1, maxretry: x}\n");
    CHECK(check_file("app: {logpath: /m}\n").code == 0);
    // Before there is a configuration.
    write_file(file, "sshd: {maxretry: 3}\n");
    CHECK(bandctl("-c " + other / "none" + " check " + file).code == 0);
}

TEST_CASE_METHOD(Checked, "config: each value, and the file and line that says it; no secrets") {
    chmod(dir.path().c_str(), 0755);  // its files are for all eyes
    write_file(dir / "token", "0123456789abcdef0\n");
    write_file(yaml,
               "defaults:\n  maxretry: 7\n  ignoreip: [192.0.2.1]\nhttp:\n  listen: "
               "tcp://127.0.0.1:10041\n  token: 0123456789abcdef\nremote:\n  peers:\n    router: "
               "{token: 'file:token'}\n");
    write_file(
        mine,
        "app:\n  logpath: /l\n  findtime: 20m\n  ignoreip: [192.0.2.2]\n  action:\n"
        "    - exec: {ban: [/bin/echo, --token, abc, --password=def, 'X-Api-Key: ghi', <ip>]}\n"
        "idle: {enabled: auto, logpath: /no/such/log, filter: app}\n"
        "sshd: {maxretry: 2, enabled: false}\n");
    auto config = [&](const std::string& jail) {
        Ran ran = bandctl("--json --config " + dir.path() + " config --files " + jail);
        INFO(ran.out);
        CHECK(ran.code == 0);
        return Json::parse(ran.out);
    };
    auto said = [](const Json& json, const std::string& key) {
        std::string all;
        for (const Json& one : json["settings"])
            if (one["key"] == key)
                all += one["value"].get<std::string>() + " " +
                       (one.contains("file")
                            ? fs::path(one["file"].get<std::string>()).filename().string() + ":" +
                                  one["line"].dump()
                            : "default") +
                       "\n";
        return all;
    };
    Json app = config("app");
    CHECK(app["use"] == "used");
    CHECK(said(app, "maxretry") == "7 bandd.yaml:2\n");
    CHECK(said(app, "findtime") == "20m mine.yaml:3\n");
    CHECK(said(app, "bantime") == "1h default\n");
    CHECK(said(app, "ignoreip") == "[192.0.2.2] mine.yaml:4\n[192.0.2.1] bandd.yaml:3\n");
    CHECK(said(app, "action") ==
          "[{exec: {ban: [/bin/echo, --token, (secret), --password=(secret), X-Api-Key:(secret), "
          "<ip>]}}] mine.yaml:5\n");
    Json sshd = config("sshd");
    CHECK(sshd["use"] == "disabled");
    CHECK(said(sshd, "maxretry") == "2 mine.yaml:8\n");
    CHECK(has(said(sshd, "port"), "[ssh, auto] sshd.yaml:"));
    CHECK(config("idle")["use"] == "idle");
    Json root = config("");
    CHECK(said(root, "http.token") == "(secret) bandd.yaml:6\n");
    CHECK(said(root, "remote.peers.router.token") == "'file:token' bandd.yaml:9\n");
    CHECK(said(root, "defaults.maxretry") == "7 bandd.yaml:2\n");
    CHECK(said(root, "ban_limit") == "2000000 default\n");
    CHECK(root["jails"].size() == 4);
    Ran people = bandctl("--config " + dir.path() + " config app");
    INFO(people.out);
    CHECK(people.code == 0);
    CHECK(has(people.out, "does not run on this configuration; this is what its files say"));
    CHECK(has(people.out, yaml + ":2\n"));
    Ran unknown = bandctl("--config " + dir.path() + " config --files ap");
    CHECK(unknown.code == 1);
    CHECK(has(unknown.out, "the configuration names no such jail; did you mean \"app\"?"));
}

TEST_CASE_METHOD(Checked, "config: no argument is shown of a file that not everybody may read") {
    chmod(dir.path().c_str(), 0755);
    write_file(yaml,
               "accounts: {addresses: 2, action: [/bin/echo, -u, 'me:HIDDEN']}\n"
               "jails: !include jails/*.yaml\n");
    write_file(mine,
               "app:\n  logpath: /l\n  ignorecommand: [/bin/echo, 'X-Auth-Key: HIDDEN']\n"
               "  action:\n    - exec: {ban: [/bin/echo, 'https://x/?key=HIDDEN&ip=<ip>'], unban: "
               "[/bin/echo, HIDDEN]}\n    - syslog: {ban: 'BAN <ip>'}\n");
    auto config = [&] {
        std::string all;
        for (const char* jail : {"", "app"})
            all += bandctl("--json --config " + dir.path() + " config --files " + jail).out;
        INFO(all);
        CHECK(has(all, "/bin/echo"));
        CHECK(has(all, "BAN <ip>"));
        return has(all, "HIDDEN");
    };
    CHECK(config());
    chmod(yaml.c_str(), 0640);
    CHECK(config());  // the other one
    chmod(mine.c_str(), 0600);
    CHECK_FALSE(config());
    chmod(yaml.c_str(), 0644);
    chmod(mine.c_str(), 0644);
    CHECK(config());
    chmod((dir / "jails").c_str(), 0750);  // where `mine` is
    chmod(yaml.c_str(), 0600);
    CHECK_FALSE(config());
}

namespace {

// A machine with two services, and shipped jails for them.
struct Machine {
    TempDirectory dir, data;
    std::string etc = dir / "etc";
    Machine() {
        must("mkdir -p /run/systemd/system");
        write_file("/run/systemd/system/shop.service", "[Service]\n");
        fs::copy(BANDD_SOURCE "/filters/sshd.yaml", data / "sshd.yaml");
        write_file(data / "filters/shop.yaml",
                   "description: test\nfailregex: [{id: denied, regex: '^denied <HOST>$'}]\n");
        std::string log = dir / "shop.log";
        write_file(
            data / "jails/shop.yaml",
            "shop:\n  enabled: auto\n  description: the shop\n  logpath: [" + log +
                ", /var/log/mail.log]\n  journal: {unit: shop}\n  filter: shop\n  maxretry: "
                "2\n"
                "not-here:\n  enabled: auto\n  logpath: /var/log/mail.log\n  journal: {unit: "
                "no-such-unit}\n  filter: shop\n"
                "asked: {enabled: false, logpath: " +
                log +
                ", filter: shop}\n"
                "by-software: {enabled: auto, software: /no/such/file, logpath: " +
                log + ", filter: shop}\n");
        std::string now = must("date '+%Y-%m-%d %H:%M:%S'");
        now.pop_back();
        std::string old = must("date -d '-20 days' '+%Y-%m-%d %H:%M:%S'");
        old.pop_back();
        for (const std::string& line :
             {old + " denied 203.0.113.7\n", old + " denied 203.0.113.7\n",
              now + " denied 203.0.113.9\n", now + " denied 203.0.113.9\n"})
            append_file(log, line);
    }
    Ran setup(const std::string& arguments, const std::string& environment = "") const {
        return sh("env -u SSH_CLIENT -u SSH_CONNECTION BANDD_DATA=" + data.path() + " " +
                  environment + " " + built("bandctl") + " -c " + etc + " setup " + arguments +
                  " < /dev/null");
    }
};

}  // namespace

TEST_CASE_METHOD(Machine, "setup: finds services, and writes nothing unless it is told to") {
    must("rm -rf /run/systemd");
    must("mkdir -p /run/systemd/system; touch /run/systemd/system/shop.service");
    Ran ran = setup("--admin 198.51.100.5");
    INFO(ran.out);
    CHECK(ran.code == 1);
    CHECK(has(ran.out, "setup: has written nothing; --yes writes it\n"));
    CHECK_FALSE(fs::exists(etc));
    Json json = Json::parse(setup("--json --admin 198.51.100.5").out);
    Json shop;
    std::string names;
    for (const Json& one : json["found"]) {
        if (one["jail"] == "shop") shop = one;
        names += one["jail"].get<std::string>() + " ";
    }
    INFO(names);
    REQUIRE(shop.is_object());
    CHECK(shop["reads"] ==
          dir / "shop.log" + (fs::exists("/var/log/mail.log") ? ", /var/log/mail.log" : ""));
    CHECK(shop["would_have_banned"] == Json{"203.0.113.9"});
    // That mail.log exists says nothing; a jail that must be asked for is only told of.
    CHECK_FALSE(has(names, "not-here"));
    CHECK_FALSE(has(names, "by-software"));
    CHECK_FALSE(has(names, "asked"));
    CHECK(has(json["on_request"].dump(), "\"jail\":\"asked\""));
    CHECK_FALSE(fs::exists(etc));
}

TEST_CASE_METHOD(Machine, "setup: writes bandd.yaml and jails/setup.yaml, and adds to them later") {
    Ran ran = setup("--yes --simulate --admin 198.51.100.5 --admin 2001:db8::5");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(read_file(etc + "/bandd.yaml"), "198.51.100.5, \"2001:db8::5\", 127.0.0.0/8"));
    CHECK(has(read_file(etc + "/jails/setup.yaml"),
              "\nshop: {enabled: auto, simulate: true}  # the shop\n"));
    std::string bandctl_here = "BANDD_DATA=" + data.path() + " " + built("bandctl") + " -c " + etc;
    Ran checked = sh(bandctl_here + " check");
    INFO(checked.out);
    CHECK(checked.code == 0);
    // Again: nothing to do.
    Json again = Json::parse(setup("--yes --json --simulate --admin 198.51.100.5").out);
    CHECK(again["changed"] == false);
    CHECK(again["files"].empty());
    // Another administrator, and a jail that has come meanwhile; what was changed by hand stays.
    must("sed -i 's/simulate: true/maxretry: 9/; s/^/# mine\\n/;' " + etc + "/jails/setup.yaml");
    must("chmod 600 " + etc + "/bandd.yaml");
    write_file(data / "jails/more.yaml",
               "more: {enabled: auto, logpath: " + dir / "shop.log" + ", filter: shop}\n");
    ran = setup("--yes --admin 198.51.100.6");
    INFO(ran.out);
    CHECK(ran.code == 0);
    CHECK(has(ran.out, "Writes " + etc + "/bandd.yaml: ignoreip gets 198.51.100.6\n"));
    CHECK(has(ran.out, "Writes " + etc + "/jails/setup.yaml: 1 jail more\n"));
    CHECK(has(read_file(etc + "/jails/setup.yaml"), "shop: {enabled: auto, maxretry: 9}"));
    CHECK(read_file(etc + "/jails/setup.yaml").ends_with("more: {enabled: auto}\n"));
    CHECK(must("stat -c %a " + etc + "/bandd.yaml") == "600\n");
    CHECK(sh(bandctl_here + " check").code == 0);
}

TEST_CASE_METHOD(Machine, "setup: looks through the journal, too, where there is no log") {
    must("mkdir -p /run/systemd/journal /run/fake; touch /run/systemd/journal/socket");
    fs::remove(dir / "shop.log");
    // By journalctl, which gets the jail's matches.
    write_file(
        "/run/fake/journalctl",
        "#!/bin/sh\ncase \"$*\" in *_SYSTEMD_UNIT=shop.service*) ;; *) exit 1 ;; esac\n"
        "for i in 1 2; do echo \"$(date -u +%Y-%m-%dT%H:%M:%S.000000+0000) host shop[1]: denied "
        "203.0.113.4\"; done\n");
    must("chmod 755 /run/fake/journalctl");
    Ran ran = setup("--json", "PATH=/run/fake:$PATH");
    INFO(ran.out);
    Json json = Json::parse(ran.out);
    Json shop;
    for (const Json& one : json["found"])
        if (one["jail"] == "shop") shop = one;
    must("rm /run/systemd/journal/socket");
    REQUIRE(shop.is_object());
    CHECK(shop["reads"] == "the journal");
    CHECK(shop["would_have_banned"] == Json{"203.0.113.4"});
}

TEST_CASE_METHOD(Machine, "setup: knows from where its user is logged in") {
    Json json = Json::parse(setup("--json", "SSH_CLIENT='203.0.113.9 50022 22'").out);
    CHECK(json["admins"] == Json{"203.0.113.9"});
    // Who is let in would not have been banned.
    for (const Json& one : json["found"])
        if (one["jail"] == "shop") CHECK(one["would_have_banned"].empty());
    // As with sudo, which takes it out.
    Ran ran =
        sh("SSH_CLIENT='203.0.113.8 50022 22' sh -c 'env -u SSH_CLIENT BANDD_DATA=" + data.path() +
           " " + built("bandctl") + " -c " + etc + " setup --json < /dev/null; true'");
    INFO(ran.out);
    CHECK(has(ran.out, "\"admins\":[\"203.0.113.8\"]"));
}

TEST_CASE_METHOD(Machine,
                 "setup: what cannot be meant is refused, and what has no effect is said") {
    Ran wide = setup("--yes --admin 0.0.0.0/0");
    CHECK(wide.code == 2);
    CHECK(has(wide.out,
              "\"0.0.0.0/0\": is a wide block, of which nobody would ever be banned; "
              "--force takes it\n"));
    CHECK(setup("--yes --admin ::/0").code == 2);
    CHECK_FALSE(fs::exists(etc + "/bandd.yaml"));
    Ran days = setup("--days -1");
    CHECK(days.code == 2);
    CHECK(has(days.out, "\"-1\" is no number that counts something"));
    for (int i = 1; i < 3; ++i)
        append_file(dir / "shop.log", must("sed -n 3,4p " +
                                           dir / "shop.log | "
                                                 "sed 's/203.0.113.9/203.0.113." +
                                           std::to_string(20 + i) + "/'"));
    Ran done = setup("--yes --force --admin 0.0.0.0/0 --admin 10.0.0.0/8");
    INFO(done.out);
    CHECK(done.code == 0);
    CHECK(has(read_file(etc + "/bandd.yaml"), "0.0.0.0/0, 10.0.0.0/8"));
    fs::remove_all(etc);
    Ran first = setup("--yes");
    CHECK(has(first.out, " 3 addresses "));
    Ran again = setup("--yes --simulate");
    CHECK(again.code == 0);
    CHECK(has(again.out, "--simulate is for new jails, and changes none that a file names"));
    // A directory for temporary files is said to be missing, and what to do.
    Ran none = setup("--yes", "TMPDIR=/no/such");
    CHECK(none.code == 2);
    CHECK(has(none.out, "make a directory for temporary files"));
    CHECK(has(none.out, "TMPDIR=DIRECTORY names one that has room\n"));
}

TEST_CASE_METHOD(Machine, "setup: several at once take turns, and none loses what another wrote") {
    std::string all = "for i in 1 2 3 4 5 6; do env BANDD_DATA=" + data.path() + " " +
                      built("bandctl") + " -c " + etc +
                      " setup --yes --admin 198.51.100.$i < /dev/null || echo FAILED & done; wait";
    Ran ran = sh(all);
    INFO(ran.out);
    CHECK_FALSE(has(ran.out, "FAILED"));
    std::string yaml = read_file(etc + "/bandd.yaml");
    INFO(yaml);
    for (int i = 1; i <= 6; ++i) CHECK(has(yaml, "198.51.100." + std::to_string(i)));
    CHECK(must("ls -A " + etc + " " + etc + "/jails") ==
          etc + ":\nbandd.yaml\njails\n\n" + etc + "/jails:\nsetup.yaml\n");
}

TEST_CASE_METHOD(Machine, "setup: asks again for a mistyped address, and leaves no directory") {
    fs::create_directory(dir / "tmp");
    auto answer = [&](const std::string& keys) {
        return sh("(" + keys + ") | env -u SSH_CLIENT -u SSH_CONNECTION TMPDIR=" + dir / "tmp" +
                  " BANDD_DATA=" + data.path() + " timeout 60 script -qec '" + built("bandctl") +
                  " -c " + etc + " setup' /dev/null");
    };
    // ^C at the second question.
    Ran stopped = answer(
        "sleep 2; echo 198.51.100; sleep 2; echo 198.51.100.5; sleep 12; printf '\\003'; sleep 1");
    INFO(stopped.out);
    CHECK(has(stopped.out, "\"198.51.100\": is no address"));
    CHECK(has(stopped.out, "Write this? [y/N]"));
    CHECK(must("ls -A " + dir / "tmp") == "");
    CHECK_FALSE(fs::exists(etc));
    // A file that is changed while the question stands is not written over.
    Ran changed = answer("sleep 1; echo 198.51.100.5; sleep 2; mkdir -p " + etc +
                         "; echo '# mine' > " + etc + "/bandd.yaml; echo y; sleep 1");
    INFO(changed.out);
    CHECK(has(changed.out, "was changed since it was read"));
    CHECK(read_file(etc + "/bandd.yaml") == "# mine\n");
}

TEST_CASE_METHOD(Machine,
                 "setup: a configuration with faults is left alone, and so is unusual YAML") {
    write_file(etc + "/bandd.yaml", "defaults: {maxretri: 3}\n");
    Ran ran = setup("--yes --admin 198.51.100.5");
    CHECK(ran.code == 2);
    CHECK(
        has(ran.out,
            "setup: adds nothing to a configuration with errors; mend it first: bandctl check\n"));
    for (const char* yaml :
         {"defaults: {maxretry: 3}\n", "defaults:\n  maxretry: 3 # three\n", "# none\n",
          "defaults:\n  ignoreip:\n    - 192.0.2.1\n    - 192.0.2.2\n",
          "defaults: {ignoreip: ['192.0.2.1'], maxretry: 3}\n"}) {
        write_file(etc + "/bandd.yaml", yaml);
        ran = setup("--yes --admin 198.51.100.5 --admin 2001:db8::5");
        INFO(yaml << ran.out << read_file(etc + "/bandd.yaml"));
        CHECK(ran.code == 0);
        Json again = Json::parse(setup("--json --admin 198.51.100.5 --admin 2001:db8::5").out);
        CHECK(again["files"].empty());
    }
    write_file(etc + "/bandd.yaml", "defaults: {ignoreip: 192.0.2.1 192.0.2.2}\n");
    ran = setup("--yes --admin 198.51.100.5");
    CHECK(ran.code == 2);
    CHECK(has(ran.out,
              "is written in a way that setup does not change; add 198.51.100.5 there, then run "
              "setup again\n"));
}
