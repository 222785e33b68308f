// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "os/log.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::string drain(int fd) {
    std::string all;
    std::array<char, 65536> buffer{};
    for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;)
        all.append(buffer.data(), static_cast<std::size_t>(got));
    return all;
}

// What a log daemon listens at; it reads when it is asked to.
Fd listen_at(const std::string& path) {
    Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

std::string datagram_of(const Fd& fd) {
    std::string datagram(256 * 1024, 0);
    ssize_t got = recv(fd.get(), datagram.data(), datagram.size(), 0);
    return got < 0 ? "" : datagram.substr(0, static_cast<std::size_t>(got));
}

// Standard error is another file until the end of the block.
class Redirected {
  public:
    explicit Redirected(const std::string& path) : kept_(dup(STDERR_FILENO)) {
        int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        dup2(fd, STDERR_FILENO);
        ::close(fd);
    }
    ~Redirected() {
        dup2(kept_, STDERR_FILENO);
        ::close(kept_);
        unsetenv("JOURNAL_STREAM");
    }
    // As systemd does for a service.
    static void call_it_the_journal() {
        struct stat status{};
        fstat(STDERR_FILENO, &status);
        setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
    }

  private:
    int kept_;
};

}  // namespace

TEST_CASE("log: the journal gets fields that it can be searched by, and nobody else's") {
    TempDirectory dir;
    Fd journal = listen_at(dir / "journal");
    Log log({.journal = dir / "journal", .syslog = dir / "syslog"});
    REQUIRE(log.open("journal", Severity::notice));
    const LogField fields[] = {{"JAIL", "sshd"}, {"REASON", "a\nADDRESS=198.51.100.1"}};
    log.put(Severity::warning, "ban\nJAIL=other", fields);
    CHECK(datagram_of(journal) ==
          "PRIORITY=4\nSYSLOG_IDENTIFIER=bandd\nMESSAGE=ban\\x0aJAIL=other\nJAIL=sshd\n"
          "REASON=a\\x0aADDRESS=198.51.100.1\n");
    log.put(Severity::notice, std::string(1'000'000, 'y'), fields);
    CHECK(datagram_of(journal).starts_with("PRIORITY=5\n"));
    CHECK(log.lost() == 0);
}

TEST_CASE(
    "log: a journal that reads nothing holds nothing up; one that is restarted is found again") {
    TempDirectory dir;
    Fd journal = listen_at(dir / "journal");
    Log log({.journal = dir / "journal", .syslog = dir / "syslog"});
    REQUIRE(log.open("journal", Severity::notice));
    for (int i = 0; i < 5000; ++i) log.put(Severity::notice, std::string(1000, 'y'));
    CHECK(log.lost() > 0);
    std::uint64_t lost = log.lost();
    journal.reset();
    ::unlink((dir / "journal").c_str());
    journal = listen_at(dir / "journal");
    log.put(Severity::notice, "again");
    CHECK(datagram_of(journal).find(fmt::format("{} lines of this log were lost", lost)) !=
          std::string::npos);
    CHECK(datagram_of(journal).find("MESSAGE=again\n") != std::string::npos);
}

TEST_CASE("log: auto is the journal where standard error is that") {
    TempDirectory dir;
    Fd journal = listen_at(dir / "journal");
    Log log({.journal = dir / "journal", .syslog = dir / "syslog"});
    Redirected error(dir / "error");
    Redirected::call_it_the_journal();
    auto opened = log.open("auto", Severity::notice);
    log.put(Severity::notice, "hello");
    REQUIRE(opened);
    CHECK(datagram_of(journal).find("MESSAGE=hello\n") != std::string::npos);
    CHECK(read_file(dir / "error").empty());
}

TEST_CASE(
    "log: auto stays with standard error that was redirected, or if the journal is not there") {
    TempDirectory dir;
    Log log({.journal = dir / "journal", .syslog = dir / "syslog"});
    Redirected error(dir / "error");
    SECTION("the stream is another file's") { setenv("JOURNAL_STREAM", "1:2", 1); }
    SECTION("nobody listens") { Redirected::call_it_the_journal(); }
    auto opened = log.open("auto", Severity::notice);
    log.put(Severity::notice, "hello");
    REQUIRE(opened);
    CHECK(read_file(dir / "error").ends_with("hello\n"));
}

TEST_CASE("log: auto is syslog where nobody reads standard error") {
    TempDirectory dir;
    Fd syslog = listen_at(dir / "syslog");
    Log log({.journal = dir / "journal", .syslog = dir / "syslog"});
    Redirected error("/dev/null");
    auto opened = log.open("auto", Severity::notice);
    const LogField fields[] = {{"JAIL", "sshd"}};
    log.put(Severity::notice, "hello", fields);
    REQUIRE(opened);
    std::string line = datagram_of(syslog);
    CHECK(line.starts_with("<29>"));
    CHECK(line.ends_with(": hello"));
}

TEST_CASE("log: a FIFO that nobody reads holds up neither the start nor a line") {
    TempDirectory dir;
    std::string fifo = dir / "fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    Log log;
    REQUIRE(log.open(fifo, Severity::notice));
    const int lines = 5000;
    for (int i = 0; i < lines; ++i)
        log.write(Severity::notice, "line {} {}", i, std::string(90, 'x'));
    CHECK(log.lost() > 0);
    CHECK(log.lost() < lines);
    std::uint64_t lost = log.lost();
    Fd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
    std::string before = drain(reader.get());
    CHECK(std::ranges::count(before, '\n') == static_cast<std::ptrdiff_t>(lines - lost));
    log.write(Severity::notice, "it goes on");
    std::string after = drain(reader.get());
    CHECK(after.find(fmt::format("warning: {} lines of this log were lost", lost)) !=
          std::string::npos);
    CHECK(after.ends_with("notice: it goes on\n"));
    CHECK(log.lost() == lost);
}

TEST_CASE("log: standard error that nobody reads holds nothing up; long lines are cut, not torn") {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);  // blocking, as a shell makes it
    Fd reader(ends[0]);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
    Log log;
    auto opened = log.open("stderr", Severity::notice);
    for (int i = 0; i < 300; ++i) log.put(Severity::notice, std::string(100'000, 'y'));
    dup2(kept, STDERR_FILENO);
    ::close(kept);
    REQUIRE(opened);
    CHECK(log.lost() > 0);
    fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    std::string all = drain(reader.get());
    CHECK(all.size() % PIPE_BUF == 0);
    CHECK(std::ranges::count(all, '\n') == static_cast<std::ptrdiff_t>(300 - log.lost()));
}

TEST_CASE("log: a regular file takes lines of any length") {
    TempDirectory dir;
    Log log;
    REQUIRE(log.open(dir / "log", Severity::notice));
    log.put(Severity::notice, std::string(100'000, 'y'));
    CHECK(read_file(dir / "log").size() > 100'000);
    CHECK(log.lost() == 0);
}
