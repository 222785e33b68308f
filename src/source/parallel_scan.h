// SPDX-License-Identifier: GPL-2.0-or-later
// `scan` on several threads: a large chunk is cut at line ends, its pieces are scanned at one time,
// and their hits come in the order of the lines, as if one thread had scanned it.
#pragma once

#include <memory>
#include <vector>

#include "config/types.h"
#include "core/match/scanner.h"
#include "os/workers.h"

namespace bandd {

// As the configuration says, or the machine.
unsigned threads_of(const Config& config);

// Hits of the pieces of a chunk, one after the other. They are exchanged for those of the chunk
// before, whose memory is then given back where it came from: on the threads that scan.
using HitPieces = std::vector<Hits>;

class ParallelScan {
  public:
    // A piece that is smaller costs more to hand over than to scan.
    static constexpr std::size_t smallest_piece = 32 << 10;
    // `counts` so far, of one that this replaces.
    explicit ParallelScan(unsigned threads, const ScanCounts& counts = {});

    // Begins to scan a chunk; the caller has something else to do meanwhile. `finish` puts its hits
    // in place of what `hits` held: all in all the order of the lines. They point into the chunk.
    // By turns; ruleset and chunk must live as long.
    void begin(const Ruleset& ruleset, const Chunk& chunk, Instant now);
    void finish(HitPieces& hits);
    void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, HitPieces& hits) {
        begin(ruleset, chunk, now);
        finish(hits);
    }

    ScanCounts counts() const;
    unsigned threads() const { return workers_->threads(); }

  private:
    struct Piece {
        Scratch scratch;
        std::string_view bytes;
        Hits hits;
    };
    std::unique_ptr<Workers> workers_;
    std::vector<Piece> pieces_;
    std::size_t used_ = 0;  // of them, by the chunk that is scanned
};

}  // namespace bandd
