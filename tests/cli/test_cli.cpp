// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl as a user meets it, where no daemon is needed: messages in full, exit codes.
#include <algorithm>

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
          "geo",     "filters", "replay", "import", "state",   "keys"}) {
        INFO(command);
        CHECK(has(help.out, std::string("  ") + command + " "));
        Ran one = bandctl(std::string(command) + " --help");
        CHECK(one.code == 0);
        CHECK(has(one.out, "bandctl " + std::string(command)));
    }
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
    CHECK(ran.out == "\"soon\": is not a duration; write 90, 10m, 1h, 1d12h or forever\n");
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
              "then wants <HOST> port"));
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
    CHECK(has(ran.out, "note: jail 3proxy: is called jail-3proxy here"));
    CHECK(has(ran.out, " written to " + out + "\n"));
    Ran check = bandctl("check " + out);
    INFO(check.out);
    CHECK(check.code == 0);
    CHECK(has(check.out, "all is well: "));
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
    // A log that a jail names goes through that jail; one that nobody names, through all.
    write_file(dir / "bandd.yaml", "jails:\n  sshd: {logpath: " + dir.path() +
                                       "/a.log, maxretry: 1}\n"
                                       "  other: {filter: sshd, logpath: /x.log, maxretry: 1}\n");
    write_file(dir / "a.log", "2026-01-02T03:00:00Z" + failed);
    write_file(dir / "b.log", "2026-01-02T03:00:00Z" + failed);
    CHECK(has(bandctl("--config " + dir.path() + " replay " + dir / "a.log").out, "sshd: 1 ban"));
    CHECK_FALSE(
        has(bandctl("--config " + dir.path() + " replay " + dir / "a.log").out, "other: 1 ban"));
    CHECK(has(bandctl("--config " + dir.path() + " replay " + dir / "b.log").out, "other: 1 ban"));

    Ran missing = bandctl("--config " + dir.path() + " replay " + dir / "nothing");
    CHECK(missing.code == 2);
    CHECK(
        has(missing.out, "cannot read \"" + dir.path() + "/nothing\": No such file or directory"));
    Ran nojail = bandctl("--config " + dir.path() + " replay -j ssdh " + dir / "a.log");
    CHECK(nojail.code == 2);
    CHECK(has(nojail.out, "did you mean \"sshd\"?"));
    must("printf broken > " + dir / "c.log.gz; printf broken > " + dir / "c.log.zst");
    CHECK(bandctl("--config " + dir.path() + " replay " + dir / "c.log.zst").code == 2);
}

TEST_CASE("the configuration reference in docs/ is what `bandctl keys` prints") {
    CHECK(bandctl("keys").out == read_file(BANDD_SOURCE "/docs/configuration.md"));
}

TEST_CASE("bash completes commands, their options and the words to choose from") {
    auto completed = [](const std::string& words, int last) {
        return must("PATH=" + built("") +
                    ":$PATH bash -c 'source " BANDD_SOURCE
                    "/packaging/completions/bandctl.bash; COMP_WORDS=(bandctl " +
                    words + "); COMP_CWORD=" + std::to_string(last) +
                    R"(; _bandctl; printf " %s" "${COMPREPLY[@]}"')");
    };
    CHECK(completed("st", 1) == " status state");
    CHECK(has(completed("\"\"", 1), " keys"));
    CHECK(has(completed("\"\"", 1), " --remote"));
    for (const char* option : {"--jail", "--since", "--limit", "--json", "--help"})
        CHECK(has(completed("history --", 2), std::string(" ") + option));
    CHECK_FALSE(has(completed("history --", 2), " --force"));
    CHECK(completed("accounts --sort c", 3) == " countries count");
    CHECK(completed("account joe b", 3) == " block");
}
