// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-programs, as its own process with real programs: whom they run as, with which rights, what
// a bandd that somebody else has taken over can have it do, and what becomes of tables and
// processes.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <sstream>

#include "config/load.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/packet.h"
#include "os/roles.h"
#include "programs/programs.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

using Outcome = ProgramAnswer::Outcome;

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct Configured {
    TempDirectory dir;

    Configured() {
        chmod(dir.path().c_str(), 0755);
        REQUIRE(mkdir((dir / "out").c_str(), 0777) == 0);
        chmod((dir / "out").c_str(), 0777);
    }
    // A jail whose exec action has these keys.
    void configure(const std::string& keys, const std::string& more = "") {
        write_file(dir / "bandd.yaml",
                   "jails:\n  app:\n    source: stdin\n    action:\n      - exec: {" + keys +
                       "}\n" + more);
    }
    Config config() const {
        return load_config(dir.path(), {}, [](const std::string&) { return Zone{}; }).config;
    }
    // A shell's program that writes into out/.
    std::string script(const std::string& text) const {
        return "[/bin/sh, -c, 'cd " + dir.path() + "/out; " + text + "']";
    }
    std::string out(const std::string& name) const {
        return read_file(dir.path() + "/out/" + name);
    }
};

// The process of bandd-programs that this test has; 0 if there is none that has not ended.
pid_t process() {
    std::string parent = sh("pgrep -n -x bandd-root -P " + std::to_string(getpid())).out;
    if (parent.empty()) return 0;
    std::string found = sh("pgrep -n -x bandd-programs -r R,S,D -P " + parent).out;
    return found.empty() ? 0 : std::stoi(found);
}
// A queue of a million requests may be before it.
bool process_ends() {
    return wait_for([] { return process() == 0; }, 60);
}

// Holds the socket, and says what it likes.
struct TakenOver : Configured {
    Roles roles = std::move(*Roles::start(dir.path()));
    Fd socket;

    void start() { socket = std::move(*roles.start_role(Role::programs)); }
    void send(const std::string& packet) {
        REQUIRE(::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(packet.size()));
    }
    ProgramAnswer answer() {
        pollfd ready{socket.get(), POLLIN, 0};
        REQUIRE(poll(&ready, 1, 10'000) == 1);
        std::string packet(4096, '\0');
        ssize_t got = recv(socket.get(), packet.data(), packet.size(), 0);
        REQUIRE(got > 0);
        auto answer =
            parse_program_answer(std::string_view(packet).substr(0, static_cast<std::size_t>(got)));
        REQUIRE(answer);
        return *answer;
    }
    ProgramAnswer ask(const ProgramRequest& request) {
        send(to_packet(request));
        return answer();
    }
    std::uint64_t read() {
        ProgramAnswer read = ask(ReadRequest{1});
        INFO(read.message);
        REQUIRE(read.outcome == Outcome::done);
        return read.generation;
    }
};

// bandd's own side.
struct Running : Configured {
    Roles roles = std::move(*Roles::start(dir.path()));
    Loop loop = std::move(*Loop::create());
    std::vector<std::string> errors;
    std::unique_ptr<Programs> programs = std::make_unique<Programs>(
        roles, loop, [this](const Error& error) { errors.push_back(to_line(error)); });
    std::vector<ProgramResult> ended;

    Result<> load() {
        Config fresh = config();
        auto read = programs->prepare(fresh);
        if (read) programs->take(fresh);
        return read;
    }
    void must_load() {
        auto loaded = load();
        if (!loaded) FAIL(to_line(loaded.error()));
    }
    ConfiguredProgram of(const Config& from, bool ban = true) const {
        const auto& action = std::get<ExecAction>(from.jails.front().actions.front());
        return ban ? ban_program(action, "app") : unban_program(action, "app");
    }
    Result<> run(const TagValues& values = {}) {
        return programs->run(of(config()), values, [this](const ProgramResult& result, Instant) {
            ended.push_back(result);
        });
    }
    bool turn_until(const std::function<bool()>& condition) {
        return wait_for([&] {
            loop.again();
            loop.turn();
            programs->on_time(now());
            return condition();
        });
    }
    ProgramResult result(const TagValues& values = {}) {
        std::size_t before = ended.size();
        auto started = run(values);
        if (!started) return {false, to_line(started.error())};
        REQUIRE(turn_until([&] { return ended.size() > before; }));
        UNSCOPED_INFO(ended.back().message);
        return ended.back();
    }
};

constexpr const char* rights =
    "id -u; id -g; id -G; grep -E \"^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)\" "
    "/proc/self/status | tr -d \"\\t\"";

// Of the user, its group, its groups.
std::string ids(const std::string& user) {
    return must("id -u " + user + "; id -g " + user + "; id -G " + user);
}

std::string capabilities(const std::string& set) {
    std::string text;
    for (const char* name : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"})
        text += name + set + "\n";
    return text + "NoNewPrivs:0\n";
}

}  // namespace

TEST_CASE_METHOD(Running, "who names no user gets bandd-exec, and no capability") {
    configure("ban: " + script(std::string("{ ") + rights + "; } > rights"));
    must_load();
    CHECK(result().ok);
    CHECK(out("rights") == ids("bandd-exec") + capabilities("0000000000000000"));
}

TEST_CASE_METHOD(Running, "capabilities: the program has these, and can get no other") {
    std::string user = GENERATE("", ", user: nobody", ", user: root");
    configure("capabilities: [net_admin], ban: " +
              script(std::string("{ ") + rights + "; } > rights") + user);
    must_load();
    ProgramResult done = result();
    INFO(done.message);
    CHECK(done.ok);
    std::string id = ids(user.empty() ? "bandd-exec" : user.substr(user.find(": ") + 2));
    CHECK(out("rights") == id + capabilities("0000000000001000"));
}

TEST_CASE_METHOD(Running, "user: root has all that bandd was given, unless capabilities say less") {
    configure(
        "user: root, ban: " +
        script("grep CapEff /proc/self/status > rights; grep CapBnd /proc/self/status >> rights"));
    must_load();
    CHECK(result().ok);
    std::string text = out("rights");
    CHECK(text.substr(8, 16) == text.substr(text.find("CapBnd") + 8, 16));
    CHECK_FALSE(has(text, "0000000000000000"));
    configure("user: root, capabilities: [], ban: " +
              script("grep CapEff /proc/self/status > rights"));
    must_load();
    CHECK(result().ok);
    CHECK(out("rights") == "CapEff:\t0000000000000000\n");
}

TEST_CASE_METHOD(Running,
                 "a setgid program works, as postdrop must; a setuid one has no capability") {
    must("cp /usr/bin/id /usr/bin/grep " + dir.path() + " && cd " + dir.path() +
         " && chgrp mail id && chmod 2755 id && chown root:root grep && chmod 4755 grep");
    configure("ban: " + script(dir / "id" + " -gn > group; " + dir / "grep" +
                               " CapEff /proc/self/status > rights"));
    must_load();
    ProgramResult done = result();
    INFO(done.message);
    CHECK(done.ok);
    CHECK(out("group") == "mail\n");
    CHECK(out("rights") == "CapEff:\t0000000000000000\n");
}

TEST_CASE_METHOD(Running,
                 "a user that does not exist, a capability that bandd lacks: said, not run") {
    configure("user: no-such-user, ban: " + script("echo x > ran"));
    must_load();
    CHECK(has(result().message, "exit code 127: user \"no-such-user\": does not exist"));
    CHECK(out("ran").empty());
}

TEST_CASE_METHOD(Running, "a program with rights is one that only root could have written") {
    write_file(dir / "tell", "#!/bin/sh\necho x > " + dir / "out/ran" + "\n");
    chmod((dir / "tell").c_str(), 0755);
    configure("user: root, ban: [" + dir / "tell" + "]");
    must_load();
    CHECK(result().ok);
    CHECK(out("ran") == "x\n");
    must("rm " + dir / "out/ran");
    must("chown nobody " + dir / "tell");
    CHECK(has(result().message, "tell\": it belongs to user "));
    configure("capabilities: [net_admin], ban: [" + dir / "tell" + "]");
    must_load();
    CHECK(has(result().message, "tell\": it belongs to user "));
    CHECK(out("ran").empty());
    configure("ban: [" + dir / "tell" + "]");  // without rights it may be anybody's
    must_load();
    CHECK(result().ok);
}

TEST_CASE_METHOD(Running, "argv without a shell, a clean environment, no descriptors, no core") {
    setenv("BANDD_TEST_SECRET", "must not be seen", 1);
    configure("ban: [/bin/sh, -c, 'cd " + dir.path() +
              "/out; printf \"%s|\" \"$@\" > out; env >> out; ls /proc/self/fd >> out; ulimit -c "
              ">> out', "
              "sh, <ip>, <F-USER>, $(id), <matches>]");
    must_load();
    CHECK(result({{"ip", "203.0.113.9"}, {"F-USER", "bob; rm -rf /"}, {"matches", "one\ntwo"}}).ok);
    std::string text = out("out");
    INFO(text);
    CHECK(text.starts_with("203.0.113.9|bob; rm -rf /|$(id)|one\ntwo|"));
    CHECK_FALSE(has(text, "BANDD_TEST_SECRET"));
    CHECK(has(text, "PATH="));
    CHECK(text.ends_with("0\n1\n2\n3\n0\n"));  // 3 is ls's own, on the directory
}

TEST_CASE_METHOD(Running, "failures tell why, with the first line of what the program said") {
    configure("ban: " + script("echo no such mailbox >&2; echo second >&2; exit 3"));
    must_load();
    CHECK(result().message == "exit code 3: no such mailbox");
    configure("ban: [/nonexistent/program]");
    must_load();
    CHECK(result().message ==
          "exit code 127: cannot run /nonexistent/program: No such file or directory");
    configure("timeout: 0.3s, ban: " + script("sleep 1000 & echo $! > pid; wait"));
    must_load();
    CHECK(result().message == "took too long and was killed");
    CHECK(wait_for([&] { return sh("kill -0 " + out("pid")).code != 0; }));
    configure("ban: " + script("kill -9 $$"));
    must_load();
    CHECK(result().message == "was killed by signal 9");
}

TEST_CASE_METHOD(
    Running,
    "a program that floods its error output ends at its time limit, and holds up no other") {
    configure("timeout: 1s, ban: [/bin/sh, -c, 'exec yes >&2'], unban: " +
              script("echo done > done"));
    must_load();
    Config from = config();
    for (int i = 0; i < 3; ++i) REQUIRE(run());
    bool other = false;
    REQUIRE(programs->run(of(from, false), {},
                          [&](const ProgramResult& result, Instant) { other = result.ok; }));
    CHECK(turn_until([&] { return other; }));
    CHECK(ended.empty());
    CHECK(turn_until([&] { return ended.size() == 3; }));
    CHECK(ended.front().message == "took too long and was killed: y");
    std::string status = read_file("/proc/" + std::to_string(process()) + "/status");
#if !defined(BANDD_ADDRESS_SANITIZER) && !defined(BANDD_THREAD_SANITIZER)
    CHECK(std::stol(status.substr(status.find("VmHWM:") + 6)) < 100'000);  // kB
#endif
}

TEST_CASE_METHOD(Running, "a program that closes its error output costs no time while it runs") {
    configure("ban: [/bin/sh, -c, 'exec sleep 1 2>&-']");
    must_load();
    CHECK(result().ok);
    std::string times = read_file("/proc/" + std::to_string(process()) + "/stat");
    std::istringstream words(times.substr(times.rfind(')') + 2));
    std::string word;
    for (int i = 0; i < 11; ++i) words >> word;
    long ticks = 0;  // user time, then system time, in hundredths
    long system = 0;
    words >> ticks >> system;
    CHECK(ticks + system < 50);
}

TEST_CASE_METHOD(Running,
                 "a reload that takes a jail away: its unban still runs, then nobody is there") {
    configure("ban: [/bin/true], unban: " + script("sleep 0.1; echo unban > unban"));
    must_load();
    ConfiguredProgram unban = of(config(), false);
    auto number = programs->number_of(unban);
    REQUIRE(number);
    write_file(dir / "bandd.yaml", "jails: {}\n");
    bool ok = false;
    auto undo = [&] {
        return programs->run(*number, {}, [&](const ProgramResult& result, Instant) {
            ok = result.ok;
            UNSCOPED_INFO(result.message);
        });
    };
    SECTION("begun before") {
        REQUIRE(undo());
        must_load();
        CHECK(programs->is_running());
    }
    SECTION("begun after, while others are there") {
        configure("ban: [/bin/false]");
        must_load();
        CHECK_FALSE(programs->number_of(unban));
        REQUIRE(undo());
        write_file(dir / "bandd.yaml", "jails: {}\n");
        must_load();
    }
    CHECK(turn_until([&] { return ok; }));
    CHECK(out("unban") == "unban\n");
    CHECK_FALSE(programs->is_running());
    CHECK(process_ends());
    CHECK(errors.empty());
}

TEST_CASE_METHOD(Running,
                 "without programs it is not started; a reload that adds the first one starts it") {
    write_file(dir / "bandd.yaml", "jails: {}\n");
    must_load();
    CHECK(process() == 0);
    configure("ban: [/bin/true]");
    must_load();
    CHECK(process() > 0);
    CHECK(result().ok);
}

TEST_CASE_METHOD(Running, "a reload is refused if others may write to the configuration") {
    configure("ban: [/bin/true]");
    must_load();
    configure("ban: [/bin/false]");
    chmod((dir / "bandd.yaml").c_str(), 0666);
    auto loaded = load();
    REQUIRE_FALSE(loaded);
    CHECK(has(to_line(loaded.error()), "bandd.yaml\": others than root may write to it"));
    // What was taken before goes on.
    configure("ban: [/bin/true]");
    CHECK(result().ok);
}

TEST_CASE_METHOD(Running, "a configuration that changed between two readings is not taken") {
    configure("ban: [/bin/true]");
    Config first = config();
    configure("ban: [/bin/false]");
    auto prepared = programs->prepare(first);
    REQUIRE_FALSE(prepared);
    CHECK(has(to_line(prepared.error()), "it was just changed; run bandctl reload"));
}

TEST_CASE_METHOD(Running,
                 "should bandd-programs die: what ran has failed, and it is started again") {
    configure("ban: " + script("sleep 1000"),
              "  other: {source: stdin, ignorecommand: [/bin/true]}\n");
    must_load();
    REQUIRE(run());
    pid_t before = process();
    kill(before, SIGKILL);
    REQUIRE(turn_until([&] { return !ended.empty(); }));
    CHECK(ended.front().message == "bandd-programs ended while it ran");
    REQUIRE(errors.size() == 1);
    CHECK(has(errors[0], "bandd-programs: has ended; it is started anew in 1 s"));
    CHECK(has(to_line(run().error()), "has ended, and is started anew in a moment"));
    REQUIRE(turn_until([&] { return programs->is_running(); }));
    CHECK(process() != before);
    CHECK(programs->ends() == 1);
    ProgramResult exempt;
    REQUIRE(programs->run(ignore_program(config().jails[1]), {},
                          [&](const ProgramResult& result, Instant) { exempt = result; }));
    CHECK(turn_until([&] { return exempt.ok; }));
    CHECK(errors.size() == 1);
}

TEST_CASE_METHOD(TakenOver, "who has taken bandd over can run nothing that is not in the table") {
    configure(
        "ban: [/usr/bin/touch, " + dir / "out/<ip>" + "], unban: " +
        script("echo $1 > arg; exit 5").substr(0, script("echo $1 > arg; exit 5").size() - 1) +
        ", sh, <F-USER>]");
    start();
    // Nothing is run before a table was read, whatever is named.
    CHECK(ask(RunRequest{2, 0, 0, {{"ip", "::1"}}}).outcome == Outcome::refused);
    std::uint64_t generation = read();
    Config from = config();
    ProgramTable table(from.programs);
    const auto& action = std::get<ExecAction>(from.jails.front().actions.front());
    std::uint32_t ban = *table.find(ban_program(action, "app"));
    CHECK(table.generation() == generation);

    CHECK(ask(RunRequest{3, generation + 1, ban, {{"ip", "::1"}}}).outcome == Outcome::refused);
    CHECK(ask(RunRequest{4, generation, 99, {{"ip", "::1"}}}).outcome == Outcome::refused);
    for (const TagValues& values :
         {TagValues{}, TagValues{{"ip", "../../etc/x"}}, TagValues{{"ip", "::1"}, {"user", "root"}},
          TagValues{{"ip", "::1"}, {"ip", "::2"}}, TagValues{{"argv", "/bin/sh"}}})
        CHECK(ask(RunRequest{5, generation, ban, values}).outcome == Outcome::refused);
    for (const std::string& packet :
         {std::string("x"), std::string(1000, '\0'), std::string(largest_program_request, 'x'),
          to_packet(ReadRequest{1}) + "x", std::string("\xff\xff\xff\xff", 4)}) {
        send(packet);
        ProgramAnswer answered = answer();
        CHECK((answered.outcome == Outcome::refused && answered.id == 0));
    }
    CHECK(must("ls " + dir / "out").empty());
    ProgramAnswer option = ask(RunRequest{6, generation, 1 - ban, {{"F-USER", "-n"}}});
    CHECK(option.message == "exit code 5");  // after a shell's text nothing is an option
    CHECK(ask(RunRequest{7, generation, ban, {{"ip", "2001:db8::9"}}}).outcome == Outcome::done);
    CHECK(must("ls " + dir / "out") == "2001:db8::9\narg\n");
    socket.reset();
    CHECK(process_ends());
}

TEST_CASE_METHOD(TakenOver, "tables of earlier reloads stay good, a bounded number of them") {
    start();
    std::vector<std::uint64_t> generations;
    for (int i = 0; i < 20; ++i) {
        configure("ban: [/bin/sh, -c, 'exit " + std::to_string(i) + "']");
        generations.push_back(read());
    }
    CHECK(ask(RunRequest{2, generations[19], 0, {}}).message == "exit code 19");
    CHECK(ask(RunRequest{3, generations[4], 0, {}}).message == "exit code 4");
    CHECK(ask(RunRequest{4, generations[3], 0, {}}).outcome == Outcome::refused);
    // What is used again is the newest again, and pushes nothing out.
    configure("ban: [/bin/sh, -c, 'exit 4']");
    CHECK(read() == generations[4]);
    CHECK(ask(RunRequest{5, generations[5], 0, {}}).message == "exit code 5");
}

TEST_CASE_METHOD(
    TakenOver,
    "a bandd that reads no answers gets nothing more started; programs are ended in time") {
    configure("timeout: 0.5s, ban: [/bin/sh, -c, 'echo $$ >> " + dir / "out/pids" +
              "; exec sleep 1000'], unban: [/no/such, <F-USER>]");
    start();
    std::uint64_t generation = read();
    ProgramTable table(config().programs);
    std::uint32_t ban = table.at(0)->program.argv.front() == "/bin/sh" ? 0 : 1;
    REQUIRE(ask(RunRequest{2, generation, 99, {}}).outcome == Outcome::refused);
    send(to_packet(RunRequest{3, generation, ban, {}}));
    REQUIRE(wait_for([&] { return !out("pids").empty(); }));
    // Answers that nobody reads, until its queue is full.
    std::string packet = to_packet(RunRequest{4, generation, 99, {}});
    int sent = 0;
    while (sent < 1'000'000 &&
           wait_for(
               [&] { return ::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL) > 0; },
               0.3))
        ++sent;
    CHECK(sent < 1'000'000);
    CHECK(wait_for([&] { return sh("kill -0 " + out("pids")).code != 0; }, 5));
    socket.reset();
    CHECK(process_ends());
}
