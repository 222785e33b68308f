// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes are read to the end of what is left of the last partial line; whole lines are handed on as
// views into the same buffer. mmap is not used: a file that is truncated under a mapping is a
// SIGBUS.
#include "source/tail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace bandd {
namespace {

FileId id_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

// Of whole lines.
std::size_t begin_of_last_line(Encoding encoding, std::string_view lines) {
    lines.remove_suffix(unit_size(encoding));
    return last_line_end(encoding, lines);
}

std::string_view line_end_in(Encoding encoding) {
    if (encoding == Encoding::utf16le) return {"\n\0", 2};
    if (encoding == Encoding::utf16be) return {"\0\n", 2};
    return "\n";
}

// A piece of Docker's is of 16 KiB, and each byte may take six.
constexpr std::size_t longest_piece = 128 << 10;
// So much waits for the end of a line in pieces, beside that line.
constexpr std::size_t most_held = 1 << 20;
// Before what is read first there may be a piece of each stream.
constexpr std::size_t looked_back = 2 * longest_piece;

}  // namespace

std::optional<FileId> file_id(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return {};
    return id_of(status);
}

Result<Tail> Tail::open(const std::string& path, Encoding encoding, std::size_t line_limit) {
    std::string what = "cannot read \"" + path + "\"";
    // O_NONBLOCK: a FIFO in a log's place must not hang the loop.
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd)
        return fail_errno(what, errno == EACCES ? "give the user bandd the right to read it" : "");
    struct stat status{};
    if (fstat(fd.get(), &status) != 0) return fail_errno(what);
    if (!S_ISREG(status.st_mode)) return fail(what, "it is not a regular file");
    Tail tail;
    tail.path_ = path;
    tail.id_ = id_of(status);
    tail.fd_ = std::move(fd);
    tail.wanted_ = tail.encoding_ = encoding;
    tail.line_limit_ = line_limit;
    tail.look();
    return tail;
}

Result<Tail> Tail::open_archive(const std::string& path, Encoding encoding,
                                std::size_t line_limit) {
    auto archive = Archive::open(path);
    if (!archive) return std::unexpected(archive.error());
    struct stat status{};
    if (fstat(archive->fd(), &status) != 0) return fail_errno("cannot read \"" + path + "\"");
    auto head = bandd::archive_head(*archive, Fingerprint::longest);
    if (!head) return std::unexpected(head.error());
    archive->rewind();
    Tail tail;
    tail.path_ = path;
    tail.id_ = id_of(status);
    tail.archive_ = std::move(*archive);
    tail.archive_head_ = std::move(*head);
    tail.fingerprint_ = Fingerprint::of(tail.archive_head_);
    tail.wanted_ = tail.encoding_ = encoding;
    tail.line_limit_ = line_limit;
    return tail;
}

Tail Tail::dormant(const std::string& path, FileId id, std::uint64_t size, Encoding encoding,
                   std::size_t line_limit) {
    Tail tail;
    tail.path_ = path;
    tail.id_ = id;
    tail.wanted_ = tail.encoding_ = encoding;
    tail.line_limit_ = line_limit;
    tail.offset_ = size;
    return tail;
}

Result<> Tail::wake() {
    if (is_open()) return {};
    auto opened = open(path_, wanted_, line_limit_);
    if (!opened) return std::unexpected(opened.error());
    if (opened->id_ != id_) return fail("\"" + path_ + "\"", "is another file now");
    // It may have been noted within a line.
    FirstRead begin = bandd::find_end(opened->extent(offset_));
    opened->seek(begin.offset, begin.skipping);
    *this = std::move(*opened);
    return {};
}

std::uint64_t Tail::size() const {
    if (archive_) return UINT64_MAX;
    struct stat status{};
    int failed = fd_ ? fstat(fd_.get(), &status) : ::stat(path_.c_str(), &status);
    return failed != 0 ? offset_ : static_cast<std::uint64_t>(status.st_size);
}

std::int64_t Tail::modified() const {
    struct stat status{};
    if (!is_open() || fstat(fd(), &status) != 0) return 0;
    return status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
}

void Tail::seek(std::uint64_t offset, bool skipping) {
    offset_ = offset;
    skipping_ = skipping;
    raw_.clear();
    handed_ = 0;
    pieces_.reset();
    holds_pieces_ = false;
    detect_pieces(head(Fingerprint::longest));
    look_back();
}

std::string Tail::decoded(std::string_view bytes) const {
    Encoding encoding = encoding_;
    if (encoding == Encoding::automatic) encoding = detect_byte_order_mark(head(4)).encoding;
    std::string text;
    decode(encoding, bytes, text);
    return text;
}

void Tail::detect_pieces(std::string_view first_bytes) {
    if (pieces_) return;
    std::string text = decoded(first_bytes);
    auto mark = detect_byte_order_mark(text);
    std::string_view begin = std::string_view(text).substr(mark.length);
    if (auto format = pieces_format(begin)) pieces_.emplace(*format, line_limit_);
}

// Which lines are open after all that was read.
std::optional<Pieces> Tail::state_at_end() const {
    std::optional<Pieces> state = pieces_;
    if (state) state->look_back(decoded(std::string_view(raw_).substr(handed_)));
    return state;
}

void Tail::look_back() {
    if (!pieces_ || !fd_ || offset_ == 0) return;
    std::string before(std::min<std::uint64_t>(offset_, looked_back), '\0');
    ssize_t got =
        pread(fd_.get(), before.data(), before.size(), static_cast<off_t>(offset_ - before.size()));
    before.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    pieces_->look_back(decoded(before));
}

void Tail::go_on_from(const Tail& before, Known known) {
    std::optional<Pieces> state = before.state_at_end();
    // What was read of this one says which lines are open.
    if (!state || position().offset > looked_back) return;
    if (!pieces_) {
        if (head(Fingerprint::longest).contains('\n')) return;  // it is no such log
        pieces_.emplace(state->format(), line_limit_);
    }
    if (known == Known::all)
        pieces_->go_on_from(*state);
    else
        pieces_->look_back_to(*state);
}

void Tail::restart() {
    ++counts_.truncations;
    std::optional<Pieces> before = state_at_end();
    encoding_ = wanted_;
    fingerprint_ = {};
    empty_since_.reset();
    look();
    seek(0);
    if (!before) return;
    if (pieces_)
        pieces_->go_on_from(*before);
    else
        pieces_ = Pieces::after(*before);
}

void Tail::look() {
    if (fingerprint_.length == Fingerprint::longest || !fd_) return;
    std::int64_t changed = modified();
    std::array<char, Fingerprint::longest> head{};
    ssize_t got = pread(fd_.get(), head.data(), head.size(), 0);
    if (got == 0 && fingerprint_.length == 0 && !empty_since_) empty_since_ = changed;
    // Shorter than before: that is for `read` to find.
    if (got <= 0 || static_cast<std::uint32_t>(got) <= fingerprint_.length) return;
    // Nor does it tell what else was written to a file that was empty: see `truncation`.
    if (fingerprint_.length == 0 && empty_since_) return;
    // So is another beginning.
    if (!fingerprint_.matches({head.data(), static_cast<std::size_t>(got)}) &&
        fingerprint_.length > 0)
        return;
    fingerprint_ = Fingerprint::of({head.data(), static_cast<std::size_t>(got)});
}

// The first bytes, at most as many as a fingerprint is of.
std::string Tail::head(std::size_t length) const {
    if (archive_) return archive_head_.substr(0, length);
    std::string head(std::min<std::size_t>(length, Fingerprint::longest), '\0');
    ssize_t got = fd_ ? pread(fd_.get(), head.data(), head.size(), 0) : 0;
    head.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return head;
}

bool Tail::is_alike(const Tail& other, std::uint64_t end) const {
    constexpr std::uint64_t compared = 4096;
    if (!fd_ || !other.fd_) return true;
    std::uint64_t length = std::min(end, compared);
    std::array<std::string, 2> bytes;
    for (auto [index, fd] : {std::pair(0U, fd_.get()), std::pair(1U, other.fd_.get())}) {
        bytes[index].resize(length);
        ssize_t got = pread(fd, bytes[index].data(), length, static_cast<off_t>(end - length));
        bytes[index].resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    return bytes[0] == bytes[1];
}

bool Tail::matches(const Fingerprint& fingerprint) const {
    return fingerprint.length == 0 || fingerprint.matches(head(fingerprint.length));
}

void Tail::detect_encoding() {
    if (encoding_ != Encoding::automatic) {
        // An explicit encoding still has its mark at the beginning of the file.
        if (offset_ == raw_.size() && unit_size(encoding_) == 2) {
            auto mark = detect_byte_order_mark(raw_);
            if (mark.length == 2) raw_.erase(0, 2);
        }
        return;
    }
    std::string begin = head(4);
    if (begin.size() < 2) return;  // one byte says nothing yet
    auto mark = detect_byte_order_mark(begin);
    encoding_ = mark.encoding;
    if (offset_ == raw_.size()) raw_.erase(0, std::min(mark.length, raw_.size()));
}

std::string_view Tail::hand_on(std::size_t raw_length) {
    handed_ = raw_length;
    counts_.bytes += raw_length;
    std::string_view bytes(raw_.data(), raw_length);
    if (encoding_ == Encoding::utf8 || encoding_ == Encoding::automatic) return bytes;
    std::swap(decoded_, decoded_before_);
    decoded_.clear();
    decode(encoding_, bytes, decoded_);
    return decoded_;
}

void Tail::leave_handed() {
    if (handed_ == 0) return;
    std::swap(raw_, raw_before_);
    raw_.assign(raw_before_, handed_);
    handed_ = 0;
}

std::optional<FilePart> Tail::ahead(std::size_t most) {
    leave_handed();
    bool known = encoding_ == Encoding::utf8 && fingerprint_.length == Fingerprint::longest;
    if (!fd_ || !known || pieces_ || skipping_ || took_nothing_ || raw_.size() >= line_limit_)
        return {};
    std::uint64_t end = size();
    if (end <= offset_ || !matches(fingerprint_)) return {};
    return FilePart{fd_.get(), offset_, std::min<std::uint64_t>(most, end - offset_), raw_};
}

void Tail::took(std::size_t bytes, std::string_view left) {
    offset_ += bytes;
    counts_.bytes += raw_.size() + bytes - left.size();
    raw_.assign(left);
    took_nothing_ = bytes == 0;
}

Result<Tail::Progress> Tail::read_on(std::size_t most, bool parts, const Take& take) {
    if (parts)
        if (auto next = ahead(most)) {
            PartRead read = take(*next);
            took(read.bytes, read.left);
            return Progress{read.bytes, read.bans, true};
        }
    auto read = this->read(std::min(most, parts ? backlog_read_size : read_size));
    if (!read) return std::unexpected(read.error());
    std::size_t bans = read->bytes.empty() ? 0 : take(Chunk{0, read->bytes, {}}).bans;
    return Progress{read->bytes.size(), bans, read->more, read->truncated};
}

// Within a line that was cut: forgets what is left of it. False if its end was not read yet.
bool Tail::skip_cut_line() {
    std::size_t unit = unit_size(encoding_);
    for (std::size_t at = raw_.find('\n'); at != std::string::npos; at = raw_.find('\n', at + 1)) {
        // Line ends of UTF-16 are found at even offsets only; LE has '\n' first, BE second.
        std::size_t begin = encoding_ == Encoding::utf16be ? at - 1 : at;
        bool is_end =
            unit == 1 || (begin % 2 == 0 &&
                          last_line_end(encoding_, std::string_view(raw_).substr(begin, 2)) == 2);
        if (!is_end) continue;
        std::string_view line = std::string_view(raw_).substr(0, begin + unit);
        if (pieces_) pieces_->pass_end_of_line(decoded(line));
        raw_.erase(0, begin + unit);
        skipping_ = false;
        return true;
    }
    raw_.erase(0, raw_.size() / unit * unit);
    return false;
}

// Shrunk, or shrunk and grown past us again (copytruncate with a busy writer).
bool Tail::was_truncated(std::uint64_t size) const {
    return size < offset_ || !matches(fingerprint_);
}

bool Tail::is_truncated() const {
    if (!fd_) return false;
    std::uint64_t now = size();
    return was_truncated(now) || (fingerprint_.length == 0 && now > 0);
}

std::optional<TailPosition> Tail::truncation(std::uint64_t size) {
    if (was_truncated(size)) {
        TailPosition before = position();
        restart();
        return before;
    }
    // It was empty, and may have been filled, copied and emptied since, even more than once.
    if (fingerprint_.length == 0 && size > 0) {
        TailPosition before = position();
        empty_since_.reset();
        look();
        if (fingerprint_.length > 0) return before;
    }
    return {};
}

std::optional<TailPosition> Tail::find_truncation() {
    if (!fd_) return {};
    leave_handed();
    return truncation(size());
}

Result<Tail::Read> Tail::read(std::size_t most) {
    leave_handed();
    took_nothing_ = false;
    if (archive_) return read_archive(most);
    struct stat status{};
    if (fstat(fd_.get(), &status) != 0) return fail_errno("fstat \"" + path_ + "\"");
    auto size = static_cast<std::uint64_t>(status.st_size);
    // Its copy, if there is one, comes first: nothing of the new content is read yet.
    if (auto before = truncation(size)) return Read{{}, true, std::move(before)};

    std::size_t kept = raw_.size();
    std::size_t room = std::min<std::uint64_t>(most, size > offset_ ? size - offset_ : 0);
    if (room == 0) return Read{};
    ssize_t got = 0;
    raw_.resize_and_overwrite(kept + room, [&](char* bytes, std::size_t) {
        got = pread(fd_.get(), bytes + kept, room, static_cast<off_t>(offset_));
        return kept + static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    });
    if (got < 0) return fail_errno("read \"" + path_ + "\"");
    offset_ += static_cast<std::uint64_t>(got);
    look();
    return hand_on_lines(offset_ < size);
}

Result<Tail::Read> Tail::read_archive(std::size_t most) {
    if (archive_->unpacked() > offset_) archive_->rewind();
    std::uint64_t read_before = offset_ - archive_->unpacked();  // to be passed over
    std::size_t kept = raw_.size();
    std::size_t room = read_before > 0 ? std::min<std::uint64_t>(most, read_before) : most;
    Result<Archive::Piece> piece;
    raw_.resize_and_overwrite(kept + room, [&](char* bytes, std::size_t) {
        piece = archive_->read(bytes + kept, room);
        return kept + (piece ? piece->bytes : 0);
    });
    if (!piece) {
        counts_.cut_archives = archive_->was_cut() ? 1 : 0;
        give_up();
        return std::unexpected(piece.error());
    }
    counts_.unpacked += piece->bytes;
    if (read_before > 0) {
        raw_.resize(kept);
        return Read{{}, !piece->ended};
    }
    offset_ += piece->bytes;
    return hand_on_lines(!piece->ended);
}

void Tail::give_up() {
    offset_ -= raw_.size() - handed_;
    raw_.clear();
    handed_ = 0;
}

Tail::Read Tail::hand_on_lines(bool more) {
    detect_encoding();
    if (offset_ == raw_.size()) detect_pieces(raw_);
    if (skipping_ && !skip_cut_line()) return Read{{}, more};
    std::size_t whole = last_line_end(encoding_, raw_);
    std::size_t limit = pieces_ ? std::max(line_limit_, longest_piece) : line_limit_;
    if (whole == 0 && raw_.size() >= limit * unit_size(encoding_)) {
        ++counts_.cut_lines;
        skipping_ = true;
        return Read{hand_on(limit * unit_size(encoding_)), more};
    }
    if (pieces_) {
        bool all = raw_.size() > (most_held + line_limit_) * unit_size(encoding_);
        return Read{hand_on_pieces(whole, all), more};
    }
    return Read{hand_on(whole), more};
}

// Whole lines, with those that are in pieces joined; `all`: also such as have no end yet.
std::string_view Tail::hand_on_pieces(std::size_t whole, bool all) {
    std::string_view lines = std::string_view(raw_).substr(0, whole);
    std::swap(decoded_, decoded_before_);
    decoded_.clear();
    bool encoded = encoding_ != Encoding::utf8 && encoding_ != Encoding::automatic;
    if (encoded) {
        lines_.clear();
        decode(encoding_, lines, lines_);
        lines = lines_;
    }
    Pieces::Taken taken = all ? pieces_->take_all(lines, decoded_) : pieces_->take(lines, decoded_);
    std::string_view left = lines.substr(taken.bytes);
    handed_ = taken.bytes;
    if (encoded) {
        handed_ = whole;
        for (auto count = std::ranges::count(left, '\n'); count > 0; --count)
            handed_ = begin_of_last_line(encoding_, std::string_view(raw_).substr(0, handed_));
    }
    holds_pieces_ = handed_ < whole;
    counts_.cut_lines += taken.cut;
    counts_.bytes += handed_;
    if (!taken.as_is) return decoded_;
    if (!encoded) return lines.substr(0, taken.bytes);
    std::swap(decoded_, lines_);
    return decoded_;
}

std::string_view Tail::let_go() {
    leave_handed();
    return hand_on_pieces(last_line_end(encoding_, raw_), true);
}

std::string_view Tail::flush_partial() {
    raw_.erase(0, handed_);
    handed_ = 0;
    if (skipping_ || raw_.empty()) return {};
    if (pieces_) {
        raw_.resize(raw_.size() / unit_size(encoding_) * unit_size(encoding_));
        // The end of what is handed on, not of the file.
        if (last_line_end(encoding_, raw_) != raw_.size()) raw_ += line_end_in(encoding_);
        return hand_on_pieces(raw_.size(), true);
    }
    return hand_on(raw_.size() / unit_size(encoding_) * unit_size(encoding_));
}

TailPosition Tail::position() const {
    return {path_, id_, offset_ - (raw_.size() - handed_), skipping_, fingerprint_};
}

LogExtent Tail::extent(std::uint64_t end) const { return {fd_.get(), end, wanted_, line_limit_}; }

std::optional<Instant> Tail::find_last_date(const Zone& zone, Instant now) const {
    if (!fd_) return {};
    return bandd::find_last_date(extent(size()), zone, now);
}

FirstRead Tail::find_start(Instant since, const Zone& zone, Instant now) const {
    return bandd::find_start(extent(size()), since, zone, now);
}

FirstRead Tail::find_end() const { return bandd::find_end(extent(size())); }

}  // namespace bandd
