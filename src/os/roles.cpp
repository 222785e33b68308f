// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/roles.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string_view>

#include "os/fd_packet.h"

namespace bandd {
namespace {

void stop_blocking(const Fd& fd) {
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// Out of the way of the places that bandd-root's descriptors go to; closed when it is executed.
Fd moved_up(const Fd& fd) {
    constexpr int free_place = root_errors + static_cast<int>(role_count);
    return Fd(fcntl(fd.get(), F_DUPFD_CLOEXEC, free_place));
}

using Ends = std::array<Fd, role_count>;

// A pipe a role. Neither end blocks: who writes more than is read loses it, and waits for nobody.
Result<Ends> make_error_pipes(Ends& reading) {
    Ends writing;
    for (std::size_t i = 0; i < role_count; ++i) {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("pipe");
        reading[i] = Fd(ends[0]);
        writing[i] = moved_up(Fd(ends[1]));
    }
    return writing;
}

}  // namespace

Result<std::pair<Fd, Fd>> make_pair_of_sockets() {
    std::array<int, 2> ends{-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno("socketpair");
    return std::pair{Fd(ends[0]), Fd(ends[1])};
}

const char* role_program(Role role) {
    constexpr std::array<const char*, role_count> programs{
        "bandd-resolver", "bandd-http",   "bandd-auth",   "bandd-programs", "bandd-sockets",
        "bandd-fleet",    "bandd-kernel", "bandd-kernel", "bandd-kernel"};
    return programs[static_cast<std::size_t>(role)];
}

std::string find_own_program(const std::string& name) {
    namespace fs = std::filesystem;
    std::error_code fault;
    fs::path own = fs::read_symlink("/proc/self/exe", fault).parent_path();
    // In the build directory, and wherever PREFIX/sbin and PREFIX/libexec were put.
    for (const fs::path& place : {own / name, own.parent_path() / "libexec/bandd" / name})
        if (!own.empty() && fs::exists(place, fault)) return place.string();
    return BANDD_LIBEXEC_DIR "/" + name;
}

Result<Roles> Roles::start(const std::string& configuration) {
    std::string program = find_own_program("bandd-root");
    if (::access(program.c_str(), X_OK) != 0)
        return fail_errno("\"" + program + "\"", "install bandd-root beside bandd");
    auto pair = make_pair_of_sockets();
    if (!pair) return std::unexpected(pair.error());
    Roles roles;
    auto errors = make_error_pipes(roles.errors_);
    if (!errors) return std::unexpected(errors.error());
    Fd socket = moved_up(pair->second);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket.get(), role_socket);
    for (std::size_t i = 0; i < role_count; ++i)
        posix_spawn_file_actions_adddup2(&actions, (*errors)[i].get(),
                                         root_errors + static_cast<int>(i));
    std::string name = "bandd-root";
    std::string directory = std::filesystem::absolute(configuration).lexically_normal().string();
    std::array<char*, 3> arguments{name.data(), directory.data(), nullptr};
    pid_t pid = 0;
    errno = posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (errno != 0) return fail_errno("starting \"" + program + "\"");
    stop_blocking(pair->first);
    roles.socket_ = std::move(pair->first);
    return roles;
}

Result<Fd> Roles::start_role(Role role, int extra) {
    auto pair = make_pair_of_sockets();
    if (!pair) return std::unexpected(pair.error());
    const char number = static_cast<char>(role);
    std::string_view packet(&number, 1);
    int theirs = pair->second.get();
    // Our own end goes along, as bandd-root may enlarge its buffers.
    int ours = pair->first.get();
    bool sent = extra >= 0 ? send_fd_packet(socket_.get(), packet, {theirs, ours, extra})
                           : send_fd_packet(socket_.get(), packet, {theirs, ours});
    if (!sent) return fail_errno("asking bandd-root for a process", "restart bandd");
    stop_blocking(pair->first);
    return std::move(pair->first);
}

}  // namespace bandd
