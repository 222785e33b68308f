// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

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

}  // namespace

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
