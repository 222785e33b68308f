// SPDX-License-Identifier: GPL-2.0-or-later
// What a fault in one of bandd's processes gives an attacker: the program of a role is replaced by
// one that tries everything (attacker.cpp), under a bandd that does not know.
#include <sys/stat.h>

#include <csignal>
#include <set>
#include <sstream>
#include <thread>

#include "support/setup.h"

using namespace bandd;

// Sanitizers need calls that attackers want.
#if defined(BANDD_ADDRESS_SANITIZER) || defined(BANDD_THREAD_SANITIZER)
#define ATTACK_CASE(name) TEST_CASE(name, "[.]")
#else
#define ATTACK_CASE(name) TEST_CASE(name)
#endif

namespace {

using Attacks = std::set<std::string>;

Attacks succeeded(const std::string& log) {
    Attacks attacks;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        auto at = line.find("ATTACK ");
        if (at != std::string::npos) attacks.insert(line.substr(at + 7));
    }
    return attacks;
}

std::string value_of(const std::string& status, const std::string& key) {
    auto at = status.find(key + ":");
    return at == std::string::npos
               ? ""
               : status.substr(at + key.size() + 2, status.find('\n', at) - at - key.size() - 2);
}

// Of a process that ended, and whose parent has not asked how.
bool is_zombie(const std::string& process) {
    return has(read_file("/proc/" + process + "/stat"), ") Z ");
}
std::string zombies_of(pid_t parent) {
    std::string zombies;
    std::istringstream children(sh("pgrep -P " + std::to_string(parent)).out);
    for (std::string child; std::getline(children, child);)
        if (is_zombie(child)) zombies += child + "\n";
    return zombies;
}

// bandd from a directory whose programs may be replaced.
struct CopiedPrograms : AppSetup {
    TempDirectory programs;

    CopiedPrograms() {
        for (const char* name :
             {"bandd", "bandd-root", "bandd-http", "bandd-auth", "bandd-resolver", "bandd-programs",
              "bandd-sockets", "bandd-kernel"})
            sh("cp " + built(name) + " " + programs / name);
        daemon.set_program(programs / "bandd");
    }
};

// bandd with another program in place of one of its own.
struct TakenOver : CopiedPrograms {
    Background victim{"rm -f /run/attacked; umask 0; exec nc -lkU /run/attacked"};

    explicit TakenOver(const std::string& role) {
        must("cp " + built("attacker") + " " + programs / role);
        write_config_as("bandd",
                        "http: {listen: \"tcp://127.0.0.1:9180\", auth: {imap: "
                        "\"127.0.0.1:9143\"}}\njails:\n"
                        "  app: {logpath: app.log, maxretry: 1, ignoreip: [a.example]}\n");
    }
    Attacks attacks() {
        REQUIRE(daemon.said("ATTACKS DONE", 20));
        return succeeded(daemon.log());
    }
};

// bandd-http writes this (printf(1)) to standard error again and again, and serves meanwhile.
struct FloodingHttp : CopiedPrograms {
    explicit FloodingHttp(const std::string& text) {
        must("mv " + programs / "bandd-http " + programs / "real");
        write_file(
            programs / "bandd-http",
            "#!/bin/sh\n"
            // Ends with bandd-http, which the shell becomes: it holds the listening socket, too.
            "(while kill -0 $$; do printf '" +
                text + "' 1 >&2; done) &\nexec " + programs / "real\n");
        must("chmod 755 " + programs / "bandd-http");
        write_config_as("bandd",
                        "http: {listen: \"tcp://127.0.0.1:9180\"}\n"
                        "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
        start();
        denied("203.0.113.5");
        CHECK(bans_become("203.0.113.5 app active\n"));
    }
};

}  // namespace

ATTACK_CASE("a taken-over bandd-http can do nothing but answer") {
    TakenOver attack("bandd-http");
    attack.start();
    CHECK(attack.attacks() == Attacks{});
    // The daemon goes on.
    attack.denied("203.0.113.5");
    CHECK(attack.bans_become("203.0.113.5 app active\n"));
}

ATTACK_CASE(
    "a taken-over bandd-resolver can ask the network, and read what everybody may of /etc") {
    TakenOver attack("bandd-resolver");
    attack.start();
    attack.denied("203.0.113.5");  // `ignoreip` has a name, which is looked up
    CHECK(attack.attacks() == Attacks{"IPv4", "IPv6", "netlink"});
}

ATTACK_CASE("a taken-over bandd-auth can ask mail servers, and nothing else") {
    TakenOver attack("bandd-auth");
    attack.start();
    CHECK(attack.attacks() == Attacks{"IPv4", "IPv6", "local socket", "use another local socket"});
}

ATTACK_CASE("a taken-over bandd-kernel can change the firewall, and nothing else") {
    TakenOver attack("bandd-kernel");
    // It never says that it is ready, so bandd says that it cannot start.
    CHECK_FALSE(attack.daemon.start());
    CHECK(attack.daemon.said("bandd-kernel: does not answer"));
    CHECK(attack.attacks() == Attacks{"netfilter"});
}

ATTACK_CASE("a taken-over bandd-fleet can ask the network, and read what everybody may of /etc") {
    AppSetup setup;
    must("cp " + built("attacker") + " " + setup.dir / "bandd-fleet");
    must("mkdir " + setup.dir / "run; touch " + setup.dir / "run/state.db");
    setup.write_config("jails:\n  app: {logpath: app.log}\n");
    Attacks attacks = succeeded(must(setup.dir / "bandd-fleet" + " " + setup.dir.path()));
    CHECK(attacks == Attacks{"IPv4", "IPv6", "netlink"});
}

ATTACK_CASE("a taken-over daemon reads files and writes its own, and runs nothing") {
    AppSetup setup;
    must("rm -f /run/attacked; mkdir " + setup.dir / "run; chown bandd " +
         setup.dir / "run; touch " + setup.dir / "run/state.db; chown bandd " +
         setup.dir / "run/state.db");
    setup.write_config("jails:\n  app: {logpath: app.log}\n");
    Attacks attacks = succeeded(must(built("attacker") + " " + setup.dir.path()));
    CHECK(attacks == Attacks{"read the state", "write the state", "read the configuration",
                             "read the passwords", "local socket", "netlink",
                             "memory both written and executed"});
}

TEST_CASE("a process that writes to standard error without end is read for 60 lines, and no more") {
    FloodingHttp setup("flood \\033[2J%0999d\\n");
    CHECK(setup.daemon.said("bandd-http wrote 60 lines of "));
    std::string log = setup.daemon.log();
    CHECK(has(log, "warning: bandd-http wrote to standard error: flood \\x1b[2J000"));
    CHECK(setup.json("status")["role_floods"] == 1);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    CHECK(setup.daemon.log() == log);
    CHECK(log.size() < 60'000);
    CHECK(sh("curl -sf http://127.0.0.1:9180/health").out == "ok\n");
}

TEST_CASE("neither a line without end nor empty lines are read for ever") {
    std::string text = GENERATE("%0999d", "\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n");
    FloodingHttp setup(text);
    CHECK(setup.daemon.said(" bytes to standard error: what it writes within the next "));
    CHECK(setup.json("status")["role_floods"] == 1);
    CHECK(setup.daemon.log().size() < 10'000);
}

TEST_CASE("who has ended is no zombie") {
    AppSetup setup;
    setup.write_config_as("bandd", "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    setup.start();
    setup.write_config_as("bandd",
                          "policy: {listen: \"tcp://127.0.0.1:777\"}\n"
                          "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    std::string root = std::to_string(setup.daemon.role("bandd-root"));
    REQUIRE(setup.daemon.ctl("reload").code == 0);  // bandd-sockets was there for it, and has gone
    CHECK(wait_for([&] { return sh("pgrep -x bandd-sockets -P " + root).code != 0; }));
    kill(setup.daemon.role("bandd-kernel"), SIGKILL);
    CHECK(wait_for([&] { return zombies_of(setup.daemon.role("bandd-root")).empty(); }, 0.5));
    setup.denied("203.0.113.5");
    CHECK(setup.bans_become("203.0.113.5 app active\n"));
    kill(setup.daemon.role("bandd-root"), SIGKILL);
    CHECK(wait_for([&] { return zombies_of(setup.daemon.pid()).empty(); }));
}

TEST_CASE("as a container's first process bandd leaves no zombies of what its programs started") {
    AppSetup setup;
    DaemonProcess contained(setup.dir.path(), "unshare --pid --fork --mount-proc");
    // unshare's end is not bandd's: its --kill-child is undone when bandd changes its user.
    struct Killed {
        pid_t pid = 0;
        ~Killed() {
            if (pid > 0) kill(pid, SIGKILL);
        }
    } first;
    setup.configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    action:\n"
        "      - exec: {user: root, ban: [/bin/sh, -c, '(sleep 0.2; touch \"$0\") & exit', " +
        setup.dir / "left]}\n");
    REQUIRE(contained.start());
    first.pid = std::stoi(must("pgrep -P " + std::to_string(contained.pid())));
    setup.denied("203.0.113.5");
    CHECK(wait_for([&] { return std::filesystem::exists(setup.dir / "left"); }));
    CHECK(wait_for([&] { return zombies_of(first.pid).empty(); }, 2));
}

TEST_CASE("each process has the user, the capabilities and the descriptors of its row") {
    AppSetup setup;
    setup.write_config_as("bandd",
                          "http: {listen: \"tcp://127.0.0.1:9180\", auth: {imap: "
                          "\"127.0.0.1:9143\"}}\njails:\n"
                          "  app: {logpath: app.log, maxretry: 1, ignoreip: [a.example]}\n");
    setup.start();
    setup.denied("203.0.113.5");
    struct Expected {
        std::string program, user, capabilities;
        std::size_t descriptors;
    };
    for (const Expected& expected :
         {Expected{"bandd-http", "bandd-http", "0000000000000000", 9},
          Expected{"bandd-auth", "bandd-auth", "0000000000000000", 5},
          Expected{"bandd-resolver", "bandd-net", "0000000000000000", 5},
          Expected{"bandd-kernel", "bandd-kernel", "0000000000001000", 6}}) {
        INFO(expected.program);
        REQUIRE(wait_for([&] {
            return sh("pgrep -x " + expected.program + " -P " +
                      std::to_string(setup.daemon.role("bandd-root")))
                       .code == 0;
        }));
        pid_t pid = setup.daemon.role(expected.program);
        std::string files = "/proc/" + std::to_string(pid);
        REQUIRE(wait_for([&] { return value_of(read_file(files + "/status"), "Seccomp") == "2"; }));
        std::string status = read_file(files + "/status");
        INFO(status);
        std::string uid = must("id -u " + expected.user);
        uid.pop_back();
        CHECK(value_of(status, "Uid").starts_with(uid + "\t" + uid + "\t" + uid));
        CHECK(value_of(status, "Groups") == uid + " ");
        for (const char* kind : {"CapPrm", "CapEff", "CapBnd"})
            CHECK(value_of(status, kind) == expected.capabilities);
        for (const char* kind : {"CapInh", "CapAmb"})
            CHECK(value_of(status, kind) == "0000000000000000");
        CHECK(value_of(status, "NoNewPrivs") == "1");
        CHECK(std::stoul(must("ls " + files + "/fd | wc -l")) <= expected.descriptors + 3);
        CHECK(read_file(files + "/environ").empty());
    }
}

TEST_CASE("a process that cannot give up its rights does not begin, and says why") {
    AppSetup setup;
    // The namespace's own files. systemd would make up a "nobody".
    must(
        "sed 's/^bandd-http:/other-http:/; s/^nobody:/somebody:/' /etc/passwd > /run/users;"
        "echo 'passwd: files' > /run/name-services;"
        "mount --bind /run/users /etc/passwd;"
        "mount --bind /run/name-services /etc/nsswitch.conf");
    setup.write_config_as("bandd",
                          "http: {listen: \"tcp://127.0.0.1:9180\"}\n"
                          "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    bool started = setup.daemon.start();
    CHECK(setup.daemon.said(
        "bandd-http wrote to standard error: rights: user \"nobody\": does not exist"));
    must("umount /etc/passwd /etc/nsswitch.conf");
    REQUIRE(started);
}

TEST_CASE("bandd-root gone: bans go on, roles end, and what cannot be started is said") {
    AppSetup setup;
    setup.write_config_as("bandd",
                          "http: {listen: \"tcp://127.0.0.1:9180\"}\njails:\n"
                          "  app: {logpath: app.log, maxretry: 1}\n");
    setup.start();
    pid_t http = setup.daemon.role("bandd-http");
    kill(setup.daemon.role("bandd-root"), SIGKILL);
    CHECK(wait_for([&] { return kill(http, 0) != 0; }));
    CHECK(setup.daemon.said("bandd-http: has ended"));
    CHECK(setup.daemon.said("restart bandd"));
    setup.denied("203.0.113.5");
    CHECK(setup.bans_become("203.0.113.5 app active\n"));
}

TEST_CASE("without its user bandd does not start as root") {
    AppSetup setup;
    setup.write_config_as("no-such-user", "jails:\n  app: {logpath: app.log}\n");
    CHECK_FALSE(setup.daemon.start());
    CHECK(has(setup.daemon.log(), "user \"no-such-user\": does not exist"));
    CHECK(has(setup.daemon.log(), "user: root"));
}

TEST_CASE("root's files do not become the daemon's by links in its directories") {
    AppSetup setup;
    std::string target = setup.dir / "root-only";
    write_file(target, "secret");
    must("chmod 600 " + target + "; mkdir " + setup.dir / "run; chown bandd " + setup.dir / "run");
    auto owner = [&] {
        struct stat status{};
        REQUIRE(stat(target.c_str(), &status) == 0);
        return status.st_uid;
    };
    const std::string jails = "jails:\n  app: {logpath: app.log}\n";
    SECTION("its log is a link") {
        must("ln -s " + target + " " + setup.dir / "run/log");
        setup.write_config_as("bandd", "log: {target: run/log}\n" + jails);
        CHECK_FALSE(setup.daemon.start());
    }
    SECTION("its state is a link") {
        must("ln -s " + target + " " + setup.dir / "run/state.db");
        setup.write_config_as("bandd", jails);
        CHECK_FALSE(setup.daemon.start());
    }
    SECTION("its state is a second name") {
        must("ln " + target + " " + setup.dir / "run/state.db-wal");
        setup.write_config_as("bandd", jails);
        CHECK_FALSE(setup.daemon.start());
    }
    SECTION("a directory is a link") {
        must("mkdir " + setup.dir / "roots; ln -s " + setup.dir / "roots " +
             setup.dir / "run/in; " + "chown -h bandd " + setup.dir / "run/in");
        setup.write_config_as("bandd", "log: {target: run/in/log}\n" + jails);
        CHECK_FALSE(setup.daemon.start());
        CHECK(has(setup.daemon.log(), "is a link in a directory that others may write to"));
        CHECK(must("ls " + setup.dir / "roots").empty());
    }
    CHECK(owner() == 0);
    CHECK(read_file(target) == "secret");
}

TEST_CASE("a link that root made is followed") {
    AppSetup setup;
    must("mkdir " + setup.dir / "disk; chown bandd " + setup.dir / "disk; ln -s disk " +
         setup.dir / "run");
    setup.write_config_as("bandd", "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    setup.start();
    setup.denied("203.0.113.5");
    CHECK(setup.bans_become("203.0.113.5 app active\n"));
    CHECK(std::filesystem::exists(setup.dir / "disk/state.db"));
}

TEST_CASE("sockets of a reload are opened only if nobody but root wrote what names them") {
    AppSetup setup;
    setup.write_config_as("bandd", "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    setup.start();
    setup.write_config_as("bandd",
                          "policy: {listen: \"tcp://127.0.0.1:777\"}\n"
                          "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    must("chown bandd " + setup.dir / "bandd.yaml");
    auto reload = setup.daemon.ctl("reload");
    CHECK(reload.code != 0);
    CHECK(has(reload.out, "bandd-sockets: "));
    CHECK(has(reload.out, "bandd.yaml\": it belongs to user "));
    must("chown root " + setup.dir / "bandd.yaml");
    CHECK(setup.daemon.ctl("reload").code == 0);
}

TEST_CASE("a reload opens what bandd itself may no longer: a port below 1024") {
    AppSetup setup;
    setup.write_config_as("bandd", "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
    setup.start();
    const std::string listening =
        "policy: {listen: \"tcp://127.0.0.1:777\"}\nhttp: {listen: \"tcp://127.0.0.1:778\"}\n"
        "jails:\n  app: {maxretry: 1, syslog: {listen: [\"udp://127.0.0.1:514\"], "
        "from: [127.0.0.0/8]}}\n";
    SECTION("and answers there") {
        setup.write_config_as("bandd", listening);
        CHECK(setup.daemon.ctl("reload").code == 0);
        CHECK(wait_for([&] { return sh("curl -sf http://127.0.0.1:778/health").out == "ok\n"; }));
        must("printf '<38>app: denied bob 203.0.113.9' | nc -u -q0 -w1 127.0.0.1 514");
        CHECK(setup.bans_become("203.0.113.9 app active\n"));
        CHECK(
            has(must("printf 'request=smtpd_access_policy\n\n' | nc -w1 127.0.0.1 777"), "DUNNO"));
        // Once more: what is open stays so; what is not wanted is closed.
        CHECK(setup.daemon.ctl("reload").code == 0);
        CHECK(sh("curl -sf http://127.0.0.1:778/health").out == "ok\n");
        setup.write_config_as("bandd", "jails:\n  app: {logpath: app.log, maxretry: 1}\n");
        CHECK(setup.daemon.ctl("reload").code == 0);
        CHECK(wait_for([&] { return sh("curl -s http://127.0.0.1:778/health").code != 0; }));
    }
    SECTION("a port that somebody else has refuses the reload") {
        Background other("exec nc -lk 127.0.0.1 778");
        REQUIRE(wait_for([] { return has(sh("cat /proc/net/tcp").out, ":030A"); }));
        setup.write_config_as("bandd", listening);
        Ran reload = setup.daemon.ctl("reload");
        CHECK(reload.code != 0);
        CHECK(has(reload.out, "http: cannot listen at tcp://127.0.0.1:778"));
        setup.denied("203.0.113.5");
        CHECK(setup.bans_become("203.0.113.5 app active\n"));
    }
}
