// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-root: starts bandd's other processes, and that is all. It keeps the rights that bandd was
// started with, so it reads nothing that a stranger wrote: of what the daemon sends it takes one
// byte, the role's number, and descriptors to hand on. Which program that is, and what it is told,
// is decided here.
//
//   bandd-root CONFIGURATION      descriptor 3: the daemon; 4 and on: the roles' standard error
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "os/fd_packet.h"
#include "os/roles.h"
#include "os/signals.h"

namespace bandd {
namespace {

struct Row {
    std::size_t most;     // at one time; one more, and the oldest is killed
    bool reads_settings;  // is told where the configuration is
    bool ends_with_us;    // is killed when we end; else it may finish its work when its socket ends
};
// In the order of Role.
constexpr std::array<Row, role_count> rows{{
    {1, false, true},   // resolver
    {1, false, true},   // http
    {1, false, true},   // auth
    {8, true, false},   // programs
    {1, true, true},    // sockets
    {1, false, true},   // fleet
    {1, false, false},  // nftables
    {1, false, false},  // ipset
    {1, false, false},  // geoblocks
}};

constexpr const char* data_variable = "BANDD_DATA";
// Bytes that a socket holds: a reply to Prometheus with the numbers of a thousand jails is 4 MiB.
constexpr int buffer_size = 8 << 20;

// Descriptors of a request, in this order.
constexpr std::size_t theirs = 0;  // for the role
constexpr std::size_t ours = 1;    // the daemon's end, which stays the daemon's
constexpr std::size_t extra = 2;   // for the role, if it is there

// In the child: nothing but its own descriptors, and no environment that matters.
[[noreturn]] void become(Role role, const std::string& program, const std::string& settings,
                         const std::vector<Fd>& descriptors) {
    const Row& row = rows[static_cast<std::size_t>(role)];
    if (dup2(root_errors + static_cast<int>(role), STDERR_FILENO) < 0) _exit(1);
    // First out of the way of the places that they go to.
    std::vector<int> high;
    for (std::size_t i : {theirs, extra})
        if (i < descriptors.size()) high.push_back(fcntl(descriptors[i].get(), F_DUPFD, 32));
    for (std::size_t i = 0; i < high.size(); ++i)
        if (dup2(high[i], role_socket + static_cast<int>(i)) < 0) _exit(1);
    int null = ::open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(1);
    auto first = static_cast<unsigned>(role_socket + static_cast<int>(high.size()));
    if (::close_range(first, ~0U, 0) != 0)
        for (unsigned fd = first; fd < 1024; ++fd) ::close(static_cast<int>(fd));
    if (row.ends_with_us) prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setsid();
    if (::chdir("/") != 0) _exit(1);
    std::string name = role_program(role);
    std::string settings_word = settings;
    std::array<char*, 3> arguments{name.data(), row.reads_settings ? settings_word.data() : nullptr,
                                   nullptr};
    // Where shipped filters and actions are, if the administrator said so (bandd(8)).
    const char* data = std::getenv(data_variable);
    std::string data_word = std::string(data_variable) + "=" + (data == nullptr ? "" : data);
    bool tell = row.reads_settings && data != nullptr;
    std::array<char*, 2> environment{tell ? data_word.data() : nullptr, nullptr};
    execve(program.c_str(), arguments.data(), environment.data());
    _exit(127);
}

class Parent {
  public:
    Parent(std::string settings, Fd ends) : settings_(std::move(settings)), ends_(std::move(ends)) {
        for (std::size_t i = 0; i < rows.size(); ++i)
            programs_[i] = find_own_program(role_program(static_cast<Role>(i)));
    }

    // Until the daemon has gone.
    void run() {
        while (wait()) {
            auto packet = receive_fd_packet(role_socket, 1);
            if (!packet) return;
            if (packet->bytes.empty() || packet->fds.size() <= ours) continue;
            std::size_t role = static_cast<unsigned char>(packet->bytes.front());
            if (role < rows.size()) start(role, packet->fds);
        }
    }

  private:
    // Until there is a request, or the daemon has gone. Whoever ends meanwhile leaves no zombie.
    bool wait() {
        while (true) {
            std::array<pollfd, 2> ready{{{role_socket, POLLIN, 0}, {ends_.get(), POLLIN, 0}}};
            if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) return false;
            if (ready[1].revents != 0) reap();
            if (ready[0].revents != 0) return true;
        }
    }

    void start(std::size_t role, const std::vector<Fd>& descriptors) {
        auto& running = running_[role];
        if (running.size() >= rows[role].most) {
            kill(running.front(), SIGKILL);
            waitpid(running.front(), nullptr, 0);
            running.pop_front();
        }
        for (std::size_t i : {theirs, ours}) enlarge(descriptors[i]);
        pid_t pid = fork();
        if (pid == 0) become(static_cast<Role>(role), programs_[role], settings_, descriptors);
        if (pid > 0) running.push_back(pid);
    }

    static void enlarge(const Fd& socket) {
        if (setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &buffer_size,
                       sizeof buffer_size) != 0)
            setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size);
    }

    // What is in `running_` is not reaped yet, so its number is no other process' that we might
    // kill.
    void reap() {
        while (read_signal(ends_) != 0) {
        }
        for (auto& running : running_)
            std::erase_if(running, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) == pid; });
    }

    std::string settings_;
    Fd ends_;  // readable once a process has ended
    std::array<std::string, rows.size()> programs_;
    std::array<std::deque<pid_t>, rows.size()> running_;
};

}  // namespace
}  // namespace bandd

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    setsid();
    // Terminal signals are for the daemon; the socket's end tells us when to leave.
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);  // who started us may have ignored it, so that we could not wait
    auto ends = bandd::open_signals({SIGCHLD});
    if (!ends) return 1;
    if (bandd::Fd null(::open("/dev/null", O_RDWR)); null) {
        dup2(null.get(), STDIN_FILENO);
        dup2(null.get(), STDOUT_FILENO);
    }
    bandd::Parent(argv[1], std::move(*ends)).run();
}
