// SPDX-License-Identifier: GPL-2.0-or-later
// exec with real programs through the real spawner, syslog into a real datagram socket, and tags.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "action/exec.h"
#include "action/syslog.h"
#include "action/tags.h"
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

struct Programs {
    TempDirectory dir;
    ExecBackend backend{std::move(*Spawner::start())};
    std::vector<Completion> completions;

    void use(ExecAction action) {
        if (action.user.empty()) action.user = "root";
        backend.set_targets({{0, 0, "sshd", action}});
    }
    void run(std::size_t count = 1, Order::Kind kind = Order::Kind::add) {
        Order order{kind, 0, prefix("203.0.113.9"), forever, std::make_shared<const Ban>(a_ban())};
        std::vector<Failure> failed;
        backend.apply(std::vector<Order>(count, order), failed);
        CHECK(failed.empty());
    }
    bool wait_ends(std::size_t count) {
        return wait_for([&] {
            pollfd ready{backend.notice_fd(), POLLIN, 0};
            poll(&ready, 1, 10);
            for (auto& one : backend.read_notices().completions) completions.push_back(one);
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

TEST_CASE_METHOD(Programs, "exec: argv without a shell, a clean environment, no descriptors") {
    std::string out = dir / "out";
    setenv("BANDD_TEST_SECRET", "must not be seen", 1);
    int open_here = open("/dev/null", O_RDONLY);  // without CLOEXEC, on purpose
    ExecAction action;
    action.ban = {"/bin/sh",
                  "-c",
                  "printf '%s|' \"$@\" > \"$0\"; env >> \"$0\"; ls /proc/self/fd >> \"$0\"",
                  out,
                  "<ip>",
                  "<F-USER>",
                  "$(id)",
                  "<matches>"};
    use(action);
    run();
    REQUIRE(wait_ends(1));
    CHECK_FALSE(completions[0].error);
    std::string text = read_file(out);
    INFO(text);
    CHECK(text.starts_with("203.0.113.9|bob; rm -rf /|$(id)|line <one> from ::1\nline two|"));
    CHECK(text.find("BANDD_TEST_SECRET") == std::string::npos);
    CHECK(text.find("PATH=") != std::string::npos);
    CHECK(text.ends_with("0\n1\n2\n3\n"));  // 3 is ls's own, on the directory
    close(open_here);
}

TEST_CASE_METHOD(Programs, "exec: failures tell why, with what the program said") {
    ExecAction action;
    SECTION("exit code and standard error") {
        action.ban = {"/bin/sh", "-c", "echo no such mailbox >&2; exit 3"};
        use(action);
        run();
        REQUIRE(wait_ends(1));
        REQUIRE(completions[0].error);
        CHECK(to_line(*completions[0].error) == "exec /bin/sh: exit code 3: no such mailbox");
    }
    SECTION("no such program") {
        action.ban = {"/nonexistent/program"};
        use(action);
        run();
        REQUIRE(wait_ends(1));
        REQUIRE(completions[0].error);
        CHECK(to_line(*completions[0].error).find("No such file or directory") !=
              std::string::npos);
    }
    SECTION("too slow: killed with all that it started") {
        action.ban = {"/bin/sh", "-c", "sleep 1000 & echo $! > " + dir / "pid" + "; wait"};
        action.timeout = std::chrono::milliseconds(300);
        use(action);
        run();
        REQUIRE(wait_ends(1));
        REQUIRE(completions[0].error);
        CHECK(to_line(*completions[0].error) == "exec /bin/sh: took too long and was killed");
        std::string pid = read_file(dir / "pid");
        CHECK(wait_for([&] { return sh("kill -0 " + pid).code != 0; }));
    }
}

TEST_CASE_METHOD(Programs, "exec: at most N at a time, the others wait their turn") {
    ExecAction action;
    action.parallel = 2;
    std::string d = dir.path();
    action.ban = {"/bin/sh", "-c",
                  "mkdir " + d + "/r$$; ls -d " + d + "/r* | wc -l >> " + d +
                      "/most; sleep 0.05; rmdir " + d + "/r$$"};
    use(action);
    run(10);
    REQUIRE(wait_ends(10));
    std::string counts = read_file(dir / "most");
    CHECK(std::count(counts.begin(), counts.end(), '\n') == 10);
    CHECK(counts.find_first_of("3456789") == std::string::npos);
}

TEST_CASE_METHOD(Programs, "exec: runs as the user that is named") {
    if (geteuid() != 0) return;
    ExecAction action;
    action.user = "nobody";
    action.ban = {"/bin/sh", "-c", "id -un >&2; id -Gn >&2; exit 1"};
    use(action);
    run();
    REQUIRE(wait_ends(1));
    REQUIRE(completions[0].error);
    CHECK(to_line(*completions[0].error) == "exec /bin/sh: exit code 1: nobody");
}

TEST_CASE("syslog: facility, severity, tag and text, at a ban and at its end") {
    TempDirectory dir;
    std::string path = dir / "log";
    SyslogBackend backend(path);
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
