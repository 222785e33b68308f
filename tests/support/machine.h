// SPDX-License-Identifier: GPL-2.0-or-later
// The machine around a test: programs, waiting, a running daemon.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace bandd {

struct Ran {
    int code = -1;
    std::string out;  // standard output and error
};
// A shell command line, waited for.
Ran sh(const std::string& command);
// The same, and it must succeed; gives its output.
std::string must(const std::string& command);

// A shell command line left running, its output in `out`; ended, with all it started, by `end`.
class Background {
  public:
    explicit Background(const std::string& command, const std::string& out = "/dev/null",
                        const std::string& in = "/dev/null");
    ~Background() { end(); }
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;
    void end();

  private:
    pid_t pid_ = -1;
};

// Tries until true, sleeping 2 ms between; false after `seconds`.
bool wait_for(const std::function<bool()>& condition, double seconds = 10);

// Fails the test unless it runs under support/in-namespace: nothing here may touch the firewall of
// the machine itself. Then empties the firewall of the namespace.
void clean_namespace();

// Files of a build: its programs.
std::string built(const std::string& program);

// A daemon on a configuration directory.
class DaemonProcess {
  public:
    // `prefix` comes before the program: "ip netns exec router".
    explicit DaemonProcess(std::string directory, std::string prefix = "");
    ~DaemonProcess();  // SIGKILL, if it still runs
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;

    // Another bandd than the one that was built.
    void set_program(std::string program) { program_ = std::move(program); }
    // Starts it and waits until it says that it has started; false if it ended instead.
    bool start();
    int stop(int signal);  // waits for the end; the exit code, or minus the signal
    pid_t pid() const { return pid_; }
    // The process of this daemon that runs this program ("bandd-http"); the test fails without.
    pid_t role(const std::string& program) const;
    std::string log() const;
    bool said(const std::string& text, double seconds = 10) const;
    Ran ctl(const std::string& arguments) const;

  private:
    std::string directory_, prefix_, program_ = built("bandd");
    pid_t pid_ = -1;
};

}  // namespace bandd
