// SPDX-License-Identifier: GPL-2.0-or-later
// Which bytes of which file of a log are read: each once, in the order in which they were written.
//
// A log is a name and a chain of files. A file, here, is what was written between two rotations,
// wherever it is: it may be renamed (the same inode), copied (another inode) or compressed (other
// bytes), and an inode that is truncated holds the next file from then on. Files are numbered in
// the order in which they are read, and a file keeps its number for ever.
//
// A file that was not seen yet has no number. Once it has, it is `reading` while the log's name
// means it, `held` while it has lost its name but whoever writes may still have it open, and `gone`
// when it was let go: read to its end. A file of which only a checkpoint tells is `known`, and so
// is one whose inode was truncated; it may turn up beside the log.
//
// The rule is short. What can be known again, by its inode and its first bytes or by its first
// bytes alone, is read on where it was left. What cannot is new and read whole, unless it is older
// than the first look at the log. When power was lost, a file may end before that which was read of
// it: what is dated later is read.
//
// app.log was read up to byte 900 when bandd was killed, as file 7. Meanwhile logrotate copied it
// to app.log.1, truncated it, and later renamed it. What is seen then, and what follows:
//
//   app.log.2.gz  first bytes of file 7         file 7, from byte 900: it was the copy
//   app.log.1     the inode of 7, other bytes   new: file 8, from byte 0
//   app.log       nothing known                 new: file 9, from byte 0
//
// Nothing here knows a clock, a file or inotify: `source/watch` looks, and does what follows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/log_position.h"
#include "core/decide/log_clock.h"

namespace bandd {

// A file as a look showed it.
struct Sighting {
    std::string path;
    std::string base;  // what the log's name leads to: rotation leaves older files beside it
    FileId id;
    std::uint64_t size = 0;     // of an archive: more than it can be
    std::int64_t modified = 0;  // nanoseconds, by the file system's clock
    std::string head;           // its first bytes, unpacked, at most Fingerprint::longest
    bool archive = false;
    bool named = false;  // the log's name means it
    bool open = false;   // it is being read, whatever it is called
    // It is a log of its own: here it can be known again, but never be new.
    bool other_log = false;
};

class Chain {
  public:
    enum class State : std::uint8_t { reading, held, known, gone };
    struct File {
        FilePosition at;
        State state = State::known;
        bool changed = true;    // since `take_changes`
        bool restored = false;  // from a checkpoint, and not read since
        bool is_open() const { return state == State::reading || state == State::held; }
    };
    // What is to be read. A file that is open is read on where it is; if its number is another one,
    // it is another file, and read from `offset` on.
    struct Step {
        std::size_t seen = 0;  // its place among the sightings
        std::uint64_t number = 0;
        std::uint64_t offset = 0;
        bool skipping = false;
        bool resumed = false;  // it was written while nobody read
        bool first = false;  // of a log that was never looked at: the configuration says from where
        // Its end is missing. What was read of it had changed then: nanoseconds, by the file
        // system's clock. What is dated later is new.
        std::optional<std::int64_t> cut = {};
    };
    // True if both have the same bytes just before `end`, or nobody can tell. It is asked of files
    // that begin alike: logs may have a long head in common.
    using Alike = std::function<bool(std::size_t seen, std::size_t other, std::uint64_t end)>;

    // `old_before`: what was modified before is old at the first look, even if it shows up later.
    // A directory may be mounted, with years of archives.
    explicit Chain(std::string log, std::int64_t old_before = INT64_MIN)
        : log_(std::move(log)), old_before_(old_before) {}
    // The same files, for a log that is read in another way from now on.
    Chain under(std::string log) const;

    // From a checkpoint: what `take_changes` gave.
    void restore(const FilePosition& saved);
    // Nobody reads it from now on: it is as a checkpoint would tell of it.
    void leave();
    // False before the first look: all but the log itself is then old. Of that no more than the
    // newest `most_old` + 1 files need be shown.
    bool has_begun() const { return begun_.has_value(); }

    // Takes in what a look showed, as it was at one instant: each inode once, open files included.
    // What is written to may have grown since its copies were sighted. The steps come in the order
    // of reading.
    std::vector<Step> look(std::span<const Sighting> seen, const Alike& alike);

    // An open file is read up to there.
    void note(std::uint64_t number, const TailPosition& at, std::int64_t modified);
    void set_state(std::uint64_t number, State state);
    // The file's inode was truncated, when it was read up to `before`. Until the next look the
    // inode has no file, however often it is truncated.
    void lose(std::uint64_t number, const TailPosition& before);
    bool knows(const FileId& id) const;
    // True if the last look found this inode to be a file of the chain, or a copy of one.
    bool claims(const FileId& id) const;
    // Where files were. True if one may have lines left: what is new there is the log's, too.
    std::map<std::string, bool> bases() const;

    const std::vector<File>& files() const { return files_; }
    const std::string& log() const { return log_; }
    // What its lines' dates are off by. It is kept with the positions, and goes from file to file.
    LogClock& clock() { return clock_; }
    const LogClock& clock() const { return clock_; }
    // Files that were forgotten though they were still there, as there were too many.
    std::uint64_t forgotten() const { return forgotten_; }

    // What a checkpoint has to keep, and numbers that it need not keep any more. A position with
    // number 0 is that of the log's first look: what was modified before it is old. It has the
    // clock, too.
    void take_changes(std::vector<FilePosition>& changed, std::vector<FileNumber>& gone);
    // The state was lost: all is a change.
    void mark_all_changed();

    // Of files that have no place any more, those with the highest numbers are known: one that was
    // moved away may come back.
    static constexpr std::size_t most_without_place = 32;
    static constexpr std::size_t most_files = 256;
    // Of what is old at the first look, the newest are known again whatever becomes of them. The
    // others are known by their times.
    static constexpr std::size_t most_old = 16;

  private:
    struct Match {
        std::vector<std::optional<std::size_t>> file_of;  // by sighting: its place in files_
        std::vector<std::optional<std::size_t>> seen_of;  // by file: its place among the sightings
    };
    File* find(std::uint64_t number);
    Match match(std::span<const Sighting> seen) const;
    void match_copies(std::span<const Sighting> seen, Match& match) const;
    void settle(const File& file, const Sighting& seen, std::size_t index,
                std::vector<Step>& steps);
    void begin(std::span<const Sighting> seen, const Match& match, const Alike& alike);
    std::vector<Step> take_new(std::span<const Sighting> seen, const Match& match,
                               const Alike& alike);
    std::uint64_t add(const Sighting& seen, std::uint64_t offset, State state);
    void forget(const Match& match);
    void drop(std::size_t file);

    std::string log_;
    std::int64_t old_before_ = INT64_MIN;
    std::optional<std::int64_t> begun_;  // what was modified before is old
    bool begun_changed_ = false;
    LogClock clock_;
    Duration kept_offset_{0};  // of the clock, as a checkpoint has it
    std::uint64_t last_ = 0;   // the highest number
    std::vector<File> files_;  // by number, ascending
    std::vector<FileNumber> gone_;
    std::vector<FileId> claimed_;
    std::uint64_t forgotten_ = 0;
};

}  // namespace bandd
