// SPDX-License-Identifier: GPL-2.0-or-later
// exec with real programs through the real bandd-programs, syslog into a real datagram socket, and
// tags.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "action/exec.h"
#include "action/syslog.h"
#include "action/tags.h"
#include "config/load.h"
#include "os/loop.h"
#include "os/roles.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

Ban a_ban() {
    auto story = std::make_shared<Story>();
    story->reason = "bad-password";
    story->matches = {{at(0), "p", "line <one> from ::1"}, {at(1), "p", "line two"}};
    story->fields = {{"user", "bob; rm -rf /"}};
    Ban ban;
    ban.key = {0, prefix("203.0.113.9")};
    ban.from = at(0);
    ban.until = at(3600);
    ban.hits = 5;
    ban.offence = 2;
    ban.story = story;
    return ban;
}

// The jail sshd with one exec action, and what runs its programs.
struct ExecSetup {
    TempDirectory dir;
    Roles roles = std::move(*Roles::start(dir.path()));
    Loop loop = std::move(*Loop::create());
    std::unique_ptr<Programs> programs = std::make_unique<Programs>(
        roles, loop, [](const Error& error) { UNSCOPED_INFO(to_line(error)); });
    std::unique_ptr<Backend> backend = std::move(*ExecBackend::create(*programs));
    std::vector<Completion> completions;

    ExecSetup() { std::filesystem::permissions(dir.path(), std::filesystem::perms{01777}); }
    // The keys of its action.
    void use(const std::string& keys) {
        write_file(dir / "bandd.yaml",
                   "jails: {sshd: {source: stdin, action: [{exec: {" + keys + "}}]}}\n");
        Config config =
            load_config(dir.path(), {}, [](const std::string&) { return Zone{}; }).config;
        auto read = programs->prepare(config);
        if (!read) FAIL(to_line(read.error()));
        programs->take(config);
        backend->set_targets({{0, 0, "sshd", config.jails.front().actions.front()}});
    }
    std::vector<Failure> run(std::size_t count = 1, Order::Kind kind = Order::Kind::add) {
        Order order{kind, 0, prefix("203.0.113.9"), forever, std::make_shared<const Ban>(a_ban())};
        std::vector<Failure> failed;
        backend->apply(std::vector<Order>(count, order), failed);
        return failed;
    }
    bool wait_ends(std::size_t count) {
        return wait_for([&] {
            loop.again();
            loop.turn();
            pollfd ready{backend->notice_fd(), POLLIN, 0};
            if (poll(&ready, 1, 0) == 1)
                for (auto& one : backend->read_notices().completions) completions.push_back(one);
            return completions.size() >= count;
        });
    }
};

}  // namespace

TEST_CASE("tags of actions: those of fail2ban, hostile text taken as it is") {
    Ban ban = a_ban();
    CHECK(replace_tags("<ip> <jail> <name> <bantime> <failures> <bancount> <family> <reason>", ban,
                       "sshd") == "203.0.113.9 sshd sshd 3600 5 2 inet4 bad-password");
    CHECK(replace_tags("<F-USER>|<F-NONE>|<unknown>|<|>", ban, "sshd") ==
          "bob; rm -rf /||<unknown>|<|>");
    CHECK(replace_tags("<matches>", ban, "sshd") == "line <one> from ::1\nline two");
    ban.until = never;
    ban.key.prefix = prefix("2001:db8::/64");
    CHECK(replace_tags("<ip> <prefix> <bantime> <family>", ban, "sshd") ==
          "2001:db8:: 2001:db8::/64 -1 inet6");
}

TEST_CASE_METHOD(ExecSetup, "exec: at a ban and at its end, with what is known of the ban") {
    use("ban: [/bin/sh, -c, 'printf \"%s|\" \"$@\" > " + dir / "out" +
        "', sh, <ip>, <jail>, <bantime>, <F-USER>, <reason>, <F-NONE>, <matches>], "
        "unban: [/bin/sh, -c, 'echo no such mailbox >&2; exit 3']");
    CHECK(run().empty());
    REQUIRE(wait_ends(1));
    CHECK_FALSE(completions[0].error);
    CHECK(read_file(dir / "out") ==
          "203.0.113.9|sshd|3600|bob; rm -rf /|bad-password||line <one> from ::1\nline two|");
    CHECK(run(1, Order::Kind::remove).empty());
    REQUIRE(wait_ends(2));
    REQUIRE(completions[1].error);
    CHECK(to_line(*completions[1].error) == "exec /bin/sh: exit code 3: no such mailbox");
    CHECK(completions[1].kind == Order::Kind::remove);
}

TEST_CASE_METHOD(ExecSetup, "exec: at most N at a time, the others wait their turn") {
    std::string d = dir.path();
    use("parallel: 2, ban: [/bin/sh, -c, 'mkdir " + d + "/r$$; ls -d " + d + "/r* | wc -l >> " + d +
        "/most; sleep 0.05; rmdir " + d + "/r$$']");
    CHECK(run(10).empty());
    REQUIRE(wait_ends(10));
    std::string counts = read_file(dir / "most");
    CHECK(std::count(counts.begin(), counts.end(), '\n') == 10);
    CHECK(counts.find_first_of("3456789") == std::string::npos);
}

TEST_CASE_METHOD(ExecSetup, "exec: what waits at a reload runs as it was; its end is told") {
    std::string d = dir.path();
    use("parallel: 1, ban: [/bin/sh, -c, 'echo old >> " + d + "/told; sleep 0.05; exit 1']");
    CHECK(run(3).empty());
    use("ban: [/bin/sh, -c, 'echo new >> " + d + "/told']");
    CHECK(run().empty());
    REQUIRE(wait_ends(4));
    std::string told = read_file(dir / "told");
    CHECK(std::count(told.begin(), told.end(), 'o') == 3);
    CHECK(std::count(told.begin(), told.end(), 'w') == 1);
    CHECK(std::ranges::count_if(completions, [](const Completion& one) {
              return one.error && one.target == UINT16_MAX;
          }) == 3);
}

TEST_CASE_METHOD(ExecSetup, "exec: bandd-programs is away: each ban fails, and says so") {
    use("ban: [/bin/sleep, '1000']");
    CHECK(run().empty());
    must("kill -9 $(pgrep -x bandd-programs -P $(pgrep -nx bandd-root -P " +
         std::to_string(getpid()) + "))");
    REQUIRE(wait_ends(1));
    CHECK(to_line(*completions[0].error) == "exec /bin/sleep: bandd-programs ended while it ran");
    CHECK(run().empty());
    REQUIRE(wait_ends(2));
    CHECK(to_line(*completions[1].error).find("has ended") != std::string::npos);
}

TEST_CASE("syslog: facility, severity, tag and text, at a ban and at its end") {
    TempDirectory dir;
    std::string path = dir / "log";
    auto made = std::move(*SyslogBackend::create(path));
    SyslogBackend& backend = *made;
    SyslogAction action;
    backend.set_targets({{0, 0, "hmail", action}});
    Order order{Order::Kind::add, 0, prefix("54.240.13.35"), forever,
                std::make_shared<const Ban>(a_ban())};
    Ban ban = a_ban();
    ban.key.prefix = order.prefix;
    order.ban = std::make_shared<const Ban>(ban);
    std::vector<Failure> failed;
    backend.apply(std::vector{order}, failed);
    REQUIRE(failed.size() == 1);  // nobody listens
    CHECK(to_line(failed[0].error).find(path) != std::string::npos);

    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    failed.clear();
    backend.apply(std::vector{order}, failed);
    order.kind = Order::Kind::remove;
    backend.apply(std::vector{order}, failed);
    CHECK(failed.empty());
    for (const char* text : {"54.240.13.35 BANNED!", "54.240.13.35 BAN LIFTED!"}) {
        char buffer[500];
        ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        REQUIRE(got > 0);
        std::string line(buffer, static_cast<std::size_t>(got));
        INFO(line);
        CHECK(line.starts_with("<189>"));  // local7.notice: 23 * 8 + 5
        CHECK(line.ends_with("bandd[" + std::to_string(getpid()) + "]: " + text));
    }
    close(fd);
}

TEST_CASE("syslog: a thousand bans at once, and /dev/log holds ten: the rest comes later") {
    TempDirectory dir;
    std::string path = dir / "log";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    auto listen = [&] {
        Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
        std::filesystem::remove(path);
        REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return fd;
    };
    Fd syslogd = listen();
    auto backend = std::move(*SyslogBackend::create(path));
    backend->set_targets({{0, 0, "hmail", SyslogAction{}}});
    auto order_of = [](int host) {
        Ban ban = a_ban();
        ban.key.prefix =
            prefix("10.0." + std::to_string(host / 256) + "." + std::to_string(host % 256));
        return Order{Order::Kind::add, 0, ban.key.prefix, forever,
                     std::make_shared<const Ban>(ban)};
    };
    std::vector<Order> orders;
    for (int host = 0; host < 1000; ++host) orders.push_back(order_of(host));
    std::vector<Failure> failed;
    backend->apply(orders, failed);
    CHECK(failed.empty());
    CHECK(backend->waiting() > 500);
    auto is_readable = [&] {
        pollfd ready{backend->notice_fd(), POLLIN, 0};
        return poll(&ready, 1, 0) == 1;
    };
    CHECK_FALSE(is_readable());
    int came = 0;
    auto read_all = [&] {
        char buffer[500];
        for (ssize_t got = 0; (got = recv(syslogd.get(), buffer, sizeof buffer, 0)) > 0; ++came) {
            std::string line(buffer, static_cast<std::size_t>(got));
            std::string expected = " 10.0." + std::to_string(came / 256) + "." +
                                   std::to_string(came % 256) + " BANNED!";
            if (!line.ends_with(expected)) FAIL(line << " instead of " << expected);
        }
    };
    SECTION("syslogd reads on") {}
    SECTION("syslogd is started anew") {
        read_all();
        syslogd = listen();
        (void)backend->read_notices();
    }
    while (came < 1000) {
        read_all();
        if (came == 1000) break;
        REQUIRE(is_readable());
        (void)backend->read_notices();
    }
    CHECK(backend->waiting() == 0);
    CHECK_FALSE(is_readable());
    // Nobody reads any more: what is too much is said.
    orders.clear();
    for (int host = 0; host < 11'000; ++host) orders.push_back(order_of(host % 1000));
    backend->apply(orders, failed);
    CHECK(backend->waiting() == SyslogQueue::most_waiting);
    REQUIRE(failed.size() > 500);
    CHECK(to_line(failed[0].error) ==
          "syslog: takes no lines, and 10000 wait; look at the syslog daemon");
}
