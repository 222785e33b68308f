// SPDX-License-Identifier: GPL-2.0-or-later
// One log file being followed: an open inode and how far it was read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/log_position.h"
#include "core/base/zone.h"
#include "core/text/encoding.h"
#include "core/text/pieces.h"
#include "os/fd.h"
#include "source/archive.h"
#include "source/find_start.h"
#include "source/lines.h"

namespace bandd {

std::optional<FileId> file_id(const std::string& path);

struct TailCounts {
    std::uint64_t bytes = 0, cut_lines = 0, truncations = 0;
    std::uint64_t unpacked = 0;      // bytes of an archive, those that were passed over included
    std::uint64_t cut_archives = 0;  // 1: it held too much, the rest was not read
};

class Tail {
  public:
    static constexpr std::size_t read_size = 256 << 10;
    static constexpr std::size_t backlog_read_size = 1 << 20;  // for several matchers together

    // Opens the file that `path` is now. Regular files only.
    static Result<Tail> open(const std::string& path, Encoding encoding, std::size_t line_limit);
    // Notes the file without opening it; `wake` does that once it has grown.
    static Tail dormant(const std::string& path, FileId id, std::uint64_t size, Encoding encoding,
                        std::size_t line_limit);
    Result<> wake();

    // The content of a compressed log. Nobody adds to it; each `read` unpacks at most what it may
    // give, also where it only passes over what was read before.
    static Result<Tail> open_archive(const std::string& path, Encoding encoding,
                                     std::size_t line_limit);

    struct Read {
        std::string_view bytes;  // whole lines, valid until the call after the next
        bool more = false;       // there may be more at once
        // The file was truncated, or may have been: it was empty when it was looked at last. What
        // was written to it after this and before that was not read.
        std::optional<TailPosition> truncated = std::nullopt;
    };
    // At most `most` bytes. Finds truncation first: then reading begins anew at 0.
    Result<Read> read(std::size_t most = read_size);
    // The same without reading: what `truncated` would be.
    std::optional<TailPosition> find_truncation();
    // True if that is something, or may soon be.
    bool is_truncated() const;

    // Reads on, and hands to `take` what comes next, at most `most` bytes of it: a part, if parts
    // are wanted and one can be had, else lines. This is the one way by which the daemon and
    // `bandctl replay` read files.
    struct Progress {
        std::size_t bytes = 0;
        std::size_t bans = 0;
        bool more = false;
        std::optional<TailPosition> truncated = std::nullopt;  // as of `Read`
    };
    using Take = std::function<PartRead(const Readable&)>;
    Result<Progress> read_on(std::size_t most, bool parts, const Take& take);

    // What `read` would read next, for a caller that reads it himself and then says with `took` how
    // many bytes there were, and which of them (and of `begun`) belong to a line that has no end
    // yet. Empty if `read` has to do it: at a file's begin, after a truncation, within a line that
    // was cut, in UTF-16; or at the end.
    std::optional<FilePart> ahead(std::size_t most);
    void took(std::size_t bytes, std::string_view left);
    // Reads no further: a line that was begun is forgotten, since the rest of it is not known.
    void give_up();
    // What is left without a line end, once nothing can be added to it any more.
    std::string_view flush_partial();
    // Whole lines wait for the rest of one that is in pieces (core/text/pieces.h).
    bool holds_pieces() const { return holds_pieces_; }
    // They do not wait any longer, and that one is cut. As of `Read`.
    std::string_view let_go();
    // This file, of which nothing was read yet in this run, goes on where `before` ended, maybe
    // within a line.
    enum class Known : std::uint8_t { all, end };  // of `before`: it was read, or only its end
    void go_on_from(const Tail& before, Known known);

    void seek(std::uint64_t offset, bool skipping = false);
    // As the functions of these names, of this file.
    FirstRead find_end() const;
    FirstRead find_start(Instant since, const Zone& zone, Instant now) const;
    std::optional<Instant> find_last_date(const Zone& zone, Instant now) const;

    // True if `fingerprint` is that of this file's first bytes.
    bool matches(const Fingerprint& fingerprint) const;
    std::string first_bytes() const { return head(Fingerprint::longest); }
    // True if both files have the same bytes just before `end`; of archives nobody can tell.
    bool is_alike(const Tail& other, std::uint64_t end) const;
    // Takes note of the first bytes, so that a truncation before the first `read` is found, too.
    void look();
    // It is looked at again: what comes from now on is a change of it.
    void note_empty() { empty_since_ = modified(); }
    // True if it was empty when it was looked at last, and has changed since.
    bool has_changed() const {
        return fd_ && fingerprint_.length == 0 &&
               (size() > 0 || (empty_since_ && modified() != *empty_since_));
    }

    TailPosition position() const;
    const std::string& path() const { return path_; }
    void set_path(std::string path) { path_ = std::move(path); }
    const FileId& id() const { return id_; }
    bool is_open() const { return fd_ || archive_; }
    bool is_archive() const { return archive_.has_value(); }
    int fd() const { return archive_ ? archive_->fd() : fd_.get(); }
    std::uint64_t size() const;     // of an archive: more than it can be
    std::int64_t modified() const;  // nanoseconds, by the file system's clock
    const TailCounts& counts() const { return counts_; }

  private:
    LogExtent extent(std::uint64_t end) const;
    std::string head(std::size_t length) const;
    bool was_truncated(std::uint64_t size) const;
    std::optional<TailPosition> truncation(std::uint64_t size);
    Result<Read> read_archive(std::size_t most);
    Read hand_on_lines(bool more);
    std::string_view hand_on_pieces(std::size_t whole, bool all);
    void detect_pieces(std::string_view first_bytes);
    std::string decoded(std::string_view bytes) const;
    std::optional<Pieces> state_at_end() const;
    void look_back();
    void leave_handed();
    void detect_encoding();
    bool skip_cut_line();
    void restart();
    std::string_view hand_on(std::size_t raw_length);

    std::string path_;
    FileId id_;
    Fd fd_;                           // of a file that is no archive
    std::optional<Archive> archive_;  // in place of that
    std::string archive_head_;        // its first bytes, unpacked
    Encoding wanted_ = Encoding::automatic;
    Encoding encoding_ = Encoding::automatic;  // automatic: not known before the first bytes
    std::size_t line_limit_ = 65536;
    std::uint64_t offset_ = 0;  // of the end of `raw_` in the file
    std::string raw_;           // read, not handed on
    std::string raw_before_;    // what the last `read` but one handed on
    std::size_t handed_ = 0;    // bytes of raw_ that the last `read` handed on
    std::string decoded_, decoded_before_;
    std::string lines_;             // decoded, before their pieces are joined
    std::optional<Pieces> pieces_;  // of a log that has some
    bool holds_pieces_ = false;
    bool skipping_ = false;
    bool took_nothing_ = false;  // of what `ahead` promised
    Fingerprint fingerprint_;
    // When an empty file had last changed: nanoseconds, by the file system's clock.
    std::optional<std::int64_t> empty_since_;
    TailCounts counts_;
};

}  // namespace bandd
