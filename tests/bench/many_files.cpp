// SPDX-License-Identifier: GPL-2.0-or-later
// What a wake-up costs in processor time when one log of many got a line, and what a checkpoint's
// look at all logs does.
//
//   build/release/bench_many_files      (WAKE_UPS=2000 by default)
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "source/watch.h"
#include "support/common.h"

using namespace bandd;

namespace {

// A line to one log after the other; what the daemon does in a turn that it leads to.
void measure(int files, int wake_ups) {
    TempDirectory dir;
    std::vector<WatchedLog> logs(static_cast<std::size_t>(files));
    auto log = [&](int i) { return dir / ("logs/" + std::to_string(i) + "/access.log"); };
    for (int i = 0; i < files; ++i) {
        write_file(log(i), "the first line of this log, which is long enough to know it again\n");
        logs[static_cast<std::size_t>(i)].spec.path = log(i);
    }
    auto watch = Watch::create({});
    REQUIRE(watch);
    std::size_t lines = 0;
    Watch::Visitor visitor{[&](Reader&, const Readable&) {
        ++lines;
        return PartRead{};
    }};
    std::vector<FilePosition> changed;
    std::vector<FileNumber> gone;
    auto turn = [&](Instant now) {
        pollfd ready{watch->fd(), POLLIN, 0};
        if (poll(&ready, 1, 0) > 0) watch->on_notify(now);
        do {
            watch->reached();
            watch->read_ready(visitor, now);
            watch->reached();
        } while (watch->is_ready());
        watch->next_deadline();
    };
    watch->set_logs(logs, {}, {}, at(0));
    turn(at(0));
    watch->take_changes(changed, gone, at(0));
    lines = 0;
    std::clock_t in_turns = 0, in_checkpoints = 0;
    for (int i = 0; i < wake_ups; ++i) {
        append_file(log(i % files), "one more line\n");
        std::clock_t begin = std::clock();
        turn(at(1 + i));
        in_turns += std::clock() - begin;
        if (i % 100 != 99) continue;
        begin = std::clock();
        watch->take_changes(changed, gone, at(1 + i));
        in_checkpoints += std::clock() - begin;
    }
    auto micro = [](std::clock_t time, int by) {
        return static_cast<double>(time) * 1e6 / CLOCKS_PER_SEC / by;
    };
    std::printf("%6d logs: %8.1f us a wake-up, %9.1f us a checkpoint of 100\n", files,
                micro(in_turns, wake_ups), micro(in_checkpoints, wake_ups / 100));
    CHECK(lines == static_cast<std::size_t>(wake_ups));
}

}  // namespace

TEST_CASE("many files") {
    const char* wanted = std::getenv("WAKE_UPS");
    int wake_ups = wanted == nullptr ? 2000 : std::atoi(wanted);
    for (int files : {1, 10, 100, 1000, 4000}) measure(files, wake_ups);
}
