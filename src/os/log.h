// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's own log: one line an event, to stderr, syslog, the journal, a file or a FIFO. It
// never fails and never waits for a reader: a line that a full pipe, a stopped terminal or syslogd
// does not take is lost and counted, and the next line that is taken says how many were. (Only a
// regular file on a disk that hangs can hold it up.) Used by src/daemon only.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace bandd {

// Severities are syslog's: 3 error, 4 warning, 5 notice, 6 info, 7 debug.
enum class Severity { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

// Datagrams to another program of this machine; connects when needed, again after that was
// restarted. Never waits.
class DatagramSender {
  public:
    explicit DatagramSender(std::string path) : path_(std::move(path)) {}
    Result<> send_all(std::string_view bytes);
    // Is anybody there?
    Result<> connect();
    // The last datagram was not taken as too many wait there: once `fd` is writable, it will be.
    bool is_full() const { return full_; }
    int fd() const { return socket_.get(); }

  private:
    bool full_ = false;
    std::string path_;
    Fd socket_;
};

// To syslogd.
class SyslogSender : public DatagramSender {
  public:
    explicit SyslogSender(std::string path = "/dev/log") : DatagramSender(std::move(path)) {}
    Result<> send(int facility, int severity, std::string_view tag, std::string_view text) {
        return send_line(line(facility, severity, tag, text));
    }
    // As syslogd wants it, dated now.
    static std::string line(int facility, int severity, std::string_view tag,
                            std::string_view text);
    Result<> send_line(const std::string& line) { return send_all(line); }
};

// What a line is about, beside its text. The journal keeps it as a field, by which lines are found
// (`journalctl JAIL=sshd`). Names are the journal's: capitals, digits and "_".
struct LogField {
    std::string_view name;
    std::string value;
};

// Where the two that keep logs listen.
struct LogSockets {
    std::string journal = "/run/systemd/journal/socket";
    std::string syslog = "/dev/log";
};

class Log {
  public:
    explicit Log(LogSockets sockets = {})
        : syslog_(std::move(sockets.syslog)), journal_(std::move(sockets.journal)) {}
    // `target`: auto, stderr, syslog, journal, or a file's path. auto is where standard error goes:
    // the journal if it is that, syslog if nobody can read it (as under sysvinit and OpenRC), else
    // standard error itself; this cannot fail. The old target stays if another can't be opened.
    Result<> open(const std::string& target, Severity level);
    bool wants(Severity severity) const { return severity <= level_; }

    template <class... Arguments>
    void write(Severity severity, fmt::format_string<Arguments...> format,
               Arguments&&... arguments) {
        if (wants(severity))
            put(severity, fmt::format(format, std::forward<Arguments>(arguments)...));
    }
    void put(Severity severity, std::string text, std::span<const LogField> fields = {});
    std::uint64_t lost() const { return lost_; }  // lines, since the start

  private:
    enum class Target { standard_error, syslog, journal, file };
    bool put_now(Severity severity, std::string text, std::span<const LogField> fields);
    Target find_target();

    Target target_ = Target::standard_error;
    Severity level_ = Severity::notice;
    bool with_priority_ = false;  // systemd reads "<5>" at a line's beginning
    Fd file_;
    SyslogSender syslog_;
    DatagramSender journal_;
    std::uint64_t lost_ = 0;
    std::uint64_t unsaid_ = 0;  // of them, those that the log itself does not mention yet
};

}  // namespace bandd
