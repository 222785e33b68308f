// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/base/printable.h"
#include "os/clock.h"

namespace bandd {
namespace {

// Of a line's text, and of each of its fields: the journal takes no datagram above the kernel's
// limit for sockets (some 200 KiB).
constexpr std::size_t longest_journal_value = 16 * 1024;

Result<Fd> connect_datagram(const std::string& path) {
    Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (!fd || path.size() >= sizeof address.sun_path) return fail_errno("socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("connect \"" + path + "\"", "is a syslog daemon running?");
    return fd;
}

// systemd names the stream that it gave us; a program between may have redirected it since.
bool is_journal(int fd) {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status{};
    return stream != nullptr && fstat(fd, &status) == 0 &&
           stream == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

// Closed, or /dev/null.
bool is_unread(int fd) {
    struct stat status{};
    if (fstat(fd, &status) != 0) return true;
    return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// Without line ends, which would end a field.
std::string journal_value(std::string_view text) {
    return printable(text.substr(0, longest_journal_value));
}

// One line, all of it or nothing, without waiting: who reads the other end of a pipe or terminal
// may have stopped. A pipe that poll(2) calls writable takes PIPE_BUF bytes at once (pipe(7)).
bool write_line(int fd, std::string line) {
    struct stat status{};
    if (fstat(fd, &status) != 0) return false;
    if (!S_ISREG(status.st_mode)) {
        pollfd ready{fd, POLLOUT, 0};
        if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
        if (line.size() > PIPE_BUF) {
            line.resize(PIPE_BUF - 1);
            line += '\n';
        }
    }
    return ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

std::string SyslogSender::line(int facility, int severity, std::string_view tag,
                               std::string_view text) {
    std::time_t seconds = std::time(nullptr);
    std::tm local{};
    localtime_r(&seconds, &local);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%b %e %H:%M:%S", &local);
    return fmt::format("<{}>{} {}[{}]: {}", facility * 8 + severity, stamp.data(), tag, getpid(),
                       printable(text));
}

Result<> DatagramSender::connect() {
    if (socket_) return {};
    auto fresh = connect_datagram(path_);
    if (!fresh) return std::unexpected(fresh.error());
    socket_ = std::move(*fresh);
    return {};
}

Result<> DatagramSender::send_all(std::string_view bytes) {
    full_ = false;
    for (int tries = 0; tries < 2; ++tries) {
        if (auto connected = connect(); !connected) return connected;
        if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) return {};
        full_ = errno == EAGAIN;
        if (full_) return fail_errno("send to \"" + path_ + "\"");
        socket_.reset();
    }
    return fail("send to \"" + path_ + "\"", "it is not taken there");
}

Log::Target Log::find_target() {
    if (is_journal(STDERR_FILENO) && journal_.connect()) return Target::journal;
    return is_unread(STDERR_FILENO) ? Target::syslog : Target::standard_error;
}

Result<> Log::open(const std::string& target, Severity level) {
    if (target.find('/') != std::string::npos) {
        constexpr int flags = O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        Fd file(::open(target.c_str(), O_WRONLY | flags, 0640));
        // fifo(7): without a reader a FIFO opens for writing only if it is opened for reading, too.
        if (!file && errno == ENXIO) file = Fd(::open(target.c_str(), O_RDWR | flags, 0640));
        if (!file) return fail_errno("cannot open log \"" + target + "\"");
        file_ = std::move(file);
        target_ = Target::file;
    } else if (target == "syslog") {
        target_ = Target::syslog;
    } else if (target == "journal") {
        if (auto connected = journal_.connect(); !connected)
            return fail("cannot log to the journal", connected.error().reason,
                        "use target: auto, stderr or syslog");
        target_ = Target::journal;
    } else {
        target_ = target == "auto" ? find_target() : Target::standard_error;
        with_priority_ = is_journal(STDERR_FILENO);
    }
    level_ = level;
    return {};
}

bool Log::put_now(Severity severity, std::string text, std::span<const LogField> fields) {
    text = printable(text);
    bool written = true;
    switch (target_) {
        case Target::syslog:
            written = syslog_.send(3, static_cast<int>(severity), "bandd", text).has_value();
            break;
        case Target::journal: {
            std::string entry = fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=bandd\nMESSAGE={}\n",
                                            static_cast<int>(severity), journal_value(text));
            for (const LogField& field : fields)
                entry += fmt::format("{}={}\n", field.name, journal_value(field.value));
            written = journal_.send_all(entry).has_value();
            break;
        }
        case Target::standard_error:
        case Target::file: {
            constexpr std::array<std::string_view, 8> names{"",        "",       "",     "error",
                                                            "warning", "notice", "info", "debug"};
            std::string line;
            if (with_priority_ && target_ == Target::standard_error) {
                line = fmt::format("<{}>{}\n", static_cast<int>(severity), text);
            } else {
                std::time_t seconds = static_cast<std::time_t>(now().seconds());
                std::tm local{};
                localtime_r(&seconds, &local);
                std::array<char, 32> stamp{};
                std::strftime(stamp.data(), stamp.size(), "%Y-%m-%d %H:%M:%S", &local);
                line = fmt::format("{} bandd[{}]: {}: {}\n", stamp.data(), getpid(),
                                   names[static_cast<std::size_t>(severity)], text);
            }
            written =
                write_line(target_ == Target::file ? file_.get() : STDERR_FILENO, std::move(line));
            break;
        }
    }
    return written;
}

void Log::put(Severity severity, std::string text, std::span<const LogField> fields) {
    if (!wants(severity)) return;
    if (unsaid_ > 0 &&
        put_now(Severity::warning,
                fmt::format("{} lines of this log were lost, as nobody took them", unsaid_), {}))
        unsaid_ = 0;
    if (unsaid_ == 0 && put_now(severity, std::move(text), fields)) return;
    ++lost_;
    ++unsaid_;
}

}  // namespace bandd
