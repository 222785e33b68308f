// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/machine.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "support/common.h"

namespace bandd {

Ran sh(const std::string& command) {
    Ran ran;
    // A test that waits for ever says nothing: give up after a minute.
    setenv("BANDD_TEST_COMMAND", command.c_str(), 1);
    FILE* pipe = popen("exec timeout -k 1 60 sh -c \"$BANDD_TEST_COMMAND\" 2>&1", "r");
    if (pipe == nullptr) return ran;
    char buffer[4096];
    while (std::size_t got = fread(buffer, 1, sizeof buffer, pipe)) ran.out.append(buffer, got);
    int status = pclose(pipe);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return ran;
}

std::string must(const std::string& command) {
    Ran ran = sh(command);
    INFO(command << "\n" << ran.out);
    REQUIRE(ran.code == 0);
    return ran.out;
}

Background::Background(const std::string& command, const std::string& out, const std::string& in) {
    pid_ = fork();
    if (pid_ != 0) return;
    setpgid(0, 0);
    dup2(open(in.c_str(), O_RDONLY), 0);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 1);
    dup2(1, 2);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
}

void Background::end() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

bool wait_for(const std::function<bool()>& condition, double seconds) {
    auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

void clean_namespace() {
    const char* inside = std::getenv("BANDD_TEST_NAMESPACE");
    if (inside == nullptr || std::string(inside) != "inside")
        FAIL("run this through tests/support/in-namespace");
    must("nft flush ruleset; ipset destroy");
}

std::string built(const std::string& program) { return BANDD_BUILT "/" + program; }

DaemonProcess::DaemonProcess(std::string directory, std::string prefix)
    : directory_(std::move(directory)), prefix_(std::move(prefix)) {}

namespace {

// Of all generations that are not on their own yet.
std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> all;
    std::string process = std::to_string(pid);
    std::istringstream children(read_file("/proc/" + process + "/task/" + process + "/children"));
    for (pid_t child; children >> child;) {
        all.push_back(child);
        for (pid_t grandchild : children_of(child)) all.push_back(grandchild);
    }
    return all;
}

bool runs(pid_t pid) {
    std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat.empty() && stat.find(") Z ") == std::string::npos;
}

}  // namespace

// The processes beside the daemon notice its end and hold its ports until then.
DaemonProcess::~DaemonProcess() {
    if (pid_ > 0) {
        std::vector<pid_t> children = children_of(pid_);
        stop(SIGKILL);
        wait_for([&] { return std::none_of(children.begin(), children.end(), runs); }, 5);
    }
#ifdef BANDD_THREAD_SANITIZER
    // The daemon's own, and what its processes wrote to standard error.
    std::string text = log();
    if (text.find("WARNING: ThreadSanitizer") == std::string::npos) return;
    std::fputs(text.c_str(), stderr);
    std::_Exit(66);
#endif
}

bool DaemonProcess::start() {
    std::vector<std::string> words;
    std::istringstream prefix(prefix_);
    for (std::string word; prefix >> word;) words.push_back(word);
    for (const std::string& word : {program_, std::string("--config"), directory_})
        words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string path = directory_ + "/daemon.log";
    std::ofstream(path, std::ios::app).close();
    std::ifstream said(path);  // a log may be large by now
    said.seekg(0, std::ios::end);
    std::string since;
    pid_ = fork();
    if (pid_ == 0) {
        int out = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(out, 1);
        dup2(out, 2);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    bool ended = false;
    bool started = wait_for(
        [&] {
            said.clear();
            since.append(std::istreambuf_iterator<char>(said), {});
            if (since.find(" started: ") != std::string::npos) return true;
            return ended = waitpid(pid_, nullptr, WNOHANG) == pid_;
        },
        30);
    if (ended) pid_ = -1;
    return started && !ended;
}

int DaemonProcess::stop(int signal) {
    if (pid_ <= 0) return -1;
    kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

pid_t DaemonProcess::role(const std::string& program) const {
    std::string parent = must("pgrep -x bandd-root -P " + std::to_string(pid_));
    parent.pop_back();
    if (program == "bandd-root") return std::stoi(parent);
    // Those that have ended wait for bandd-root's next turn, and so do those that are to begin.
    std::string find = "pgrep -r DRST -x " + program + " -P " + parent;
    wait_for([&] { return sh(find).code == 0; });
    return std::stoi(must(find));
}

std::string DaemonProcess::log() const { return read_file(directory_ + "/daemon.log"); }

bool DaemonProcess::said(const std::string& text, double seconds) const {
    return wait_for([&] { return log().find(text) != std::string::npos; }, seconds);
}

Ran DaemonProcess::ctl(const std::string& arguments) const {
    return sh(prefix_ + " " + built("bandctl") + " --config " + directory_ + " " + arguments);
}

}  // namespace bandd
