// SPDX-License-Identifier: GPL-2.0-or-later
// From paths and globs to open files: finds the files, notices when they appear, are rotated or
// replaced, and says which have something to read. inotify only; nothing is polled.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/types.h"
#include "os/inotify.h"
#include "source/chain.h"
#include "source/rotation.h"
#include "source/share.h"
#include "source/tail.h"

namespace bandd {

// A log that somebody wants read, with what its first sight needs to know.
struct WatchedLog {
    LogSpec spec;
    Duration findtime{0};  // the longest of its jails'
    Zone zone;
    bool operator==(const WatchedLog&) const = default;
};

// A file being read, for one or more of the watched logs.
struct Reader {
    Tail tail;
    std::uint64_t order = 0;  // in which files were found
    Chain* chain = nullptr;   // the file is `number` of it
    std::uint64_t number = 0;
    std::string base;                // beside it rotation leaves older files
    std::set<std::size_t> logs;      // numbers in Watch::logs()
    std::size_t names = 0;           // that mean it now
    std::optional<Backlog> backlog;  // resumed from a checkpoint and not yet at the end
    bool ready = false;              // as of Watch::set_ready
    ReadShare share;
    std::uint64_t read_turn = 0;  // which it was read in last
    bool begun = false;           // what it goes on with was asked of the file before it
    bool appended = false;        // it was read to its end: what comes was written while we watched
    bool finished = false;        // it has no name any more
    Instant finished_at;
    std::optional<Instant> held_since;  // as of Tail::holds_pieces
    std::uint64_t held_at = 0;          // where the line begins that has no end
    int watch = -1;
};

class Watch {
  public:
    struct Limits {
        std::size_t line_limit = 65536;
        // A writer may hold a rotated file open for a while (until it gets its SIGHUP).
        Duration linger = std::chrono::seconds(60);
        // Lines wait so long for the rest of one that is in pieces.
        Duration patience = std::chrono::seconds(2);
        // Files that are open at once, rotated ones included. Each costs some KiB and a descriptor.
        std::size_t readers = 16'384;
        // Bytes that all compressed logs together may unpack to in a day. What was read before, and
        // is only unpacked to get past it, counts, too.
        std::uint64_t unpacked_a_day = std::uint64_t{16} << 30;
    };
    // Logs that nobody wants, and how far they were read: a jail may be stopped, and started again.
    // Of more, those that were left first are forgotten.
    static constexpr std::size_t most_unwanted = 4096;
    static Result<Watch> create(Limits limits);

    int fd() const { return inotify_.fd(); }

    // The whole wish list. A log that was watched before, with the same spec, keeps its number, and
    // its files are read on where they are; a new one gets a number that is free. The numbers are
    // returned in the order of `wanted`. One that was watched once, and is wanted again, is read on
    // where it was left: what was written meanwhile is a backlog. `saved`: of a checkpoint.
    // `forbidden` is never read (our own log).
    std::vector<std::size_t> set_logs(std::vector<WatchedLog> wanted,
                                      std::vector<FilePosition> saved,
                                      std::optional<FileId> forbidden, Instant now);
    void on_notify(Instant now);
    // Something that inotify does not tell of may have changed what paths mean: a mount.
    void look_again(Instant now) { rescan_all(now); }
    std::optional<Instant> next_deadline() const;

    // What a checkpoint has to keep since it was asked for the last time. The first bytes of each
    // file are read again, so that a saved position knows its file by them.
    void take_changes(std::vector<FilePosition>& changed, std::vector<FileNumber>& gone,
                      Instant now);
    void mark_all_changed();

    struct Visitor {
        // Takes what was read of a file; of a part it returns what became of it.
        std::function<PartRead(Reader& reader, const Readable& what)> take;
        std::function<void(const Error&)> on_error = {};  // of a file that cannot be read
        bool takes_parts = false;                         // of files that are a backlog
    };
    // Reads a share of every file that has something; of each log the file that was written first.
    // Of files that ban many, only so many as make a turn that the others can wait for.
    // A file that lost its name `linger` ago is read to its end and let go. If a file was
    // truncated, its copy is looked for.
    void read_ready(const Visitor& visitor, Instant now);
    bool is_ready() const { return !ready_.empty(); }
    // While files are read in the time of their log: how far the slowest of them has come.
    std::optional<Instant> reached() const;

    // By number. The place of a log that nobody wants any more is empty: its path is.
    const std::vector<WatchedLog>& logs() const { return logs_; }
    const std::list<Reader>& readers() const { return readers_; }
    // What is wrong with a log; null if nothing is. Missing files are not an error: `waiting`.
    const Error* error(std::size_t log) const;
    bool waiting(std::size_t log) const;
    // Another number whenever `error` or `waiting` may have changed.
    std::uint64_t version() const { return version_; }
    std::uint64_t cut_lines() const;     // over line_limit, so far
    std::uint64_t cut_archives() const;  // that held too much, so far
    std::uint64_t overflows() const { return overflows_; }
    // Files that are not known any more, as there were too many of one log, or too many logs that
    // nobody wants.
    std::uint64_t forgotten() const;
    // Looks at a log that changed again and again meanwhile, and were made do with.
    std::uint64_t unsettled() const { return unsettled_; }

  private:
    explicit Watch(Inotify inotify, Limits limits)
        : inotify_(std::move(inotify)), limits_(limits) {}

    struct Wish {  // why a directory is watched: an entry of this name matters to this log
        std::size_t log = 0;
        std::string name;  // may hold wildcards
        auto operator<=>(const Wish&) const = default;
    };
    struct Directory {
        std::string path;
        std::set<Wish> wishes;
    };
    // A name of a log, and what is known of its files.
    struct Followed {
        Chain chain;
        LogSpec reading;             // how its files are read
        std::string path;            // the log's name
        std::set<std::size_t> logs;  // that have it
        bool resumed = false;        // not looked at since a checkpoint told of it, or it was left
        Instant left{INT64_MIN};     // when nobody wanted it any more, in this run
        bool adopted = false;        // it is read in another way, under another key
        std::set<FileId> sighted;    // while starting: by looks at it
    };
    // What a look found, in the order of its sightings: files that are not open yet are opened.
    struct Found {
        std::vector<Sighting> seen;
        std::vector<std::optional<Tail>> opened;
        std::vector<Reader*> readers;
        std::string base;  // what the log's name led to
        const Tail& tail(std::size_t i) const {
            return readers[i] != nullptr ? readers[i]->tail : *opened[i];
        }
    };
    // Some of readers_, by their order. There may be thousands of files, so that a wake-up must not
    // look at those that it does not concern.
    using Some = std::map<std::uint64_t, Reader*>;
    using Name = std::pair<std::size_t, std::string>;  // of which log, which path

    // watch.cpp
    void set_ready(Reader& reader, bool ready);
    std::vector<Reader*> ready();
    struct Progress {
        bool more = false;  // to read at once
        std::size_t bans = 0;
    };
    Result<Progress> read_on(Reader& reader, const Visitor& visitor, Instant now);
    Result<Progress> read_archive(Reader& reader, const Visitor& visitor, Instant now);
    void go_on_from_last(Reader& reader);
    void note_held(Reader& reader, Instant now);
    void let_go(const Visitor& visitor, Instant now);
    void drop_expired(const Visitor& visitor, Instant now);
    void drop(Reader& reader, Chain::State state = Chain::State::known);
    std::vector<std::size_t> renumber(std::vector<WatchedLog> wanted);
    void rescan(std::size_t log, Instant now);
    void rescan_all(Instant now);
    std::vector<std::string> expand(std::size_t log);
    void wish(std::size_t log, const std::string& directory, const std::string& name);
    void follow_links(std::size_t log, const std::string& path);
    void watch_file(Reader& reader);
    void unwatch_file(Reader& reader);

    // watch_chains.cpp
    void resume(std::vector<FilePosition> saved, Instant now);
    bool is_unwanted(const Followed& followed) const;
    void leave_unwanted(Instant now);
    void forget(const Followed& followed);
    void forget_unwanted();
    void sight(std::size_t log, const std::string& path, Instant now);
    void sight_new(std::size_t log, const std::string& path, FileId id, Instant now);
    bool is_too_many(std::size_t log, const std::string& path);
    bool note_dormant(std::size_t log, const std::string& path, FileId id, Instant now);
    Followed& follow(std::size_t log, const std::string& path, Instant now);
    Followed* find_followed(std::size_t log, const std::string& path);
    Followed* followed_by(const Chain* chain);
    Followed* find_owner(std::size_t log, const std::string& path, FileId id, Instant now);
    void look(Followed& followed, std::size_t log, const std::string& path, Instant now);
    std::vector<Chain::Step> take_in(Followed& followed, std::size_t log, const std::string& path,
                                     Found& found);
    static bool holds(const Followed& followed, const Found& found);
    void look_again_at(Reader& reader, Instant now);
    Found find(Followed& followed, std::size_t log, const std::string& path);
    void find_named(Followed& followed, std::size_t log, const std::string& path, Found& found);
    bool find_beside(Followed& followed, std::size_t log, const std::string& base, bool is_own,
                     std::vector<std::pair<std::string, FileId>>& names, Found& found);
    static void see(Found& found, const std::string& path, const std::string& base, Tail tail);
    static void see(Found& found, Reader& reader);
    static void observe(Found& found);
    void doubt_clock(Followed& followed, std::size_t log, const Tail& tail, Instant now) const;
    // So many files may lie between two pieces of a line.
    static constexpr int most_parted = 4;
    static void go_on_from_gone(Tail& tail, std::uint64_t number, const Chain& chain, Found& found);
    void carry_out(const Chain::Step& step, Followed& followed, Found& found, bool backlog);
    FirstRead first_read(std::size_t log, const Tail& tail, Instant now) const;
    Reader& add_reader(Tail tail, Followed& followed, std::uint64_t number);
    void give_name(Reader& reader, std::size_t log, const std::string& path);
    void take_name(std::size_t log, const std::string& path, Instant now);
    void mark_finished(Reader& reader, Instant now);
    void note(const Reader& reader) const;
    Reader* find_reader(FileId id, const LogSpec& spec);

    Inotify inotify_;
    Limits limits_;
    std::vector<WatchedLog> logs_;
    std::vector<std::optional<Error>> errors_;
    std::list<Reader> readers_;
    std::uint64_t last_order_ = 0;
    Some ready_;     // with something to read, files of a backlog among them
    Some finished_;  // that have no name any more
    Some held_;      // whose lines wait for the rest of one
    Some unnoted_;   // that may have another position, or other first bytes, than their chain knows
    std::map<int, Directory> directories_;
    std::multimap<int, Reader*> by_watch_;      // one inode may be read in two encodings
    std::map<std::string, Followed> followed_;  // by name, and how it is read
    std::map<Name, Reader*> named_;             // what each name means
    std::vector<std::set<std::string>> paths_;  // of each log, as they were expanded last
    std::optional<FileId> forbidden_;
    bool starting_ = false;     // files seen now were there before us
    std::vector<bool> is_new_;  // logs that were not wanted before
    Listings listings_;
    std::vector<FileNumber> gone_;
    std::uint64_t forgotten_gone_ = 0;  // of logs that are not wanted any more
    std::uint64_t unsettled_ = 0;
    std::uint64_t overflows_ = 0;
    std::uint64_t cut_lines_gone_ = 0;     // of readers that were dropped
    std::uint64_t cut_archives_gone_ = 0;  // the same, and those over the day's limit
    Instant unpacking_since_ = never;      // when this day began
    std::uint64_t unpacked_ = 0;           // in it
    std::uint64_t turns_ = 0;
    std::uint64_t version_ = 1;
};

}  // namespace bandd
