// SPDX-License-Identifier: GPL-2.0-or-later
// Files, directories and inotify are real; only the time is not.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <thread>
#include <utility>

#include "source/interrupted.h"
#include "source/watch.h"
#include "support/archives.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
namespace fs = std::filesystem;

namespace {

// A checkpoint that has these, the oldest first.
std::vector<FilePosition> saved_as(const std::vector<TailPosition>& positions) {
    std::vector<FilePosition> saved;
    for (const TailPosition& at : positions) saved.push_back({{at.path, saved.size() + 1}, at});
    return saved;
}

// A watch and the lines that came out of it, as "log-indexes:line".
struct Follower {
    Watch watch;
    Instant now = at(0);
    bool look = true;  // at what `follow` finds, at once
    std::vector<std::string> lines;

    explicit Follower(Watch made) : watch(std::move(made)) {}
    static Follower make(Watch::Limits limits = {}) {
        auto watch = Watch::create(limits);
        REQUIRE(watch);
        return Follower(std::move(*watch));
    }
    void follow(const std::vector<std::string>& paths, Start start = Start::beginning,
                std::vector<TailPosition> saved = {}, std::optional<FileId> forbidden = {}) {
        std::vector<WatchedLog> logs;
        for (const std::string& path : paths) {
            WatchedLog log;
            log.spec.path = path;
            log.spec.start = start;
            log.findtime = std::chrono::minutes(10);
            logs.push_back(log);
        }
        watch.set_logs(logs, saved_as(saved), forbidden, now);
        if (look) turn();
    }
    void take(const Reader& reader, std::string_view bytes) {
        std::string which;
        for (std::size_t log : reader.logs) which += std::to_string(log);
        while (!bytes.empty()) {
            auto end = bytes.find('\n');
            lines.push_back(which + ":" + std::string(bytes.substr(0, end)));
            bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
        }
    }
    // Whatever is there now, without waiting.
    void turn() {
        pollfd ready{watch.fd(), POLLIN, 0};
        if (poll(&ready, 1, 0) > 0) watch.on_notify(now);
        Watch::Visitor visitor{[this](Reader& reader, const Readable& what) {
            take(reader, std::get<Chunk>(what).bytes);
            return PartRead{};
        }};
        do watch.read_ready(visitor, now);
        while (watch.is_ready());
    }
    std::vector<std::string> got() {
        // inotify's events are queued before the system call that caused them returns.
        turn();
        return std::exchange(lines, {});
    }
};
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("watch: a growing file, several writes a line, opened and closed for each") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "one\n");
    auto f = Follower::make();
    f.follow({log});
    CHECK(f.got() == Texts{"0:one"});
    append_file(log, "tw");
    append_file(log, "o");
    CHECK(f.got().empty());
    append_file(log, "\nthree\n");
    CHECK(f.got() == Texts{"0:two", "0:three"});
    CHECK(f.got().empty());
}

TEST_CASE("watch: rename and create: the old file is finished first, late writes to it count") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "one\n");
    auto f = Follower::make();
    f.follow({log});
    CHECK(f.got() == Texts{"0:one"});
    append_file(log, "two\n");
    fs::rename(log, log + ".1");
    append_file(log + ".1", "three\n");
    write_file(log, "four\n");
    CHECK(f.got() == Texts{"0:two", "0:three", "0:four"});
    append_file(log + ".1", "late\n");  // the writer had no SIGHUP yet
    append_file(log, "five\n");
    auto got = f.got();
    CHECK(std::set<std::string>(got.begin(), got.end()) ==
          std::set<std::string>{"0:late", "0:five"});
    append_file(log + ".1", "no end");
    f.now = at(61);
    CHECK(f.got() == Texts{"0:no end"});  // finished a minute after its rotation
    CHECK(f.watch.readers().size() == 1);
}

TEST_CASE("watch: a writer reopens its log while we look: what it wrote before is read before") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "one\n");
    auto f = Follower::make();
    f.follow({log});
    fs::rename(log, log + ".1");
    CHECK(f.got() == Texts{"0:one"});
    write_file(log, "");
    before_each_look([&, writes = true]() mutable {
        if (!std::exchange(writes, false)) return;
        append_file(log + ".1", "two\n");
        append_file(log, "three\n");
    });
    f.turn();
    before_each_look({});
    CHECK(f.got() == Texts{"0:two", "0:three"});
}

TEST_CASE("watch: several rotations between two looks lose nothing") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "1\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    append_file(log, "2\n");
    fs::rename(log, log + ".1");
    write_file(log, "3\n");
    f.got();
    append_file(log, "4\n");
    fs::rename(log + ".1", log + ".2");
    fs::rename(log, log + ".1");
    write_file(log, "5\n");
    CHECK(f.got() == Texts{"0:4", "0:5"});
    fs::remove(log);
    CHECK(f.got().empty());
    CHECK(f.watch.waiting(0));
    write_file(log, "6\n");
    CHECK(f.got() == Texts{"0:6"});
    CHECK_FALSE(f.watch.waiting(0));
}

TEST_CASE("watch: a log rotated several times before we look at all is read whole, in order") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "1\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    append_file(log, "2\n");
    for (int i = 3; i < 6; ++i) {
        // logrotate's chain: .1 becomes .2 before the log becomes .1
        for (int old = 8; old > 0; --old)
            if (fs::exists(log + "." + std::to_string(old)))
                fs::rename(log + "." + std::to_string(old), log + "." + std::to_string(old + 1));
        fs::rename(log, log + ".1");
        write_file(log, std::to_string(i) + "\n");
    }
    CHECK(f.got() == Texts{"0:2", "0:3", "0:4", "0:5"});
}

TEST_CASE("watch: copytruncate") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "one\ntwo\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "three\n");
    CHECK(f.got() == Texts{"0:three"});
}

TEST_CASE("watch: lines written just before copytruncate are read from the copy") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a line long enough to be told by its fingerprint\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    append_file(log, "not read yet\n");
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "new\n");
    CHECK(f.got() == Texts{"0:not read yet", "0:new"});
    append_file(log, "newer\n");
    CHECK(f.got() == Texts{"0:newer"});
    f.now = at(61);
    f.got();
    CHECK(f.watch.readers().size() == 1);
}

TEST_CASE("watch: two copytruncates before we look: what stood between them is read, too") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a line long enough to be told by its fingerprint\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    append_file(log, "not read yet\n");
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "written and truncated before anybody looked\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // of another tick of the clock
    fs::rename(log + ".1", log + ".2");
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "new\n");
    CHECK(f.got() ==
          Texts{"0:not read yet", "0:written and truncated before anybody looked", "0:new"});
}

TEST_CASE("watch: copytruncate whose copy is compressed before we look") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a line long enough to be told by its fingerprint\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    append_file(log, "not read yet\n");
    fs::copy_file(log, log + ".2");
    fs::resize_file(log, 0);
    append_file(log, "new\n");
    REQUIRE(std::system(("gzip " + log + ".2").c_str()) == 0);
    CHECK(f.got() == Texts{"0:not read yet", "0:new"});
}

TEST_CASE("watch: copytruncate before anything of the log was read") {
    TempDirectory dir;
    std::string log = dir / "log";
    auto f = Follower::make();
    SECTION("with lines in it when it was opened") {
        write_file(log, "a line long enough to be told by its fingerprint\n");
        f.look = false;
        f.follow({log});
    }
    SECTION("empty when it was opened") {
        write_file(log, "");
        f.follow({log});
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // of another tick of the clock
        append_file(log, "a line long enough to be told by its fingerprint\n");
    }
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "new\n");
    CHECK(f.got() == Texts{"0:a line long enough to be told by its fingerprint", "0:new"});
    append_file(log, "newer\n");
    CHECK(f.got() == Texts{"0:newer"});
}

TEST_CASE("watch: the copy of copytruncate is there, its log not yet truncated, when we start") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "what it was long ago, and read to its end by then\n");
    auto before = Follower::make();
    before.follow({log});
    TailPosition saved = before.watch.readers().front().tail.position();
    fs::rename(log, log + ".2");
    write_file(log, "a line long enough to be told by its fingerprint\n");
    fs::copy_file(log, log + ".1");
    auto f = Follower::make();
    SECTION("truncated after we read it") {
        f.follow({log}, Start::beginning, {saved});
        CHECK(f.got() == Texts{"0:a line long enough to be told by its fingerprint"});
        fs::resize_file(log, 0);
        append_file(log, "new\n");
        CHECK(f.got() == Texts{"0:new"});
    }
    SECTION("truncated before we read it") {
        f.look = false;
        f.follow({log}, Start::beginning, {saved});
        fs::resize_file(log, 0);
        append_file(log, "new\n");
        CHECK(f.got() == Texts{"0:a line long enough to be told by its fingerprint", "0:new"});
    }
}

TEST_CASE("watch: rotated twice and compressed between two looks") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "first, and read before it was rotated, by all accounts\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    fs::rename(log, log + ".1");
    write_file(log, "never seen under its name, for it was rotated again\n");
    fs::rename(log + ".1", log + ".2");
    fs::rename(log, log + ".1");
    write_file(log, "the newest one\n");
    REQUIRE(std::system(("gzip " + log + ".1 " + log + ".2").c_str()) == 0);
    CHECK(f.got() ==
          Texts{"0:never seen under its name, for it was rotated again", "0:the newest one"});
}

TEST_CASE("watch: a copy that was read is not read again at the next rotation") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a line long enough to be told by its fingerprint\n");
    auto f = Follower::make();
    f.follow({log});
    f.got();
    auto copy_and_truncate = [&](const std::string& copy) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // of another tick of the clock
        fs::copy_file(log, copy);
        fs::resize_file(log, 0);
    };
    append_file(log, "not read yet\n");
    copy_and_truncate(log + ".3");
    append_file(log, "the second line that is long enough to be told\n");
    CHECK(f.got() == Texts{"0:not read yet", "0:the second line that is long enough to be told"});
    copy_and_truncate(log + ".2");
    append_file(log, "the third line that is long enough to be told\n");
    CHECK(f.got() == Texts{"0:the third line that is long enough to be told"});
    append_file(log, "fourth\n");
    fs::rename(log, log + ".1");
    write_file(log, "new\n");
    CHECK(f.got() == Texts{"0:fourth", "0:new"});
}

TEST_CASE("watch: other logs whose names begin alike are no rotated files") {
    TempDirectory dir;
    std::string log = dir / "mail";
    write_file(log, "first, and read before it was rotated, by all accounts\n");
    TailPosition saved;
    {
        auto before = Follower::make();
        before.follow({log});
        saved = before.watch.readers().front().tail.position();
    }
    fs::rename(log, log + ".1");
    write_file(log + ".err", "of another log altogether, which nobody asked for\n");
    write_file(log, "new\n");
    auto f = Follower::make();
    f.follow({log}, Start::beginning, {saved});
    CHECK(f.got() == Texts{"0:new"});
    fs::rename(log, log + ".1");
    append_file(log + ".err", "more\n");
    write_file(log, "newer\n");
    CHECK(f.got() == Texts{"0:newer"});
}

TEST_CASE("rotation: names that logrotate and its kin give to rotated logs") {
    for (const char* name : {"app.log.1", "app.log.2.gz", "app.log.0.zst", "app.log-20261121",
                             "app.log-20261121-1795284287.gz", "app.log.2026-11-21", "app.log.old",
                             "app.log.2026-11-21T18:04:01+01:00", "app-20261121.log",
                             "app-20261121.log.gz", "app.1.log"}) {
        INFO(name);
        CHECK(is_rotated_name(name, "app.log"));
    }
    for (const char* name :
         {"app.log", "app.log.gz", "app.log.err", "app.logger.1", "app.error.log", "apple.log",
          "app.log.1.xz", "app.log.swp", "app2.logs"}) {
        INFO(name);
        CHECK_FALSE(is_rotated_name(name, "app.log"));
    }
    CHECK_FALSE(is_rotated_name("mail.err", "mail"));
    CHECK(is_rotated_name("mail.1.gz", "mail"));
}

TEST_CASE("watch: lines written just before copytruncate of a file that a checkpoint knew") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a line long enough to be told by its fingerprint\n");
    TailPosition saved;
    {
        auto before = Follower::make();
        before.follow({log});
        saved = before.watch.readers().front().tail.position();
    }
    auto f = Follower::make();
    f.follow({log}, Start::beginning, {saved});
    CHECK(f.got().empty());
    append_file(log, "not read yet\n");
    fs::copy_file(log, log + ".1");
    fs::resize_file(log, 0);
    append_file(log, "new\n");
    CHECK(f.got() == Texts{"0:not read yet", "0:new"});
}

TEST_CASE("watch: copytruncate with a glob that holds the copy does not read it twice") {
    TempDirectory dir;
    std::string log = dir / "log";
    std::string line = "2026-11-21T10:00:00Z a line long enough to be told by its fingerprint\n";
    write_file(log, line + "two\n");
    auto f = Follower::make();
    f.follow({log + "*"});
    CHECK(f.got().size() == 2);
    fs::copy_file(log, log + ".1");
    CHECK(f.got().empty());
    fs::resize_file(log, 0);
    append_file(log, "three\n");
    CHECK(f.got() == Texts{"0:three"});
}

TEST_CASE("watch: a file, or its directory, that does not exist yet") {
    TempDirectory dir;
    auto f = Follower::make();
    f.follow({dir / "a/b/log", dir / "log"});
    CHECK(f.watch.waiting(0));
    CHECK(f.watch.waiting(1));
    CHECK(f.watch.error(0) == nullptr);
    write_file(dir / "log", "here\n");
    CHECK(f.got() == Texts{"1:here"});
    fs::create_directory(dir / "a");
    CHECK(f.got().empty());
    write_file(dir / "a/b/log", "there\n");
    CHECK(f.got() == Texts{"0:there"});
    fs::remove_all(dir / "a");
    f.got();
    CHECK(f.watch.waiting(0));
    write_file(dir / "a/b/log", "again\n");
    f.got();
    // The directory was watched only once it was seen; its content is found at once all the same.
    append_file(dir / "a/b/log", "more\n");
    CHECK(f.got() == Texts{"0:more"});
}

TEST_CASE("watch: a symbolic link that is pointed elsewhere") {
    TempDirectory dir;
    write_file(dir / "real/monday", "m1\n");
    write_file(dir / "real/tuesday", "");
    fs::create_symlink("real/monday", dir / "current");
    auto f = Follower::make();
    f.follow({dir / "current"});
    CHECK(f.got() == Texts{"0:m1"});
    append_file(dir / "real/monday", "m2\n");
    CHECK(f.got() == Texts{"0:m2"});
    fs::create_symlink("real/tuesday", dir / "next");
    fs::rename(dir / "next", dir / "current");
    append_file(dir / "real/tuesday", "t1\n");
    append_file(dir / "real/monday", "m3\n");
    auto got = f.got();
    CHECK(std::set<std::string>(got.begin(), got.end()) == std::set<std::string>{"0:t1", "0:m3"});
    // What the link points to is rotated where it lives.
    fs::rename(dir / "real/tuesday", dir / "real/tuesday.1");
    write_file(dir / "real/tuesday", "t2\n");
    CHECK(f.got() == Texts{"0:t2"});
}

TEST_CASE("watch: a link that is switched back: what was written before is read before") {
    TempDirectory dir;
    auto point_to = [&](const std::string& target) {
        fs::create_symlink(target, dir / "next");
        fs::rename(dir / "next", dir / "log");
    };
    write_file(dir / "a", "one\n");
    point_to("a");
    auto f = Follower::make();
    f.follow({dir / "log"});
    CHECK(f.got() == Texts{"0:one"});
    write_file(dir / "b", "two\n");
    point_to("b");
    CHECK(f.got() == Texts{"0:two"});
    append_file(dir / "b", "three\n");
    point_to("a");
    append_file(dir / "a", "four\n");
    CHECK(f.got() == Texts{"0:three", "0:four"});
}

TEST_CASE("watch: a directory on the way that is a link") {
    TempDirectory dir;
    write_file(dir / "v1/log", "a\n");
    write_file(dir / "v2/log", "b\n");
    fs::create_symlink("v1", dir / "now");
    auto f = Follower::make();
    f.follow({dir / "now/log"});
    CHECK(f.got() == Texts{"0:a"});
    fs::create_symlink("v2", dir / "next");
    fs::rename(dir / "next", dir / "now");
    CHECK(f.got() == Texts{"0:b"});
}

TEST_CASE("watch: globs, with a new name each day and in directories that appear") {
    TempDirectory dir;
    write_file(dir / "hmailserver_2026-11-20.log", "old\n");
    write_file(dir / "hmailserver_awstats.txt", "not ours\n");
    auto f = Follower::make();
    f.follow({dir / "hmailserver_*.log", dir / "vhosts/*/error.log"});
    CHECK(f.got() == Texts{"0:old"});
    write_file(dir / "hmailserver_2026-11-21.log", "new\n");
    CHECK(f.got() == Texts{"0:new"});
    append_file(dir / "hmailserver_2026-11-20.log", "past midnight\n");
    CHECK(f.got() == Texts{"0:past midnight"});
    fs::create_directories(dir / "vhosts/a");
    f.got();
    write_file(dir / "vhosts/a/error.log", "x\n");
    CHECK(f.got() == Texts{"1:x"});
    write_file(dir / "vhosts/b/error.log", "y\n");
    CHECK(f.got() == Texts{"1:y"});
}

TEST_CASE("watch: one file for two jails is read once") {
    TempDirectory dir;
    write_file(dir / "log", "one\n");
    fs::create_symlink("log", dir / "alias");
    fs::create_hard_link(dir / "log", dir / "second");
    auto f = Follower::make();
    f.follow({dir / "log", dir / "alias", dir / "second", dir / "l*g"});
    CHECK(f.got() == Texts{"0123:one"});
    CHECK(f.watch.readers().size() == 1);
}

TEST_CASE("watch: at first sight reading starts findtime back, at the end, or at the beginning") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log,
               "2026-11-21T09:00:00Z old\n2026-11-21T09:55:00Z recent\n2026-11-21T09:59:00Z new\n");
    auto f = Follower::make();
    SECTION("findtime") {
        f.follow({log}, Start::findtime);
        CHECK(f.got() == Texts{"0:2026-11-21T09:55:00Z recent", "0:2026-11-21T09:59:00Z new"});
    }
    SECTION("end") {
        f.follow({log}, Start::end);
        CHECK(f.got().empty());
    }
    SECTION("beginning") {
        f.follow({log}, Start::beginning);
        CHECK(f.got().size() == 3);
    }
    // What comes later is read from its beginning, whatever was chosen for the start.
    fs::remove(log);
    f.got();
    write_file(log, "2026-11-21T08:00:00Z appeared\n");
    CHECK(f.got() == Texts{"0:2026-11-21T08:00:00Z appeared"});
}

TEST_CASE("watch: reading goes on where a checkpoint stopped, through a rotation meanwhile") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a first line that tells this file from others\ntwo\n");
    std::vector<TailPosition> saved;
    {
        auto f = Follower::make();
        f.follow({log});
        f.got();
        saved.push_back(f.watch.readers().front().tail.position());
    }
    append_file(log, "three\n");
    SECTION("the same file") {
        auto f = Follower::make();
        f.follow({log}, Start::findtime, saved);
        CHECK(f.got() == Texts{"0:three"});
    }
    SECTION("rotated: the old file's rest first, then the new one from its beginning") {
        fs::rename(log, log + ".1");
        write_file(log, "four\n");
        auto f = Follower::make();
        f.follow({log}, Start::findtime, saved);
        CHECK(f.got() == Texts{"0:three", "0:four"});
    }
    SECTION("rotated many times, the oldest compressed, as logrotate does it") {
        std::string text = "three\n";
        fs::rename(log, log + ".1");
        for (int i = 4; i < 14; ++i) {
            write_file(log, "line number " + std::to_string(i) + " of another file\n");
            for (int old = 12; old > 0; --old)
                for (const char* ending : {"", ".gz"})
                    if (fs::exists(log + "." + std::to_string(old) + ending))
                        fs::rename(log + "." + std::to_string(old) + ending,
                                   log + "." + std::to_string(old + 1) + ending);
            if (fs::exists(log + ".2")) must("gzip " + log + ".2");
            fs::rename(log, log + ".1");
        }
        write_file(log, "now\n");
        auto f = Follower::make();
        f.follow({log}, Start::findtime, saved);
        auto got = f.got();
        REQUIRE(got.size() == 12);
        CHECK(got.front() == "0:three");
        CHECK(got[1] == "0:line number 4 of another file");
        CHECK(got[10] == "0:line number 13 of another file");
        CHECK(got.back() == "0:now");
    }
    SECTION("just being rotated: there is no file of its name yet") {
        fs::rename(log, log + ".1");
        auto f = Follower::make();
        f.follow({log}, Start::findtime, saved);
        CHECK(f.got() == Texts{"0:three"});
        append_file(log + ".1", "late\n");
        write_file(log, "four\n");
        auto got = f.got();
        CHECK(std::set<std::string>(got.begin(), got.end()) ==
              std::set<std::string>{"0:late", "0:four"});
    }
    SECTION("rotated by copying, the copy compressed: the inode is no help") {
        fs::copy_file(log, log + ".1");
        must("gzip " + log + ".1");
        fs::resize_file(log, 0);
        append_file(log, "four\n");
        auto f = Follower::make();
        f.follow({log}, Start::findtime, saved);
        CHECK(f.got() == Texts{"0:three", "0:four"});
    }
    SECTION("truncated and written anew under the same inode") {
        fs::resize_file(log, 0);
        append_file(log,
                    "other content altogether, longer than what was there before it, really\n");
        auto f = Follower::make();
        f.follow({log}, Start::beginning, saved);
        CHECK(f.got() ==
              Texts{"0:other content altogether, longer than what was there before it, really"});
    }
}

TEST_CASE("watch: a reload keeps files where they are and lets go of the others") {
    TempDirectory dir;
    write_file(dir / "a", "a1\n");
    write_file(dir / "b", "b1\n");
    auto f = Follower::make();
    f.follow({dir / "a", dir / "b"});
    f.got();
    append_file(dir / "b", "b2\n");
    f.follow({dir / "b", dir / "c"});
    CHECK(f.got() == Texts{"1:b2"});  // with the number that it had
    append_file(dir / "a", "a2\n");
    write_file(dir / "c", "c1\n");
    CHECK(f.got() == Texts{"0:c1"});  // with the number that was free
    CHECK(f.watch.readers().size() == 2);
}

TEST_CASE("watch: a log that is wanted again is read on where it was left") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "a first line that tells this file from others\n");
    write_file(dir / "other", "o1\n");
    auto f = Follower::make();
    f.follow({log});
    CHECK(f.got().size() == 1);
    Start start = GENERATE(Start::findtime, Start::beginning);
    std::vector<FilePosition> state;
    auto checkpoint = [&] {
        std::vector<FilePosition> changed;
        std::vector<FileNumber> gone;
        f.watch.take_changes(changed, gone, f.now);
        for (const FilePosition& one : changed) {
            std::erase_if(state, [&](const FilePosition& old) { return old.file == one.file; });
            state.push_back(one);
        }
        for (const FileNumber& file : gone)
            std::erase_if(state, [&](const FilePosition& old) { return old.file == file; });
    };
    SECTION("nothing was written meanwhile") {
        f.follow({dir / "other"});
        CHECK(f.got() == Texts{"0:o1"});
        f.follow({log}, start);
        CHECK(f.got().empty());
        f.follow({});
        f.follow({log, dir / "other"}, start);
        CHECK(f.got().empty());
    }
    SECTION("what was written meanwhile is a backlog") {
        append_file(log, "not read yet\n");
        f.look = false;
        f.follow({});
        append_file(log, "two\n");
        f.follow({log}, start);
        REQUIRE(f.watch.readers().front().backlog);
        CHECK(f.watch.readers().front().backlog->time.since == f.now);
        CHECK(f.got() == Texts{"0:not read yet", "0:two"});
        append_file(log, "three\n");
        CHECK(f.got() == Texts{"0:three"});
    }
    SECTION("it was rotated meanwhile") {
        f.follow({});
        append_file(log, "two\n");
        fs::rename(log, log + ".1");
        write_file(log, "three\n");
        f.follow({log}, start);
        CHECK(f.got() == Texts{"0:two", "0:three"});
    }
    SECTION("it is read in another way, and back") {
        WatchedLog other;
        other.spec.path = log;
        other.spec.encoding = Encoding::latin1;
        f.watch.set_logs({other}, {}, {}, f.now);
        CHECK(f.got().empty());
        append_file(log, "two\n");
        CHECK(f.got() == Texts{"0:two"});
        f.follow({log}, start);
        CHECK(f.got().empty());
        f.follow({dir / "*o*"});
        CHECK(f.got() == Texts{"0:o1"});
    }
    SECTION("bandd was restarted meanwhile, more than once") {
        for (int i = 0; i < 2; ++i) {
            f.follow({});
            checkpoint();
            f = Follower::make();
            f.watch.set_logs({}, state, {}, f.now);
        }
        checkpoint();
        append_file(log, "two\n");
        f.follow({log}, start);
        CHECK(f.got() == Texts{"0:two"});
    }
    SECTION("too many are left: the one that was left first is not known any more") {
        std::vector<std::string> paths;
        for (std::size_t i = 0; i < Watch::most_unwanted; ++i)
            paths.push_back(dir / ("log-of-" + std::to_string(i)));
        f.follow({});
        checkpoint();
        CHECK_FALSE(state.empty());
        f.now = at(1);
        f.follow(paths);
        f.follow({});
        CHECK(f.watch.forgotten() == 1);
        checkpoint();
        CHECK(std::ranges::none_of(state,
                                   [&](const FilePosition& one) { return one.file.log == log; }));
        CHECK(state.size() == Watch::most_unwanted);
    }
}

TEST_CASE("watch: our own log, an unreadable or impossible one: said, and the others go on") {
    TempDirectory dir;
    write_file(dir / "own", "x\n");
    write_file(dir / "good", "x\n");
    fs::create_directory(dir / "directory");
    auto f = Follower::make();
    f.follow({dir / "own", dir / "directory", dir / "good"}, Start::beginning, {},
             file_id(dir / "own"));
    CHECK(f.got() == Texts{"2:x"});
    REQUIRE(f.watch.error(0) != nullptr);
    CHECK(to_line(*f.watch.error(0)) ==
          "\"" + dir / "own" + "\": bandd does not read its own log; take it out of \"logpath\"");
    REQUIRE(f.watch.error(1) != nullptr);
    CHECK(to_line(*f.watch.error(1)) ==
          "cannot read \"" + dir / "directory" + "\": it is not a regular file");
    CHECK(f.watch.error(2) == nullptr);
}

TEST_CASE("watch: an overflow of inotify's queue leads to a new look at everything") {
    TempDirectory dir;
    write_file(dir / "log", "");
    auto f = Follower::make();
    f.follow({dir / "log", dir / "new-*"});
    f.got();
    // More events than the queue holds, all in our directories; then what matters.
    std::string limit = read_file("/proc/sys/fs/inotify/max_queued_events");
    unsigned long events = std::stoul(limit);
    for (unsigned long i = 0; i < events / 2 + 10; ++i) {
        std::string name = dir / ("junk" + std::to_string(i % 2));
        std::ofstream(name).flush();
        ::unlink(name.c_str());
    }
    append_file(dir / "log", "not lost\n");
    write_file(dir / "new-1", "found\n");
    auto got = f.got();
    CHECK(f.watch.overflows() >= 1);
    CHECK(std::set<std::string>(got.begin(), got.end()) ==
          std::set<std::string>{"0:not lost", "1:found"});
}

TEST_CASE("watch: a thousand old logs of a glob are noted, not opened, and read once they grow") {
    TempDirectory dir;
    for (int i = 0; i < 1000; ++i) {
        std::string path = dir / ("day" + std::to_string(i) + ".log");
        write_file(path, "2026-01-01T00:00:00Z old\n");
        fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(24 * 400));
    }
    auto f = Follower::make();
    f.follow({dir / "day*.log"}, Start::findtime);
    CHECK(f.got().empty());
    CHECK(f.watch.readers().size() == 1000);
    CHECK(
        std::ranges::none_of(f.watch.readers(), [](const Reader& r) { return r.tail.is_open(); }));
    append_file(dir / "day500.log", "grown\n");
    CHECK(f.got() == Texts{"0:grown"});
}

TEST_CASE("watch: a file written to by another process at full speed loses no line") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "");
    auto f = Follower::make();
    f.follow({log});
    std::thread writer([&] {
        for (int round = 0; round < 10; ++round) {
            {
                std::ofstream out(log, std::ios::app);
                for (int i = 0; i < 2000; ++i)
                    out << "line " << round * 2000 + i << "\n" << std::flush;
            }
            fs::rename(log, log + "." + std::to_string(round));
            std::ofstream(log).flush();
        }
    });
    Texts all;
    bool done = wait_for([&] {
        for (auto& line : f.got()) all.push_back(line);
        return all.size() >= 20'000;
    });
    writer.join();
    CHECK(done);
    std::set<std::string> distinct(all.begin(), all.end());
    CHECK(distinct.size() == 20'000);
    CHECK(all.size() == 20'000);
}

namespace {

// Of a log that was read before, and was rotated into archives since: turn by turn.
struct ArchiveReading {
    TempDirectory dir;
    std::string log = dir / "app.log", other = dir / "other.log";
    std::optional<Watch> watch;
    Instant now = at(0);
    bool takes_parts = false;
    std::vector<std::string> errors;
    std::string of_log, of_other;  // what was read
    std::size_t most_in_a_turn = 0;

    ArchiveReading() {
        write_file(log, "current\n");
        write_file(other, "other\n");
    }
    void start(Watch::Limits limits = {}, std::vector<TailPosition> saved = {}) {
        auto made = Watch::create(limits);
        REQUIRE(made);
        watch.emplace(std::move(*made));
        if (saved.empty()) {
            TailPosition gone;  // the name was another file once
            gone.path = log;
            gone.id = {1, 1};
            saved.push_back(gone);
        }
        std::vector<WatchedLog> logs(2);
        logs[0].spec.path = log;
        logs[1].spec.path = other;
        for (WatchedLog& one : logs) one.spec.start = Start::beginning;
        watch->set_logs(logs, saved_as(saved), {}, now);
    }
    void turn() {
        std::size_t before = of_log.size();
        Watch::Visitor visitor{
            [this](Reader& reader, const Readable& what) {
                std::string& read = reader.logs.contains(0) ? of_log : of_other;
                if (const auto* chunk = std::get_if<Chunk>(&what)) {
                    read += chunk->bytes;
                    return PartRead{};
                }
                const auto& part = std::get<FilePart>(what);
                std::string bytes(part.size, '\0');
                ssize_t got =
                    pread(part.fd, bytes.data(), part.size, static_cast<off_t>(part.offset));
                REQUIRE(got == static_cast<ssize_t>(part.size));
                read += std::string(part.begun) + bytes;
                return PartRead{part.size, {}};
            },
            [this](const Error& error) { errors.push_back(to_line(error)); }, takes_parts};
        watch->read_ready(visitor, now);
        most_in_a_turn = std::max(most_in_a_turn, of_log.size() - before);
    }
    void read_all() {
        for (int turns = 0; watch->is_ready(); ++turns) {
            REQUIRE(turns < 10'000);
            turn();
        }
    }
};

}  // namespace

TEST_CASE_METHOD(ArchiveReading, "watch: bombs beside one log hold no other log up, and are cut") {
    takes_parts = GENERATE(false, true);
    std::string frame = packed(".zst", repeated_line(64 << 20));
    std::string bomb;
    while (bomb.size() < 85'000) bomb += frame;
    write_file(log + ".1.zst", bomb);
    write_file(log + ".2.zst", bomb);
    start();
    CHECK(of_log.empty());
    turn();
    CHECK(of_other == "other\n");
    CHECK(watch->is_ready());
    CHECK(of_log.size() < bomb.size() * 1'000);
    read_all();
    // And the line that was begun before.
    CHECK(most_in_a_turn <= (takes_parts ? 8 << 20 : Tail::read_size) + 100);
    REQUIRE(errors.size() == 2);
    for (const std::string& error : errors)
        CHECK(error.ends_with("holds more than 1100 times its size; the rest of it is not read"));
    CHECK(watch->cut_archives() == 2);
    CHECK(of_log.size() < 2 * 1'100 * (bomb.size() + (128 << 10)));
    // The log goes on, and of a line that was cut off nothing is read.
    std::string line = repeated_line(200);
    line.resize(line.find('\n') + 1);
    CHECK(of_log.ends_with(line + "current\n"));
    now = at(100);  // the archives are done with
    turn();
    CHECK(of_log.ends_with(line + "current\n"));
    CHECK(watch->cut_archives() == 2);
}

TEST_CASE_METHOD(ArchiveReading,
                 "watch: an archive is read on where it was left, in bounded turns") {
    std::string format = GENERATE(".gz", ".zst");
    std::string text;
    for (unsigned i = 0; text.size() < 3'000'000; ++i)
        text += "line " + std::to_string(i * 2654435761U) + "\n";
    write_file(log + ".1" + format, packed(format, text));
    start();
    for (int turns = 0; turns < 5; ++turns) turn();
    REQUIRE(of_log.size() > 500'000);
    REQUIRE(of_log.size() < 2'000'000);
    // As if bandd were killed now.
    std::vector<TailPosition> saved;
    for (const Reader& reader : watch->readers())
        if (reader.logs.contains(0)) saved.push_back(reader.tail.position());
    start({}, saved);
    std::size_t before = of_log.size();
    turn();
    CHECK(of_log.size() == before);  // what was read is unpacked again, and passed over
    read_all();
    CHECK(of_log == text + "current\n");
    CHECK(errors.empty());
}

TEST_CASE_METHOD(ArchiveReading, "watch: all archives together are bounded, a day") {
    std::string text = repeated_line(1 << 20);
    for (const char* name : {".1.gz", ".2.gz", ".3.gz"}) {
        write_file(log + name, packed(".gz", text));
        must("sleep 0.02");  // of another time
    }
    Watch::Limits limits;
    limits.unpacked_a_day = (1 << 20) + 1;
    start(limits);
    read_all();
    // The first one fits, the second one but for a byte, the third one not at all.
    CHECK(watch->cut_archives() == 2);
    REQUIRE(errors.size() == 2);
    CHECK(errors[0] == errors[1]);
    CHECK(errors[0] == "rotated logs of \"" + log +
                           "\": compressed ones held more than 0 GiB in a day; the rest of this "
                           "one is not read");
    CHECK(of_log.ends_with("current\n"));
    CHECK(of_log.size() < (2 << 20) + 100);
}

TEST_CASE_METHOD(ArchiveReading, "watch: a link with a rotated log's name is not followed") {
    write_file(dir / "secret", "secret\n");
    write_file(dir / "secret.gz", packed(".gz", "secret\n"));
    fs::create_symlink(dir / "secret", log + ".1");
    fs::create_symlink(dir / "secret.gz", log + ".2.gz");
    start();
    read_all();
    CHECK(of_log == "current\n");
    CHECK(errors.empty());
}
