// SPDX-License-Identifier: GPL-2.0-or-later
// The running daemon on a machine that lacks something: sets, logs, rights, disk, memory,
// descriptors. docs/faults.md promises these.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "os/credentials.h"
#include "os/fd.h"
#include "support/archives.h"
#include "support/setup.h"

using namespace bandd;

TEST_CASE_METHOD(AppSetup, "a missing set is said, shown and waited for; other jails go on") {
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    action: [{ipset: {set: hmailblock}}]\n"
        "  other: {logpath: other.log, filter: app, maxretry: 1}\n");
    write_file(dir / "other.log", "");
    REQUIRE(daemon.start());
    std::string message =
        "ipset \"hmailblock\": does not exist; make it: ipset create hmailblock hash:net family "
        "inet timeout 0 maxelem 1000000, or set \"create: true\"";
    CHECK(daemon.said("jail=app " + message));
    denied("203.0.113.1");
    denied("203.0.113.2", dir / "other.log");
    REQUIRE(bans_become("203.0.113.1 app pending\n203.0.113.2 other active\n"));
    CHECK(has(daemon.ctl("status app").out, message));
    must("ipset create hmailblock hash:net");
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 other active\n"));
    CHECK(has(must("ipset save hmailblock"), "add hmailblock 203.0.113.1"));
}

TEST_CASE_METHOD(
    AppSetup,
    "a full set: one line for 5,000 bans, how many are missing, and all once it is larger") {
    std::string keys = GENERATE("", " forceadd");
    must("ipset create hmailblock hash:net timeout 0 maxelem 1000" + keys);
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    bantime: 1h\n"
        "    action: [{ipset: {set: hmailblock}}]\n");
    REQUIRE(daemon.start());
    CHECK(has(daemon.log(), "was made with forceadd") == !keys.empty());
    std::string lines;
    for (int i = 0; i < 5000; ++i)
        lines += "denied bob 203.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) +
                 "\n";
    append_file(log, lines);
    auto jail = [&] { return json("status app")["jails"][0]; };
    auto missing = [&] { return jail()["actions"][0]["missing"].get<std::size_t>(); };
    // A set made with forceadd takes all; what it threw out is seen at the next look, after 30 s.
    double patience = keys.empty() ? 20 : 50;
    CHECK(wait_for([&] { return missing() == 4000; }, patience));
    CHECK(wait_for([&] { return jail()["bans"] == 1000 && jail()["pending"] == 4000; }));
    auto times = [&](const std::string& text) {
        std::string all = daemon.log();
        std::size_t count = 0;
        for (std::size_t at = 0; (at = all.find(text, at)) != std::string::npos; ++at) ++count;
        return count;
    };
    CHECK(times("error:") == 1);
    CHECK(
        times("jail=app ipset \"hmailblock\": is full: it holds 1000 elements; make the set larger "
              "(maxelem), or bantime shorter") == 1);
    CHECK(has(daemon.ctl("status app").out, "; 4000 bans are missing in it"));
    CHECK(has(daemon.ctl("status").out, "; 4000 bans are missing in it"));
    CHECK(must("ipset list hmailblock -t | grep entries") == "Number of entries: 1000\n");
    must(
        "ipset create larger hash:net timeout 0 maxelem 65536; ipset swap hmailblock larger;"
        "ipset destroy larger");
    CHECK(wait_for([&] { return missing() == 0 && jail()["bans"] == 5000; }, 70));
    CHECK(must("ipset list hmailblock -t | grep entries") == "Number of entries: 5000\n");
    CHECK(times("works again (was: ipset \"hmailblock\": is full") == 1);
    CHECK(times("error:") == 1);
}

TEST_CASE_METHOD(AppSetup, "a missing log is said and waited for; its own log is not read") {
    std::string own = dir / "run/bandd.log";
    configure(
        "  app: {logpath: later/app.log, maxretry: 1}\n  own: {logpath: run/bandd.log, filter: "
        "app}\n",
        "log: {target: run/bandd.log}\n");
    must("mkdir " + dir / "run" + "; chown nobody " + dir / "run");
    write_file(dir / "daemon.log", "");
    daemon.start();
    auto said = [&](const std::string& text) {
        return wait_for([&] { return has(read_file(own), text); });
    };
    CHECK(said("log \"" + dir / "later/app.log" + "\" does not exist; waiting for it"));
    CHECK(said("\"" + own + "\": bandd does not read its own log; take it out of \"logpath\""));
    denied("203.0.113.9", dir / "later/app.log");
    CHECK(bans_become("203.0.113.9 app active\n"));
    CHECK(said("log \"" + dir / "later/app.log" + "\" is read now"));
}

TEST_CASE_METHOD(AppSetup,
                 "archives beside a log that hold gigabytes are cut, said and counted; nothing "
                 "waits for them") {
    configure(
        "  app: {logpath: app.log, maxretry: 1}\n"
        "  other: {logpath: other.log, filter: app, maxretry: 1}\n");
    write_file(dir / "other.log", "");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    CHECK(daemon.stop(SIGTERM) == 0);
    must("mv " + log + " " + log + ".1; sleep 0.05");
#ifdef BANDD_ADDRESS_SANITIZER
    constexpr std::size_t bomb_size = 20'000;  // what of it is read takes long enough
#else
    constexpr std::size_t bomb_size = 85'000;
#endif
    std::string bomb;
    for (std::string frame = packed(".zst", repeated_line(64 << 20)); bomb.size() < bomb_size;)
        bomb += frame;
    for (const char* name : {".2.zst", ".3.zst"}) write_file(log + name, bomb);
    write_file(log, "");
    denied("203.0.113.2");
    denied("203.0.113.3", dir / "other.log");
    REQUIRE(daemon.start());
    // The log's own line is read after the archives: with a sanitizer that takes a while.
    const std::string all =
        "203.0.113.1 app active\n203.0.113.2 app active\n203.0.113.3 other active\n";
    REQUIRE(wait_for([&] { return bans() == all; }, 120));
    for (const char* name : {".2.zst", ".3.zst"})
        CHECK(daemon.said("\"" + log + name +
                          "\": holds more than 1100 times its size; the rest "
                          "of it is not read"));
    CHECK(json("status")["cut_archives"] == 2);
    CHECK(has(daemon.ctl("status").out,
              "2 compressed logs held too much and were not read to their end"));
    CHECK(std::stoi(must("du -s --block-size=M " + dir / "run")) <=
          8);  // nothing is unpacked to it
}

TEST_CASE_METHOD(AppSetup, "started without rights, it says what it lacks") {
    must("chmod 777 " + dir.path() + "; chmod 600 " + log);
    write_file(dir / "daemon.log", "");
    must("chmod 666 " + dir / "daemon.log");
    configure("  app: {logpath: app.log}\n");
    DaemonProcess plain(
        dir.path(),
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all");
    CHECK_FALSE(plain.start());
    INFO(plain.log());
    CHECK(has(plain.log(), "bandd needs CAP_NET_ADMIN: start it as root"));
    SECTION("an unreadable log, with a jail that needs no firewall") {
        configure("  app:\n    logpath: app.log\n    action: [syslog]\n",
                  "defaults: {action: [syslog]}\n");
        REQUIRE(plain.start());
        CHECK(plain.said("cannot read \"" + log +
                         "\": Permission denied; give the user bandd the right to read it"));
        must("chmod 644 " + log);
        CHECK(plain.said("log \"" + log + "\" is read now"));
    }
}

namespace {

// The state lies on a disk of 800 kB.
struct SmallDisk : AppSetup {
    std::string small = dir / "small";
    std::string full =
        "state \"" + small + "/state/db\": cannot write: database or disk is full; free some space";

    SmallDisk() {
        must("mkdir " + small + "; mount -t tmpfs -o size=800k tmpfs " + small);
        write_file(
            dir / "bandd.yaml",
            "state: small/state/db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\njails:\n"
            "  app: {logpath: app.log, maxretry: 1}\n");
    }
    ~SmallDisk() {
        daemon.stop(SIGKILL);
        sh("umount " + small);
    }
};

}  // namespace

TEST_CASE_METHOD(SmallDisk,
                 "a full disk stops no ban, is said and shown, and is written once there is room") {
    REQUIRE(daemon.start());
    sh("dd if=/dev/zero of=" + small + "/ballast bs=4k");
    // The room that SQLite's log gives back is enough for one ban, not for a thousand.
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    sh("dd if=/dev/zero of=" + small + "/ballast bs=4k oflag=append conv=notrunc");
    std::string attack;
    for (int i = 0; i < 1000; ++i)
        attack +=
            "denied bob 198.51." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
    append_file(log, attack);
    std::string message = full + "; bans go on, but a restart would forget the newest";
    CHECK(daemon.said(message));
    CHECK(has(daemon.ctl("status").out, message));
    must("rm " + small + "/ballast");
    CHECK(daemon.said("is written again"));
    CHECK(daemon.stop(SIGTERM) == 0);
}

TEST_CASE_METHOD(SmallDisk,
                 "an order that cannot be saved holds, and whoever orders is told that it is not") {
    REQUIRE(daemon.start());
    CHECK(daemon.ctl("ban 203.0.113.9").code == 0);
    sh("dd if=/dev/zero of=" + small + "/ballast bs=4k");
    std::string list;
    for (int i = 0; i < 1000; ++i)
        list += "198.51." + std::to_string(i / 250) + "." + std::to_string(i % 250) + " 2h x\n";
    write_file(dir / "list", list);
    auto refused = [&](const std::string& order) {
        INFO(order);
        Ran ran = daemon.ctl(order);
        INFO(ran.out);
        CHECK(ran.code == 1);
        return has(ran.out, "this holds, but is not saved: " + full);
    };
    CHECK(refused("ban - < " + dir / "list"));
    CHECK(refused("unban - < " + dir / "list"));
    for (const char* order :
         {"ban 203.0.113.10", "ban 203.0.113.11 203.0.113.12", "unban 203.0.113.10",
          "allow 203.0.113.20", "allow remove 203.0.113.20", "set app maxretry 9", "stop app",
          "start app", "ban 203.0.113.13", "flush", "ban 203.0.113.14", "unban --all"})
        CHECK(refused(order));
    CHECK(has(daemon.ctl("--json ban 203.0.113.30").out, "\"unsaved\":{"));
    CHECK(has(daemon.ctl("bans").out, "203.0.113.30"));
    CHECK(daemon.ctl("status").code == 0);
    must("rm " + small + "/ballast");
    CHECK(daemon.said("is written again"));
    CHECK(daemon.ctl("ban 203.0.113.31").code == 0);
    kill(daemon.pid(), SIGKILL);
    daemon.stop(SIGKILL);
    REQUIRE(daemon.start());
    std::string bans = daemon.ctl("bans").out;
    CHECK(has(bans, "203.0.113.30"));
    CHECK(has(bans, "203.0.113.31"));
    CHECK(daemon.stop(SIGTERM) == 0);
}

TEST_CASE_METHOD(AppSetup, "a line that takes a pattern too long is counted by its log, and said") {
    write_file(dir / "filters/slow.yaml",
               "dialect: fail2ban\ndatepattern: '{^LN-BEG}'\nfailregex:\n"
               "  - '(?!x)\\S+ from (?=\\d)<HOST>'\n");
    configure("  slow: {filter: slow, logpath: app.log, maxretry: 1}\n",
              "http: {listen: \"tcp://127.0.0.1:10049\"}\n");
    REQUIRE(daemon.start());
    append_file(log, std::string(60'000, 'a') + " from x\n");
    CHECK(daemon.said("warning: log \"" + log + "\": 1 line of it would take a pattern of "));
    append_file(log, "bob from 203.0.113.7\n");
    CHECK(bans_become("203.0.113.7 slow active\n"));
    CHECK(json("status")["matcher_gave_up"] == 1);
    CHECK(has(must("curl -s http://127.0.0.1:10049/metrics"),
              "bandd_source_matcher_gave_up_total{source=\"" + log + "\"} 1\n"));
}

TEST_CASE_METHOD(AppSetup,
                 "a state on a read-only file system at the start is an error with what to do") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs tmpfs " + small);
    write_file(dir / "bandd.yaml",
               "state: small/db\nsocket: run/socket\nuser: root\ngroup: root\njails:\n"
               "  app: {logpath: app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.8");
    REQUIRE(bans_become("203.0.113.8 app active\n"));
    daemon.stop(SIGTERM);
    must("mount -o remount,ro " + small);
    CHECK_FALSE(daemon.start());
    INFO(daemon.log());
    CHECK(has(daemon.log(), "state \"" + small +
                                "/db\": Read-only file system; mount it writable, "
                                "or set \"state:\" to a file elsewhere"));
    must("umount " + small);
}

TEST_CASE_METHOD(AppSetup, "a disk that is full at the start is an error with what to do") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs -o size=64k tmpfs " + small +
         "; dd if=/dev/zero of=" + small + "/ballast bs=4k; true");
    write_file(dir / "bandd.yaml",
               "state: small/db\nsocket: run/socket\njails:\n  app: {logpath: app.log}\n");
    CHECK_FALSE(daemon.start());
    INFO(daemon.log());
    CHECK(has(daemon.log(),
              "state \"" + small + "/db.lock\": No space left on device; free some space there"));
    must("umount " + small);
}

TEST_CASE_METHOD(AppSetup, "a log directory that is unmounted and comes back is read on") {
    std::string mount_point = dir / "logs";
    must("mkdir " + mount_point + "; mount -t tmpfs tmpfs " + mount_point);
    write_file(mount_point + "/app.log", "");
    configure("  app: {logpath: logs/app.log, maxretry: 1}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1", mount_point + "/app.log");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    must("umount -l " + mount_point);
    must("mount -t tmpfs tmpfs " + mount_point);
    denied("203.0.113.2", mount_point + "/app.log");
    CHECK(bans_become("203.0.113.1 app active\n203.0.113.2 app active\n"));
    daemon.stop(SIGTERM);
    must("umount " + mount_point);
}

#ifndef BANDD_ADDRESS_SANITIZER  // UBSan opens a pipe to look whether memory can be read
TEST_CASE_METHOD(AppSetup, "out of file descriptors: said, and the logs that are open go on") {
    for (int i = 0; i < 60; ++i) write_file(dir / ("many/" + std::to_string(i) + ".log"), "");
    configure(
        "  app: {logpath: app.log, maxretry: 1}\n  many: {logpath: 'many/*.log', filter: app, "
        "maxretry: 1}\n");
    DaemonProcess small(dir.path(), "prlimit --nofile=40:40");
    bool started = small.start();
    INFO(small.log());
    REQUIRE(started);
    CHECK(small.said("Too many open files"));
    denied("203.0.113.1");
    CHECK(wait_for([&] { return in_set("app-ipv4", "203.0.113.1"); }));
    CHECK(small.stop(SIGTERM) == 0);
}
#endif

TEST_CASE_METHOD(AppSetup, "out of inotify watches: said with the sysctl to raise") {
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\n"
               "defaults: {action: [syslog]}\njails:\n  app: {logpath: [app.log, a/app.log, "
               "b/app.log, c/app.log]}\n");
    for (const char* sub : {"a", "b", "c"}) write_file(dir / (std::string(sub) + "/app.log"), "");
    // The limit belongs to the user namespace, so that this touches nobody else's.
    write_file(dir / "start",
               "#!/bin/sh\necho 3 > /proc/sys/user/max_inotify_watches\nexec \"$@\"\n");
    must("chmod 755 " + dir / "start");
    DaemonProcess limited(dir.path(), "unshare --user --map-root-user " + dir / "start");
    bool started = limited.start();
    INFO(limited.log());
    REQUIRE(started);
    CHECK(limited.said("No space left on device; raise the sysctl fs.inotify.max_user_watches"));
}

#if !defined BANDD_ADDRESS_SANITIZER && \
    !defined BANDD_THREAD_SANITIZER  // which need terabytes of it
TEST_CASE_METHOD(AppSetup,
                 "out of memory it ends at worst, its bans stay, and the next start knows them") {
    configure_app();
    DaemonProcess limited(dir.path(), "prlimit --as=105000000");
    REQUIRE(limited.start());
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(bans_become("203.0.113.9 app active\n"));
    must("sleep 3");  // a checkpoint
    std::string much(60'000, 'x');
    for (int i = 0; i < 600 && limited.ctl("version").code == 0; ++i)
        limited.ctl("ban 10." + std::to_string(i / 256) + "." + std::to_string(i % 256) +
                    ".1 --reason " + much);
    INFO(limited.log());
    CHECK(in_set("app-ipv4", "203.0.113.9"));
    limited.stop(SIGKILL);
    REQUIRE(daemon.start());
    CHECK(wait_for([&] { return has(bans(), "203.0.113.9 app active"); }));
}
#endif

TEST_CASE_METHOD(AppSetup, "with nothing to watch it says so and how to add a log") {
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n");
    REQUIRE(daemon.start());
    CHECK(daemon.said(
        "nothing to watch: no jail has a log that exists here; name one with \"logpath:\" in " +
        dir.path() + "/jails/NAME.yaml, then run bandctl reload"));
    CHECK(daemon.ctl("ban 203.0.113.9").code == 0);  // bans by hand work all the same
    CHECK(in_set("manual-ipv4", "203.0.113.9"));
}

namespace {

// A socket that listens for all the world, of a user's.
Fd listen_as(const std::string& user, std::uint16_t port) {
    auto account = find_user(user);
    REQUIRE(account);
    REQUIRE(::seteuid(account->uid) == 0);
    Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::seteuid(0) == 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd.get(), 5) == 0);
    return fd;
}

}  // namespace

TEST_CASE_METHOD(AppSetup, "port: auto: a ban closes the port at which the service listens here") {
    Fd service = listen_as("games", 2222);
    Fd other = listen_as("root", 8080);
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    port: [ssh, auto]\n    service: {user: "
        "games}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    REQUIRE(bans_become("203.0.113.1 app active\n"));
    std::string rules = must("nft list table inet bandd");
    CHECK(has(rules, "tcp dport 22 "));
    CHECK(has(rules, "tcp dport 2222 "));
    CHECK_FALSE(has(rules, "8080"));
    CHECK(has(daemon.ctl("status app").out, "bans close ports 22, 2222"));
    CHECK(has(daemon.ctl("explain 203.0.113.1").out, "bans close ports 22, 2222"));
    CHECK(has(daemon.ctl("check").out,
              "bans also close ports on which its service listens here: 2222"));
    // Its bans hold where it listens after a reload.
    service = listen_as("games", 2223);
    CHECK(daemon.ctl("reload").code == 0);
    rules = must("nft list table inet bandd");
    CHECK(has(rules, "tcp dport { 2222-2223 }") + has(rules, "tcp dport 2222-2223") == 1);
    CHECK(in_set("app-ipv4", "203.0.113.1"));
}

TEST_CASE_METHOD(AppSetup, "port: auto on a machine that forwards closes what the jail names") {
    if (sh("sysctl -qw net.ipv4.ip_forward=1").code != 0) {
        WARN("no right to forward here");
        return;
    }
    Fd service = listen_as("games", 2222);
    configure_app("    port: [ssh, auto]\n    service: {user: games}\n");
    REQUIRE(daemon.start());
    CHECK(daemon.said("this machine forwards packets for others"));
    std::string rules = must("nft list table inet bandd");
    must("sysctl -qw net.ipv4.ip_forward=0");
    CHECK(has(rules, "tcp dport 22 "));
    CHECK_FALSE(has(rules, "2222"));
}

TEST_CASE_METHOD(AppSetup, "that a ban closes ports on which nothing listens is said once") {
    configure(
        "  app:\n    logpath: app.log\n    maxretry: 1\n    port: [2022, auto]\n    service: "
        "{user: games}\n");
    REQUIRE(daemon.start());
    denied("203.0.113.1");
    CHECK(daemon.said("jail app: bans close ports 2022, on which nothing listens here"));
}

TEST_CASE_METHOD(AppSetup,
                 "a filter whose program writes its lines in another way is said to be blind") {
    configure("  app: {logpath: app.log, maxretry: 1000}\n");
    REQUIRE(daemon.start());
    auto address = [](int i) {
        return "198.51." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    };
    for (int part = 0; part < 30; ++part) {
        std::string lines;
        for (int i = 0; i < 20; ++i) {
            lines += "denied bob " + address(part * 20 + i) + "\n";
            for (int k = 0; k < 10; ++k)
                lines += "served page " + std::to_string(k) + " to client " + address(k) +
                         " in no time at all, well\n";
        }
        append_file(log, lines);
    }
    REQUIRE(wait_for([&] { return json("status app")["jails"][0]["hits"] == 600; }));
    CHECK_FALSE(json("status app")["jails"][0].contains("blindness"));
    for (int i = 0; i < 10; ++i) append_file(log, "denied user bob at " + address(i) + "\x1b[2J\n");
    CHECK(daemon.said("pattern \"denied\" of filter \"app\" is blind"));
    CHECK(daemon.said(
        "6 lines look like failures, and nothing matches them; denied comes nearest: it takes "
        "\"denied user \", but then wants <HOST>$; the last one: denied user bob at "
        "198.51.0.6\\x1b[2J"));
    Json jail = json("status app")["jails"][0];
    CHECK(jail["blindness"]["kind"] == "pattern");
    CHECK(jail["blindness"]["pattern"] == "denied");
    CHECK(jail["blind"] == 1);
    CHECK(has(daemon.ctl("status").out, "pattern denied is blind"));
    CHECK(has(daemon.ctl("status app").out, "denied user bob at 198.51.0.6\\x1b[2J"));
    // A restart knows it, and hits take it back.
    daemon.stop(SIGTERM);
    REQUIRE(daemon.start());
    append_file(log, "denied user bob at 198.51.0.9\n");
    CHECK(wait_for([&] { return json("status app")["jails"][0].contains("blindness"); }));
    std::string said = daemon.log();
    CHECK(said.find("is blind") == said.rfind("is blind"));
    for (int i = 0; i < 5; ++i) denied(address(i));
    CHECK(daemon.said("filter \"app\" sees again"));
    CHECK_FALSE(json("status app")["jails"][0].contains("blindness"));
}
