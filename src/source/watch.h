// SPDX-License-Identifier: GPL-2.0-or-later
// From paths and globs to open files: finds the files, notices when they appear, are rotated or
// replaced, and says which have something to read. inotify only; nothing is polled.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "config/types.h"
#include "os/inotify.h"
#include "source/rotation.h"
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
    std::set<std::size_t> logs;      // numbers in Watch::logs()
    std::optional<Backlog> backlog;  // resumed from a checkpoint and not yet at the end
    bool ready = false;
    bool finished = false;  // its name is gone or means another file
    Instant finished_at;
    Reader* after = nullptr;  // the file that it replaced: that one is read first
    int watch = -1;
};

class Watch {
  public:
    struct Limits {
        std::size_t line_limit = 65536;
        // A writer may hold a rotated file open for a while (until it gets its SIGHUP).
        Duration linger = std::chrono::seconds(60);
        std::size_t readers = 4096;
        // Bytes that all compressed logs together may unpack to in a day. What was read before, and
        // is only unpacked to get past it, counts, too.
        std::uint64_t unpacked_a_day = std::uint64_t{16} << 30;
    };
    static Result<Watch> create(Limits limits);

    int fd() const { return inotify_.fd(); }

    // The positions of a checkpoint, and when it was taken.
    struct Saved {
        std::vector<TailPosition> positions;
        Instant at = never;
    };
    // The whole wish list. A log that was watched before, with the same spec, keeps its number, and
    // its files are read on where they are; a new one gets a number that is free. The numbers are
    // returned in the order of `wanted`. `forbidden` is never read (our own log).
    std::vector<std::size_t> set_logs(std::vector<WatchedLog> wanted, Saved saved,
                                      std::optional<FileId> forbidden, Instant now);
    void on_notify(Instant now);
    // Something that inotify does not tell of may have changed what paths mean: a mount.
    void look_again(Instant now) { rescan_all(now); }
    std::optional<Instant> next_deadline() const;

    // Reads the first bytes of each file again, so that a saved position knows its file by them. To
    // be called before positions are saved.
    void look(Instant now);

    struct Visitor {
        // Takes what was read of a file; of a part it returns what became of it.
        std::function<PartRead(Reader& reader, const Readable& what)> take;
        std::function<void(const Error&)> on_error = {};  // of a file that cannot be read
        bool takes_parts = false;                         // of files that are a backlog
    };
    // Reads a share of every file that has something, the oldest file first. A file that lost its
    // name `linger` ago is read to its end and dropped. If a file was truncated, its copy is looked
    // for.
    void read_ready(const Visitor& visitor, Instant now);
    bool is_ready() const;
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
    std::vector<Reader*> ready();
    Result<bool> read_on(Reader& reader, const Visitor& visitor, Instant now);
    Result<bool> read_archive(Reader& reader, const Visitor& visitor, Instant now);
    void find_copy(Reader& reader, const TailPosition& before, Instant now);
    void drop_expired(const Visitor& visitor, Instant now);
    void drop(Reader& reader);
    std::vector<std::size_t> renumber(std::vector<WatchedLog> wanted);
    void rescan(std::size_t log, Instant now);
    void rescan_all(Instant now);
    std::vector<std::string> expand(std::size_t log);
    void wish(std::size_t log, const std::string& directory, const std::string& name);
    void follow_links(std::size_t log, const std::string& path);
    void sight(std::size_t log, const std::string& path, Instant now);
    void begin(std::size_t log, const std::string& path, FileId id, Reader* before, Instant now);
    bool note_dormant(std::size_t log, const std::string& path, FileId id, Instant now);
    std::optional<std::uint64_t> read_of_original(std::size_t log, const Tail& tail) const;
    std::uint64_t first_offset(const WatchedLog& log, const Tail& tail, Instant now) const;
    bool resume(std::size_t log, Reader& reader, Instant now);
    struct Opened {
        Rotated rotated;
        Tail tail;
    };
    std::vector<Opened> open_all(std::size_t log, const std::string& path, const Tail* current,
                                 const std::vector<TailPosition>& positions, std::int64_t since,
                                 const std::function<bool(const Rotated&)>& wanted);
    static void read_after(Reader& reader, Reader* before);
    Reader& add_rotated(Tail tail, const Rotated& rotated, std::set<std::size_t> logs,
                        const std::string& path, Reader* before, bool backlog, Instant now);
    Reader* take_missed(std::size_t log, const std::string& path, const Tail& current,
                        std::int64_t since, Reader* before, bool backlog, Instant now);
    void finish_rotated(std::size_t log, const std::string& path, const Tail* current,
                        bool current_sure, Instant now);
    void take_copies(Reader& reader, std::int64_t since, Instant now);
    void watch_file(Reader& reader);
    void unwatch_file(Reader& reader);
    void mark_finished(Reader& reader, Instant now);
    Reader* find_reader(FileId id, const LogSpec& spec);
    Reader* find_reader(std::size_t log, const std::string& path);
    Reader* last_finished(std::size_t log, const std::string& path);

    Inotify inotify_;
    Limits limits_;
    std::vector<WatchedLog> logs_;
    std::vector<std::optional<Error>> errors_;
    std::list<Reader> readers_;
    std::map<int, Directory> directories_;
    std::multimap<int, Reader*> by_watch_;  // one inode may be read in two encodings
    std::vector<TailPosition> saved_;
    Instant saved_at_ = never;
    std::set<FileId> saved_used_;
    std::optional<FileId> forbidden_;
    bool starting_ = false;  // files seen now were there before us
    std::uint64_t overflows_ = 0;
    std::uint64_t cut_lines_gone_ = 0;     // of readers that were dropped
    std::uint64_t cut_archives_gone_ = 0;  // the same, and those over the day's limit
    Instant unpacking_since_ = never;      // when this day began
    std::uint64_t unpacked_ = 0;           // in it
    std::uint64_t version_ = 1;
};

}  // namespace bandd
