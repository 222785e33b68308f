// SPDX-License-Identifier: GPL-2.0-or-later
// The two sides talk over a SEQPACKET socket pair: one packet a request, one a result. When the
// daemon is gone the socket ends, and the spawner leaves once its programs have.
#include "os/spawner.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "os/credentials.h"
#include "os/packet.h"
#include "os/signals.h"

namespace bandd {
namespace {

constexpr std::size_t longest_message = 512;  // of a program's standard error

std::int64_t monotonic_ms() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

struct Program {
    std::uint64_t id = 0;
    pid_t pid = 0;
    Fd standard_error;
    std::string message;
    std::int64_t deadline = 0;  // monotonic_ms
    bool killed = false;
};

[[noreturn]] void become(const std::vector<std::string>& argv, const std::string& user,
                         int standard_error) {
    auto give_up = [](const char* what) {
        std::string text = std::string(what) + ": " + std::strerror(errno);
        [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, text.data(), text.size());
        _exit(127);
    };
    int null = ::open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(standard_error, STDERR_FILENO);
    syscall(SYS_close_range, 3U, ~0U, 0U);
    setpgid(0, 0);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::chdir("/") != 0) give_up("chdir /");
    if (geteuid() == 0 && user != "root") {
        auto account = find_user(user);
        errno = EINVAL;
        if (!account) give_up(to_line(account.error()).c_str());
        if (initgroups(user.c_str(), account->gid) != 0 || setgid(account->gid) != 0 ||
            setuid(account->uid) != 0)
            give_up("becoming the user of this action");
    }
    std::vector<char*> pointers;
    for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LANG=C.UTF-8";
    std::array<char*, 3> environment{path.data(), language.data(), nullptr};
    execve(pointers.front(), pointers.data(), environment.data());
    give_up(("cannot run " + argv.front()).c_str());
    _exit(127);
}

class Server {
  public:
    explicit Server(Fd socket) : socket_(std::move(socket)) {}

    void run() {
        auto signals = open_signals({SIGCHLD});
        if (!signals) return;
        while (socket_ || !programs_.empty()) {
            std::vector<pollfd> polled{{signals->get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
            std::int64_t wait = -1;
            std::int64_t time = monotonic_ms();
            for (const Program& program : programs_) {
                polled.push_back({program.standard_error.get(), POLLIN, 0});
                if (program.killed) continue;
                std::int64_t left = std::max<std::int64_t>(program.deadline - time, 0);
                wait = wait < 0 ? left : std::min(wait, left);
            }
            poll(polled.data(), polled.size(),
                 static_cast<int>(std::min<std::int64_t>(wait, 1 << 30)));
            while (read_signal(*signals) != 0) {
            }
            if (polled[1].revents != 0) take_request();
            for (Program& program : programs_) collect(program);
            reap();
            kill_late();
        }
    }

  private:
    void take_request() {
        std::string packet(Spawner::largest_request + 1, '\0');
        ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            socket_.reset();
            return;
        }
        if (got < 0) return;
        std::string_view rest(packet.data(), static_cast<std::size_t>(got));
        auto id = take_field(rest);
        auto timeout = take_field(rest);
        auto user = take_field(rest);
        std::vector<std::string> argv;
        while (!rest.empty()) {
            auto word = take_field(rest);
            if (!word) return;
            argv.push_back(std::move(*word));
        }
        if (!id || !timeout || !user || argv.empty()) return;
        start(from_bytes<std::uint64_t>(*id), from_bytes<std::int64_t>(*timeout), *user, argv);
    }

    void start(std::uint64_t id, std::int64_t timeout_ms, const std::string& user,
               const std::vector<std::string>& argv) {
        std::array<int, 2> pipe_ends{-1, -1};
        if (pipe2(pipe_ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
            return answer({id, false, std::string("pipe2: ") + std::strerror(errno)});
        Fd reading(pipe_ends[0]);
        Fd writing(pipe_ends[1]);
        pid_t pid = fork();
        if (pid < 0) return answer({id, false, std::string("fork: ") + std::strerror(errno)});
        if (pid == 0) become(argv, user, writing.get());
        programs_.push_back({id, pid, std::move(reading), {}, monotonic_ms() + timeout_ms, false});
    }

    static void collect(Program& program) {
        std::array<char, 1024> buffer{};
        ssize_t got = 0;
        while ((got = ::read(program.standard_error.get(), buffer.data(), buffer.size())) > 0)
            if (program.message.size() < longest_message)
                program.message.append(buffer.data(), static_cast<std::size_t>(got));
    }

    void reap() {
        int status = 0;
        for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            auto program = std::ranges::find(programs_, pid, &Program::pid);
            if (program == programs_.end()) continue;
            collect(*program);
            std::string said = program->message.substr(0, program->message.find('\n'));
            said.resize(std::min(said.size(), longest_message));
            SpawnResult result{program->id, WIFEXITED(status) && WEXITSTATUS(status) == 0, {}};
            if (program->killed)
                result.message = "took too long and was killed";
            else if (WIFSIGNALED(status))
                result.message = "was killed by signal " + std::to_string(WTERMSIG(status));
            else if (!result.ok)
                result.message = "exit code " + std::to_string(WEXITSTATUS(status));
            if (!result.ok && !said.empty()) result.message += ": " + said;
            programs_.erase(program);
            answer(result);
        }
    }

    void kill_late() {
        std::int64_t time = monotonic_ms();
        for (Program& program : programs_) {
            if (program.killed || program.deadline > time) continue;
            kill(-program.pid, SIGKILL);
            kill(program.pid, SIGKILL);
            program.killed = true;
        }
    }

    void answer(const SpawnResult& result) {
        std::string packet;
        append_field(packet, as_bytes(result.id));
        append_field(packet, as_bytes(result.ok));
        append_field(packet, result.message);
        if (!socket_) return;
        [[maybe_unused]] auto ignored =
            ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    }

    Fd socket_;
    std::vector<Program> programs_;
};

}  // namespace

Result<Spawner> Spawner::start() {
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno("socketpair");
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    int size = static_cast<int>(largest_request) * 4;
    setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    pid_t pid = fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) {
        ours.reset();
        prctl(PR_SET_NAME, "bandd-spawner");
        setsid();
        // Terminal signals are for the daemon; the socket's end tells us when to leave.
        std::signal(SIGINT, SIG_IGN);
        std::signal(SIGTERM, SIG_IGN);
        std::signal(SIGHUP, SIG_IGN);
        Server(std::move(theirs)).run();
        _exit(0);
    }
    fcntl(ours.get(), F_SETFL, fcntl(ours.get(), F_GETFL) | O_NONBLOCK);
    Spawner spawner;
    spawner.socket_ = std::move(ours);
    return spawner;
}

Result<> Spawner::run(const SpawnRequest& request) {
    std::string packet;
    append_field(packet, as_bytes(request.id));
    append_field(packet, as_bytes<std::int64_t>(request.timeout.count() / 1000));
    append_field(packet, request.user);
    for (const std::string& word : request.argv) append_field(packet, word);
    if (packet.size() > largest_request)
        return fail("run " + request.argv.front(), "its arguments are over 128 KiB");
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0)
        return fail_errno("run " + request.argv.front());
    return {};
}

std::optional<SpawnResult> Spawner::take_result() {
    std::string packet(4096, '\0');
    ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got <= 0) return {};
    std::string_view rest(packet.data(), static_cast<std::size_t>(got));
    auto id = take_field(rest);
    auto ok = take_field(rest);
    auto message = take_field(rest);
    if (!id || !ok || !message) return {};
    return SpawnResult{from_bytes<std::uint64_t>(*id), from_bytes<bool>(*ok), *message};
}

}  // namespace bandd
