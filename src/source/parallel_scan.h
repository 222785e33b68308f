// SPDX-License-Identifier: GPL-2.0-or-later
// `scan` on several threads: lines are cut into pieces, which are scanned at one time, and their
// hits come in the order of the lines, as if one thread had scanned them. While the caller decides
// those of one piece, the others are scanned.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "config/types.h"
#include "core/match/scanner.h"
#include "os/workers.h"
#include "source/help_trial.h"
#include "source/lines.h"

namespace bandd {

// As the configuration says, or the machine.
unsigned threads_of(const Config& config);

class ParallelScan {
  public:
    // With its hits, a piece stays in the processor's own cache until it is decided.
    static constexpr std::size_t piece_size = 64 << 10;
    // `counts` so far, of one that this replaces.
    explicit ParallelScan(unsigned threads, const ScanCounts& counts = {});
    // As `threads_of` says; `matchers: auto` has the others help while that pays.
    explicit ParallelScan(const Config& config, const ScanCounts& counts = {});

    // Begins to scan. Ruleset and lines must live until all of it was had from `next`, or the next
    // `begin`. Of a part of a file each thread reads its own share, too: what one has read another
    // would have to fetch from it, which takes half as long as to scan it.
    void begin(const Ruleset& ruleset, const Readable& what, Instant now);
    // The next lines, with their hits in place of what `hits` held; nothing once there are no more.
    // Both are good until the next call, those of a chunk as long as the chunk.
    std::optional<std::string_view> next(Hits& hits);
    // Of a part of a file, once `next` is through with it; `left` is good until the next `begin`.
    PartRead has_read() const { return {.bytes = read_, .left = left_}; }

    // Gives back what a backlog took, once it is read.
    void give_back();

    ScanCounts counts() const;
    unsigned threads() const { return workers_->threads(); }

  private:
    struct Piece {
        std::string_view lines;  // whole ones
        Hits hits;
        // Of a part of a file.
        std::string text;  // what was begun before, then what was read
        std::size_t size = 0, got = 0;
    };
    // How far the piece that is handed on next has come.
    enum class Stage { scanned, seam, lines };

    void begin_pieces(std::size_t bytes);
    void end_pieces();
    Piece& piece(std::size_t index) { return pieces_[index % ring_]; }
    void scan_piece(std::size_t index, unsigned thread);
    std::size_t begin_of_piece(std::size_t bytes, std::size_t index) const;
    void cut_piece(Piece& piece, std::size_t index) const;
    void read_piece(Piece& piece, std::size_t index) const;
    std::optional<std::string_view> seam_before(const Piece& piece);

    std::deque<Scratch> scratches_;  // of each thread
    std::deque<Piece> pieces_;       // a ring; where they are, short texts are, too
    std::size_t ring_ = 1;           // so many of them are used
    std::optional<HelpTrial> trial_;
    double begun_ = 0;        // by the stopwatch
    std::size_t count_ = 0;   // pieces of what is scanned
    std::size_t handed_ = 0;  // of them, those that are done with
    Stage stage_ = Stage::scanned;
    const Ruleset* ruleset_ = nullptr;
    Instant now_;
    Chunk chunk_;  // without lines, if it is a part of a file
    std::optional<FilePart> part_;
    std::size_t read_ = 0;
    std::string seam_;  // the line that begins in a piece before and ends in this one
    std::string left_;
    std::unique_ptr<Workers> workers_;  // ended first: they work on all of this
};

}  // namespace bandd
