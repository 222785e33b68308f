// SPDX-License-Identifier: GPL-2.0-or-later
// Whatever somebody who took over one of bandd's processes would try. It takes the place of the
// role's program, gives up rights as that does, and tries everything; what succeeded it writes to
// standard error, a line each, "ATTACK name", and at last "ATTACKS DONE".
//   bandd-http, bandd-resolver …     as bandd-root starts it
//   attacker DIRECTORY               as the daemon, whose state and socket are in DIRECTORY/run
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "os/rights.h"

using namespace bandd;

namespace {

void say(const std::string& text) {
    std::string line = text + "\n";
    [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

void attempt(const char* name, const std::function<bool()>& succeeds) {
    if (succeeds()) say(std::string("ATTACK ") + name);
}

bool opens(const std::string& path, int flags) {
    return ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600) >= 0;
}

bool connects(const std::string& path) {
    int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

bool forks() {
    pid_t pid = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (pid == 0) _exit(0);
    return pid > 0;
}

bool reads_memory(pid_t pid) {
    char byte = 0;
    iovec local{&byte, 1};
    iovec remote{reinterpret_cast<void*>(0x400000), 1};
    return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT;
}

void attack_processes(pid_t daemon, pid_t root) {
    attempt("kill the daemon", [&] { return ::kill(daemon, 0) == 0; });
    attempt("kill bandd-root", [&] { return ::kill(root, 0) == 0; });
    attempt("trace the daemon", [&] { return ::ptrace(PTRACE_ATTACH, daemon, 0, 0) == 0; });
    attempt("read the daemon's memory", [&] { return reads_memory(daemon); });
    attempt("hold the daemon by pidfd_open",
            [&] { return ::syscall(SYS_pidfd_open, daemon, 0) >= 0; });
    attempt("open the daemon's memory",
            [&] { return opens("/proc/" + std::to_string(daemon) + "/mem", O_RDWR); });
    attempt("open bandd-root's memory",
            [&] { return opens("/proc/" + std::to_string(root) + "/mem", O_RDWR); });
    attempt("see the daemon's descriptors",
            [&] { return opens("/proc/" + std::to_string(daemon) + "/fd/3", O_RDWR); });
    attempt("fork", forks);
    attempt("run a program", [&] {
        char* const nothing[] = {const_cast<char*>("true"), nullptr};
        return ::execve("/bin/true", nothing, nothing) == 0;
    });
}

void attack_files(const std::string& folder) {
    attempt("read the state", [&] { return opens(folder + "/run/state.db", O_RDONLY); });
    attempt("write the state", [&] { return opens(folder + "/run/state.db", O_RDWR); });
    attempt("read the configuration", [&] { return opens(folder + "/bandd.yaml", O_RDONLY); });
    attempt("write the configuration", [&] { return opens(folder + "/bandd.yaml", O_RDWR); });
    attempt("read the passwords", [&] { return opens("/etc/shadow", O_RDONLY); });
    attempt("make a file", [&] { return opens("/tmp/bandd-attacker", O_RDWR | O_CREAT); });
    attempt("make a file in shared memory",
            [&] { return opens("/dev/shm/bandd-attacker", O_RDWR | O_CREAT); });
    attempt("make a device",
            [&] { return ::mknod("/tmp/bandd-device", S_IFCHR | 0600, 0x103) == 0; });
    attempt("make a link", [&] { return ::symlink("/etc/shadow", "/tmp/bandd-link") == 0; });
    attempt("use the control socket", [&] { return connects(folder + "/run/socket"); });
    attempt("use another local socket", [&] { return connects("/run/attacked"); });
}

void attack_kernel() {
    attempt("mount", [&] { return ::mount("none", "/mnt", "tmpfs", 0, nullptr) == 0; });
    attempt("mount by fsopen", [&] { return ::syscall(SYS_fsopen, "tmpfs", 0) >= 0; });
    attempt("take a mount by open_tree",
            [&] { return ::syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE) >= 0; });
    attempt("change the root", [&] { return ::chroot("/") == 0; });
    attempt("user namespace by unshare", [&] { return ::unshare(CLONE_NEWUSER) == 0; });
    attempt("user namespace by clone", [&] {
        auto pid = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0) _exit(0);
        return pid > 0;
    });
    attempt("enter a namespace", [&] { return ::setns(0, 0) == 0 || errno == EINVAL; });
    attempt("become root", [&] { return ::setuid(0) == 0 && geteuid() == 0; });
    attempt("load a BPF program", [&] {
        bpf_attr attributes{};
        return ::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes) >= 0 ||
               errno == EINVAL;
    });
    attempt("watch by perf", [&] {
        perf_event_attr attributes{};
        attributes.size = sizeof attributes;
        attributes.type = PERF_TYPE_SOFTWARE;
        return ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) >= 0;
    });
    attempt("io_uring",
            [&] { return ::syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno == EFAULT; });
    attempt("a key", [&] { return ::syscall(SYS_add_key, "user", "bandd", "x", 1, -3) >= 0; });
    attempt("memory both written and executed", [&] {
        return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
    });
    attempt("type into the terminal", [&] {
        char key = 'x';
        return ::ioctl(STDIN_FILENO, TIOCSTI, &key) == 0 || (errno != EPERM && errno != ENOSYS);
    });
    attempt("be dumpable again", [&] { return ::prctl(PR_SET_DUMPABLE, 1) == 0; });
    attempt("raise a limit", [&] {
        rlimit limit{100, 100};
        return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
    });
}

void attack_network() {
    attempt("IPv4", [&] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0; });
    attempt("IPv6", [&] { return ::socket(AF_INET6, SOCK_DGRAM, 0) >= 0; });
    attempt("raw packets", [&] { return ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0; });
    attempt("packet socket", [&] { return ::socket(AF_PACKET, SOCK_RAW, 0) >= 0; });
    attempt("local socket", [&] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; });
    attempt("netlink", [&] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0; });
    attempt("IPsec", [&] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM) >= 0; });
    attempt("generic netlink",
            [&] { return ::socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC) >= 0; });
    attempt("netfilter", [&] {
        int fd = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
        // "Forget every rule": the kernel answers a request that only an administrator may make.
        struct {
            std::uint32_t length = 20;
            std::uint16_t type = (10 << 8) | 0, flags = 5;
            std::uint32_t sequence = 1, port = 0;
            std::uint8_t family = 1, version = 0;
            std::uint16_t resource = 0;
            char rest[12]{};
        } message;
        std::int32_t error[9]{};
        if (fd < 0 || ::send(fd, &message, 20, 0) < 0) return false;
        return ::recv(fd, error, sizeof error, 0) > 0 && error[4] != -EPERM;
    });
}

Role role_named(const std::string& name) {
    for (std::size_t i = 0; i < role_count; ++i)
        if (role_program(static_cast<Role>(i)) == name) return static_cast<Role>(i);
    say("ATTACK unknown role");
    _exit(2);
}

std::string command_line_of(pid_t pid) {
    std::stringstream text;
    text << std::ifstream("/proc/" + std::to_string(pid) + "/cmdline").rdbuf();
    return text.str();
}

}  // namespace

int main(int argc, char** argv) {
    std::string name = argv[0];
    name = name.substr(name.rfind('/') + 1);
    // Before rights are gone: whom to attack.
    pid_t root = getppid();
    std::ifstream stat("/proc/" + std::to_string(root) + "/stat");
    std::string word;
    stat >> word >> word >> word;
    pid_t daemon = 0;
    stat >> daemon;
    std::string arguments = command_line_of(root);
    std::string folder = arguments.substr(arguments.find('\0') + 1);
    folder = argc > 1 ? argv[1] : folder.c_str();
    bool entered = name == "attacker"
                       ? enter_daemon(*find_user("bandd"), {folder + "/run"}).has_value()
                       : enter_role(role_named(name)).has_value();
    if (!entered) {
        say("ATTACK rights were not given up");
        return 1;
    }
    attack_processes(daemon, root);
    attack_files(folder);
    attack_kernel();
    attack_network();
    say("ATTACKS DONE");
    if (argc > 1) return 0;
    // As a role does: until the daemon ends.
    char byte = 0;
    while (::recv(role_socket, &byte, 1, 0) > 0) {
    }
}
