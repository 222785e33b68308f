// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "os/clock.h"

namespace bandd {

unsigned threads_of(const Config& config) {
    return config.matchers == 0 ? std::min(processors(), automatic_matchers)
                                : static_cast<unsigned>(config.matchers);
}

ParallelScan::ParallelScan(unsigned threads, const ScanCounts& counts)
    : scratches_(std::max(threads, 1U)),
      workers_(std::make_unique<Workers>(std::max(threads, 1U))) {
    scratches_[0].counts = counts;
    // So many that nobody has to wait while one is decided.
    constexpr std::size_t for_each_thread = 4;
    pieces_.resize(threads <= 1 ? 1 : threads * for_each_thread);
}

ParallelScan::ParallelScan(const Config& config, const ScanCounts& counts)
    : ParallelScan(threads_of(config), counts) {
    if (config.matchers == 0 && threads() > 1) trial_.emplace();
}

void ParallelScan::begin(const Ruleset& ruleset, const Readable& what, Instant now) {
    workers_->stop();
    ruleset_ = &ruleset;
    now_ = now;
    const auto* chunk = std::get_if<Chunk>(&what);
    const auto* part = std::get_if<FilePart>(&what);
    chunk_ = chunk != nullptr ? *chunk : Chunk{};
    part_ = part != nullptr ? std::optional(*part) : std::nullopt;
    // Less than was offered, so that a trial is short.
    if (part_ && trial_ && trial_->is_trying())
        part_->size = std::min(part_->size, HelpTrial::bytes_a_turn);
    begin_pieces(chunk != nullptr ? chunk->bytes.size() : part_->size);
}

void ParallelScan::begin_pieces(std::size_t bytes) {
    count_ = bytes == 0 ? 0 : std::max<std::size_t>(bytes / piece_size, 1);
    handed_ = 0;
    stage_ = Stage::scanned;
    read_ = 0;
    left_.clear();
    bool alone = trial_ && count_ > 1 && !trial_->with_help();
    // Alone, one text stays in the processor's cache.
    ring_ = alone ? 1 : pieces_.size();
    if (trial_) begun_ = stopwatch();
    workers_->begin(
        count_, ring_, [this](std::size_t index, unsigned thread) { scan_piece(index, thread); },
        alone);
}

// What was decided meanwhile, and who had to wait for whom, is part of how long it took.
void ParallelScan::end_pieces() {
    workers_->stop();
    bool could_help = trial_ && count_ > 1;
    if (could_help) trial_->took(part_ ? read_ : chunk_.bytes.size(), stopwatch() - begun_);
    count_ = handed_ = 0;
}

void ParallelScan::scan_piece(std::size_t index, unsigned thread) {
    Piece& one = piece(index);
    if (part_)
        read_piece(one, index);
    else
        cut_piece(one, index);
    one.hits.clear();
    if (!one.lines.empty())
        bandd::scan(*ruleset_, Chunk{chunk_.source, one.lines, chunk_.sender}, now_,
                    scratches_[thread], one.hits);
}

// Where a piece begins, of so many bytes.
std::size_t ParallelScan::begin_of_piece(std::size_t bytes, std::size_t index) const {
    return static_cast<std::size_t>(std::uint64_t{bytes} * index / count_);
}

// The lines that begin in it.
void ParallelScan::cut_piece(Piece& piece, std::size_t index) const {
    std::string_view all = chunk_.bytes;
    auto begin_of = [&](std::size_t i) {
        if (i == 0) return std::size_t{0};
        if (i == count_) return all.size();
        auto end = all.find('\n', begin_of_piece(all.size(), i) - 1);
        return end == std::string_view::npos ? all.size() : end + 1;
    };
    std::size_t begin = begin_of(index);
    piece.lines = all.substr(begin, begin_of(index + 1) - begin);
}

// The lines that both begin and end in it.
void ParallelScan::read_piece(Piece& piece, std::size_t index) const {
    std::size_t from = begin_of_piece(part_->size, index);
    piece.size = begin_of_piece(part_->size, index + 1) - from;
    piece.got = 0;
    bool first = index == 0;
    std::size_t begun = first ? part_->begun.size() : 0;
    piece.text.resize_and_overwrite(begun + piece.size, [&](char* to, std::size_t) {
        if (begun > 0) std::memcpy(to, part_->begun.data(), begun);
        while (piece.got < piece.size) {
            ssize_t got = pread(part_->fd, to + begun + piece.got, piece.size - piece.got,
                                static_cast<off_t>(part_->offset + from + piece.got));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            piece.got += static_cast<std::size_t>(got);
        }
        return begun + piece.got;
    });
    std::string_view whole = piece.text;
    auto last = whole.rfind('\n');
    std::size_t begin = first ? 0 : whole.find('\n') + 1;
    piece.lines =
        last == std::string_view::npos ? std::string_view{} : whole.substr(begin, last + 1 - begin);
}

// The line that was begun in what was read before and ends in this piece.
std::optional<std::string_view> ParallelScan::seam_before(const Piece& piece) {
    bool first = handed_ == 0;
    const std::string& text = piece.text;
    auto end = text.find('\n');
    read_ += piece.got;
    if (end == std::string::npos) {
        left_ += text;
        return {};
    }
    if (!first) seam_.assign(left_).append(text, 0, end + 1);
    left_.assign(text, text.rfind('\n') + 1);
    if (first) return {};
    return seam_;
}

std::optional<std::string_view> ParallelScan::next(Hits& hits) {
    hits.clear();
    for (; handed_ < count_; stage_ = Stage::scanned) {
        Piece& one = piece(handed_);
        if (stage_ == Stage::scanned) {
            workers_->wait_for(handed_);
            stage_ = Stage::seam;
            if (part_)
                if (auto line = seam_before(one)) {
                    bandd::scan(*ruleset_, Chunk{chunk_.source, *line, chunk_.sender}, now_,
                                scratches_[0], hits);
                    return line;
                }
        }
        if (stage_ == Stage::seam && !one.lines.empty()) {
            stage_ = Stage::lines;
            std::swap(hits, one.hits);
            return one.lines;
        }
        ++handed_;
        bool truncated = part_ && one.got < one.size;
        if (truncated) {
            workers_->stop();  // others look at how many pieces there are
            count_ = handed_;
        } else {
            workers_->raise_limit(handed_ + ring_);  // which fill this one again
        }
    }
    end_pieces();
    return {};
}

void ParallelScan::give_back() {
    workers_->stop();
    auto forget = [](auto& memory) { std::remove_reference_t<decltype(memory)>().swap(memory); };
    for (Piece& one : pieces_) {
        one.hits = Hits();
        forget(one.text);
    }
    forget(seam_);
    forget(left_);
}

ScanCounts ParallelScan::counts() const {
    ScanCounts sum;
    for (const Scratch& scratch : scratches_) sum += scratch.counts;
    return sum;
}

}  // namespace bandd
