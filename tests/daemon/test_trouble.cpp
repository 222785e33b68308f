// SPDX-License-Identifier: GPL-2.0-or-later
// The running daemon on a machine that lacks something: sets, logs, rights, disk, memory,
// descriptors. docs/faults.md promises these.
#include <csignal>

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

TEST_CASE_METHOD(AppSetup,
                 "a full disk stops no ban, is said and shown, and is written once there is room") {
    std::string small = dir / "small";
    must("mkdir " + small + "; mount -t tmpfs -o size=800k tmpfs " + small);
    write_file(dir / "bandd.yaml",
               "state: small/state/db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\njails:\n"
               "  app: {logpath: app.log, maxretry: 1}\n");
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
    std::string message = "state \"" + small +
                          "/state/db\": cannot write: database or disk is full; free some space; "
                          "bans go on, but a restart would forget the newest";
    CHECK(daemon.said(message));
    CHECK(has(daemon.ctl("status").out, message));
    must("rm " + small + "/ballast");
    CHECK(daemon.said("is written again"));
    CHECK(daemon.stop(SIGTERM) == 0);
    must("umount " + small);
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
