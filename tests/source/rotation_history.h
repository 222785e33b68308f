// SPDX-License-Identifier: GPL-2.0-or-later
// Generated histories of one log: it is written, renamed, copied and truncated, compressed, moved
// away and back, its link switched, while whoever reads it is killed, started and told to reload.
//
// The oracle knows two things, and nothing of how files are read: which lines were written, and how
// often each of them was counted. What was counted after the last checkpoint is forgotten with a
// kill, as bandd's memory is. In the end each line must be counted once.
//
// Whoever reads does so while nothing changes; or, `raced`, while the world goes on before any call
// by which he looks at it: a file is sighted, copied, truncated, and then its copy is sighted.
//
//   History history(7);                  // seed
//   history.run(40);                     // steps
//   history.differences()                // "line 12 (…) was counted 2 times", …
//   history.told                         // the steps, to read what happened
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "os/clock.h"
#include "source/interrupted.h"
#include "source/watch.h"
#include "support/archives.h"
#include "support/common.h"
#include "support/machine.h"

namespace bandd {

// Whoever reads one log: he runs or not, and has counted lines. What was counted after the last
// checkpoint is forgotten when he is killed.
class Reading {
  public:
    using Counted = std::map<std::string, unsigned>;  // how often, by the line

    explicit Reading(std::string path, Start start = Start::beginning) {
        wanted_.emplace_back();
        wanted_[0].spec.path = std::move(path);
        wanted_[0].spec.start = start;
        wanted_[0].findtime = std::chrono::minutes(10);
    }

    bool runs() const { return watch_.has_value(); }
    const Watch& watch() const { return *watch_; }
    const Counted& counted() const { return counted_; }
    const Counted& kept() const { return kept_; }
    // All lines that were read since the start, in their order.
    const std::vector<std::string>& read() const { return read_; }
    unsigned times(const std::string& line) const {
        auto found = counted_.find(line);
        return found == counted_.end() ? 0 : found->second;
    }

    void start() {
        auto watch = Watch::create({});
        REQUIRE(watch);
        watch_.emplace(std::move(*watch));
        std::vector<FilePosition> saved;
        for (const auto& [file, position] : state_) saved.push_back(position);
        watch_->set_logs(wanted_, std::move(saved), {}, time());
    }
    void reload() { watch_->set_logs(wanted_, {}, {}, time()); }
    void kill() {
        watch_.reset();
        read_.clear();
        counted_ = kept_;
    }
    // Who is busy looks, and comes to read later.
    void look() {
        pollfd ready{watch_->fd(), POLLIN, 0};
        if (::poll(&ready, 1, 0) > 0) watch_->on_notify(time());
    }
    // All that is there now is read.
    void turn() {
        look();
        Watch::Visitor visitor{[this](Reader&, const Readable& what) {
            count(std::get<Chunk>(what).bytes);
            return PartRead{};
        }};
        for (int rounds = 0; rounds == 0 || watch_->is_ready(); ++rounds) {
            REQUIRE(rounds < 1000);
            watch_->read_ready(visitor, time());
        }
    }
    void checkpoint() {
        std::vector<FilePosition> changed;
        std::vector<FileNumber> gone;
        watch_->take_changes(changed, gone, time());
        for (const FileNumber& file : gone) state_.erase(file);
        for (FilePosition& position : changed)
            state_.insert_or_assign(position.file, std::move(position));
        kept_ = counted_;
    }
    void pass(Duration some) { skew_ += some; }

  private:
    Instant time() const { return now() + skew_; }
    void count(std::string_view bytes) {
        while (!bytes.empty()) {
            auto end = bytes.find('\n');
            read_.emplace_back(bytes.substr(0, end));
            ++counted_[read_.back()];
            bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
        }
    }

    std::vector<WatchedLog> wanted_;
    Duration skew_{0};
    std::optional<Watch> watch_;
    Counted counted_;
    std::vector<std::string> read_;
    Counted kept_;  // `counted_` at the last checkpoint
    std::map<FileNumber, FilePosition> state_;
};

class History {
  public:
    // Whoever reads is disturbed at random; or at one step only, in one way.
    struct Disturbance {
        unsigned step = 0;
        unsigned kind = 0;
        static constexpr unsigned kinds = 4;
    };
    explicit History(unsigned seed, std::optional<Disturbance> only = {}, bool raced = false)
        : random_(seed), disturbing_(seed + 1), racing_(seed + 2), only_(only), raced_(raced) {
        linked_ = pick(4) == 0;
        ::mkdir((dir_ / "real").c_str(), 0755);
        if (linked_) {
            must_be(::symlink("real/a", log_.c_str()));
            target_ = "a";
        }
        // What was rotated before the log was ever looked at is nobody's.
        for (unsigned old = pick(3); old > 0; --old) {
            std::string path = base() + "." + std::to_string(old) + (pick(2) == 0 ? "" : ".gz");
            std::string text = "old " + std::to_string(old) + std::string(40, 'o') + "\n";
            write_file(path, path.ends_with(".gz") ? packed(".gz", text) : text);
            files_[path] = std::make_shared<File>();
        }
        // Half of the logs are empty when they are seen first, as a new one is.
        create();
        if (pick(2) == 0) write(1 + pick(3));
        start();
        checkpoint();
    }
    ~History() {
        if (out_ >= 0) ::close(out_);
    }
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    void run(unsigned steps) {
        for (unsigned i = 0; i < steps; ++i) step();
        finish();
    }

    // One step of the world, and perhaps one of whoever reads.
    void step() {
        if (raced_ && reading_.runs() && pick(2) == 0)
            race();
        else
            change_world();
        if (only_)
            disturb_once();
        else
            disturb();
        ++steps_;
        // The same for all disturbances: the world goes on alike.
        bool turns = pick(3) != 0;
        bool keeps = pick(4) == 0;
        if (reading_.runs() && turns) turn();
        if (reading_.runs() && keeps) checkpoint();
    }

    // All that was away comes back, and everything is read.
    void finish() {
        tell("-- the end");
        reopen();
        if (away_) come_back();
        if (!reading_.runs()) start();
        turn();
        checkpoint();
        kill();
        start();
        turn();
        reload();
        turn();
    }

    std::vector<std::string> differences() const {
        std::vector<std::string> found;
        for (unsigned line = 0; line < texts_.size(); ++line) {
            unsigned times = reading_.times(texts_[line]);
            if (times != 1)
                found.push_back("line " + std::to_string(line) + " (" + texts_[line] +
                                ") was counted " + std::to_string(times) + " times");
        }
        for (const auto& [text, times] : reading_.counted())
            if (!known_.contains(text)) found.push_back("\"" + text + "\" was never written");
        return found;
    }
    std::size_t lines() const { return texts_.size(); }
    unsigned kills = 0;
    std::vector<std::string> told;

  private:
    struct File {
        std::vector<std::string> lines;
    };
    using Files = std::map<std::string, std::shared_ptr<File>>;  // by path

    unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
    void tell(std::string what) { told.push_back(std::move(what)); }
    static void must_be(int result) {
        if (result != 0) FAIL("a system call failed: " << std::strerror(errno));
    }
    // What the log's name means: where rotation leaves files beside it.
    std::string base() const { return linked_ ? dir_ / ("real/" + target_) : log_; }
    static bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

    // ---- the world

    // Between any two things that are done to the disk whoever reads may look.
    void breathe() {
        if (beside_ != nullptr) beside_->pause();
    }
    // The world changes while it is looked at.
    void race() {
        std::optional<Beside> world;
        auto changes = [this, changes = 1 + pick(2)] {
            for (unsigned left = changes; left > 0; --left) change_world();
        };
        world.emplace(changes);
        beside_ = &*world;
        // At times all at once between two calls; at times piece by piece, a few calls apart.
        unsigned most = 1U << (racing_() % 7);
        unsigned pieces = 1U << (racing_() % 4);
        unsigned calls = racing_() % most;
        before_each_look([&] {
            if (world->is_done() || calls-- > 0) return;
            calls = racing_() % most;
            tell("(meanwhile)");
            for (unsigned left = 1 + racing_() % pieces; left > 0; --left) world->go_on();
            tell("(looked on)");
        });
        for (unsigned left = 1 + racing_() % 3; left > 0; --left) act();
        before_each_look({});
        world->finish();
        beside_ = nullptr;
    }
    // Whoever reads does something.
    void act() {
        switch (racing_() % 8) {
            case 0:
                kill();
                start();
                return turn();
            case 1:
                return checkpoint();
            case 2:
                return reload();
            default:
                return turn();
        }
    }

    void change_world() {
        switch (pick(16)) {
            default:
                return write(1 + pick(5));
            case 6:
                return tear();
            case 7:
            case 8:
                return rename_and_create();
            case 9:
            case 10:
                return copy_and_truncate();
            case 11:
                return compress();
            case 12:
                return away_ ? come_back() : go_away();
            case 13:
                return linked_ ? switch_link() : set_times();
            case 14:
                return remove_oldest();
            case 15:
                return pick(3) == 0 ? pass_time() : set_times();
        }
    }

    void create() {
        out_path_ = base();
        out_ = ::open(base().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        must_be(out_ < 0 ? -1 : 0);
        auto& file = files_[base()];
        if (!file) file = std::make_shared<File>();
        out_file_ = file;
    }
    void put(std::string_view bytes) {
        must_be(::write(out_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())
                    ? 0
                    : -1);
    }
    void write(unsigned count) {
        tell("write " + std::to_string(count) + " from line " + std::to_string(texts_.size()));
        for (unsigned i = 0; i < count; ++i) {
            std::string text = std::to_string(texts_.size()) + " " + std::to_string(random_());
            // Some lines are shorter than what tells files apart, some longer than a fingerprint.
            unsigned kind = pick(8);
            text.append(kind == 0 ? 0 : kind == 1 ? 1100 : 30, 'x');
            breathe();
            put(torn_ ? text.substr(torn_text(text)) : text);
            breathe();
            put("\n");
            torn_ = false;
            texts_.push_back(text);
            known_.insert(text);
            out_file_->lines.push_back(text);
        }
    }
    std::size_t torn_text(std::string& text) const {
        text = torn_begin_ + text;
        return torn_begin_.size();
    }
    // A line is written in pieces.
    void tear() {
        if (torn_) return;
        tell("write a piece of a line");
        torn_begin_ = "begun-" + std::to_string(random_()) + "-";
        put(torn_begin_);
        torn_ = true;
    }
    // What is written next goes to the file that has the name now.
    void reopen() {
        if (torn_) write(1);
        if (out_path_ == base() && !stale_) return;
        breathe();
        tell("the writer opens the log anew");
        ::close(out_);
        create();
        stale_ = false;
    }
    void move(const std::string& from, const std::string& to) {
        breathe();
        must_be(::rename(from.c_str(), to.c_str()));
        files_[to] = files_[from];
        files_.erase(from);
    }
    void shift() {
        for (int old = 30; old > 0; --old)
            for (const char* ending : {"", ".gz"}) {
                std::string from = base() + "." + std::to_string(old) + ending;
                if (exists(from)) move(from, base() + "." + std::to_string(old + 1) + ending);
            }
    }
    void rename_and_create() {
        reopen();
        if (!exists(base())) return;
        shift();
        bool late = pick(3) == 0;
        tell(late ? "rename; the writer still has the old file" : "rename and create");
        move(base(), base() + ".1");
        stale_ = true;
        if (late) {
            if (pick(2) == 0) write(1);
            if (pick(2) == 0) {
                breathe();
                int made = ::open(base().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                ::close(made);
                files_[base()] = std::make_shared<File>();
            }
        } else {
            reopen();
        }
    }
    void copy_and_truncate() {
        reopen();
        shift();
        bool keep = pick(2) == 0;
        tell(keep ? "copy with its time, and truncate" : "copy and truncate");
        std::string text = read_file(base());
        struct stat status{};
        must_be(::stat(base().c_str(), &status));
        put_in_pieces(base() + ".1", text);
        if (keep) give_time(base() + ".1", status.st_mtim);
        files_[base() + ".1"] = std::make_shared<File>(*files_[base()]);
        breathe();
        tell("truncated");
        must_be(::ftruncate(out_, 0));
        files_[base()]->lines.clear();
        if (pick(2) == 0) write(1);
    }
    void put_in_pieces(const std::string& path, std::string_view bytes) {
        breathe();
        write_file(path, "");
        for (std::string_view piece :
             {bytes.substr(0, bytes.size() / 2), bytes.substr(bytes.size() / 2)}) {
            breathe();
            append_file(path, std::string(piece));
        }
    }
    void give_time(const std::string& path, timespec time) {
        breathe();
        timespec times[2]{time, time};
        must_be(::utimensat(AT_FDCWD, path.c_str(), times, 0));
    }
    // As gzip does it: the archive has the time of what it holds.
    void compress() {
        reopen();
        std::string from = base() + (pick(2) == 0 ? ".1" : ".2");
        if (!exists(from)) return;
        tell("compress " + from.substr(from.rfind('/') + 1));
        struct stat status{};
        must_be(::stat(from.c_str(), &status));
        put_in_pieces(from + ".gz", packed(".gz", read_file(from)));
        give_time(from + ".gz", status.st_mtim);
        breathe();
        must_be(::unlink(from.c_str()));
        files_[from + ".gz"] = files_[from];
        files_.erase(from);
    }
    void go_away() {
        reopen();
        if (linked_ || !exists(base())) return;
        tell("the log is moved away");
        move(base(), dir_ / "elsewhere");
        away_ = true;
        stale_ = true;
        if (pick(2) == 0) write(1);
        if (pick(2) == 0) reopen();  // another one takes its name
    }
    void come_back() {
        if (torn_) write(1);
        if (exists(base())) {
            shift();
            move(base(), base() + ".1");
        }
        tell("the log is moved back");
        move(dir_ / "elsewhere", base());
        away_ = false;
        stale_ = true;
        reopen();
    }
    // Where a link led between two checkpoints nobody can know who was killed meanwhile.
    void switch_link() {
        if (!link_is_kept_) return;
        link_is_kept_ = link_is_seen_ = false;
        reopen();
        target_ = target_ == "a" ? "b" : "a";
        tell("the link is switched to " + target_);
        if (!exists(base())) write_file(base(), "");
        std::string next = dir_ / "next";
        must_be(::symlink(("real/" + target_).c_str(), next.c_str()));
        breathe();
        must_be(::rename(next.c_str(), log_.c_str()));
        ++switches_;
        stale_ = true;
        if (pick(3) != 0) reopen();
    }
    // Times tell nothing: all rotated files get one, or they get them in no order.
    void set_times() {
        tell("times are set");
        timespec same{};
        ::clock_gettime(CLOCK_REALTIME, &same);
        bool equal = pick(2) == 0;
        for (const auto& [path, file] : files_) {
            if (path == base() || path == out_path_ || !exists(path)) continue;
            if (pick(2) == 0) continue;
            timespec time = same;
            if (!equal) time.tv_nsec = pick(1'000'000'000);
            give_time(path, time);
        }
    }
    // Its inode will be another file's. Only what is counted for ever is taken away.
    void remove_oldest() {
        reopen();
        for (int old = 31; old > 0; --old)
            for (const char* ending : {"", ".gz"}) {
                std::string path = base() + "." + std::to_string(old) + ending;
                if (!exists(path)) continue;
                for (const std::string& line : files_[path]->lines)
                    if (!reading_.kept().contains(line)) return;
                breathe();
                tell("remove " + path.substr(path.rfind('/') + 1));
                must_be(::unlink(path.c_str()));
                files_.erase(path);
                return;
            }
    }
    void pass_time() {
        reopen();
        if (beside_ != nullptr) return;
        if (reading_.runs()) turn();
        tell("a minute goes by");
        reading_.pass(std::chrono::seconds(61));
        if (reading_.runs()) turn();
    }

    // ---- whoever reads

    void disturb() {
        if (!reading_.runs()) {
            if (disturbing_() % 2 == 0) start();
            return;
        }
        switch (disturbing_() % 10) {
            case 0:
                return kill();
            case 1:
                kill();
                return start();
            case 2:
                turn();
                checkpoint();
                return kill();
            case 3:
                return reload();
            default:
                return;
        }
    }
    void disturb_once() {
        if (!reading_.runs() && steps_ >= only_->step + 2) start();
        if (steps_ != only_->step) return;
        switch (only_->kind) {
            case 0:
                kill();
                return start();
            case 1:
                checkpoint();
                return kill();  // for two steps
            case 2:
                return reload();
            default:
                return kill();
        }
    }
    void start() {
        tell("start");
        reading_.start();
    }
    void reload() {
        tell("reload");
        reading_.reload();
    }
    void kill() {
        tell("kill");
        ++kills;
        reading_.kill();
        link_is_seen_ = link_is_kept_;
    }
    void turn() {
        tell("turn");
        unsigned before = switches_;
        reading_.turn();
        link_is_seen_ = before == switches_;
    }
    void checkpoint() {
        tell("checkpoint");
        reading_.checkpoint();
        link_is_kept_ = link_is_seen_;
    }

    std::mt19937 random_;
    std::mt19937 disturbing_;
    std::mt19937 racing_;
    std::optional<Disturbance> only_;
    bool raced_;
    Beside* beside_ = nullptr;  // while the world changes beside whoever reads
    unsigned steps_ = 0;
    TempDirectory dir_;
    std::string log_ = dir_ / "app.log";
    bool linked_ = false;
    std::string target_;
    bool link_is_seen_ = false, link_is_kept_ = false;  // where it leads now
    unsigned switches_ = 0;
    int out_ = -1;
    std::string out_path_;
    std::shared_ptr<File> out_file_;
    bool stale_ = false;  // the writer has a file that lost its name
    bool away_ = false;
    bool torn_ = false;
    std::string torn_begin_;
    Files files_;
    std::vector<std::string> texts_;
    std::set<std::string> known_;
    Reading reading_{log_};
};

}  // namespace bandd
