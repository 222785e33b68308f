// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/http_helper.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "os/packet.h"

namespace bandd {
namespace {

constexpr int largest_reply = 8 << 20;  // bytes of a packet; numbers of a thousand jails

std::string find_program() {
    namespace fs = std::filesystem;
    std::error_code fault;
    fs::path beside = fs::read_symlink("/proc/self/exe", fault).parent_path() / "bandd-http";
    if (!fault && fs::exists(beside, fault)) return beside.string();
    return BANDD_LIBEXEC_DIR "/bandd-http";
}

// As the helper's parent: starts it, and starts it anew should it die. It ends when its other end,
// the daemon, does, and says so by exit code 0.
[[noreturn]] void watch_over(const std::string& program) {
    while (true) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execl(program.c_str(), "bandd-http", static_cast<char*>(nullptr));
            _exit(127);
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (pid < 0 ||
            (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 127)))
            _exit(0);
        sleep(1);
    }
}

}  // namespace

Result<HttpHelper> HttpHelper::start(const SystemUser& account, Fd listening) {
    std::string program = find_program();
    if (::access(program.c_str(), X_OK) != 0)
        return fail_errno("http: \"" + program + "\"", "install bandd-http beside bandd");
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno("socketpair");
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    for (int fd : ends)
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &largest_reply, sizeof largest_reply) != 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &largest_reply, sizeof largest_reply);
    pid_t pid = fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) {
        // bandd-http finds the daemon at descriptor 3 and its listening socket at 4. dup2 onto
        // itself would keep close-on-exec, so both go through descriptors above.
        int socket = fcntl(theirs.get(), F_DUPFD, 10);
        int listens = fcntl(listening.get(), F_DUPFD, 10);
        bool good = dup2(socket, 3) == 3 && dup2(listens, 4) == 4;
        for (int fd = 5; fd < 1024; ++fd) ::close(fd);
        prctl(PR_SET_NAME, "bandd-http");
        setsid();
        for (int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
        if (geteuid() == 0 && account.uid != 0)
            good = good && setgroups(0, nullptr) == 0 &&
                   setresgid(account.gid, account.gid, account.gid) == 0 &&
                   setresuid(account.uid, account.uid, account.uid) == 0;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!good) _exit(0);
        watch_over(program);
    }
    fcntl(ours.get(), F_SETFL, fcntl(ours.get(), F_GETFL) | O_NONBLOCK);
    HttpHelper helper;
    helper.socket_ = std::move(ours);
    return helper;
}

std::optional<HttpRequest> HttpHelper::take_request() {
    std::string packet(256 << 10, '\0');
    while (true) {
        ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        if (got == 0) ended_ = true;
        if (got <= 0) return {};
        std::string_view rest(packet.data(), static_cast<std::size_t>(got));
        auto id = take_field(rest);
        auto peer = take_field(rest);
        auto method = take_field(rest);
        auto path = take_field(rest);
        auto query = take_field(rest);
        auto body = take_field(rest);
        HttpRequest request;
        if (!body || id->size() != sizeof request.id || peer->size() != request.peer.bytes.size()) {
            ++lost_;
            continue;
        }
        request.id = from_bytes<std::uint64_t>(*id);
        std::memcpy(request.peer.bytes.data(), peer->data(), peer->size());
        request.method = *method;
        request.path = *path;
        request.query = *query;
        request.body = *body;
        while (auto name = take_field(rest))
            request.headers.emplace_back(*name, take_field(rest).value_or(""));
        return request;
    }
}

void HttpHelper::reply(std::uint64_t id, const HttpReply& reply) {
    std::string packet;
    append_field(packet, as_bytes(id));
    append_field(packet, std::to_string(reply.status));
    append_field(packet, reply.type);
    append_field(packet, reply.body);
    for (const auto& [name, value] : reply.headers) {
        append_field(packet, name);
        append_field(packet, header_text(value));
    }
    if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        ++lost_;
}

}  // namespace bandd
