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

class ParallelScan {
  public:
    // A piece that is smaller costs more to hand over than to scan.
    static constexpr std::size_t smallest_piece = 32 << 10;
    // `counts` so far, of one that this replaces.
    explicit ParallelScan(unsigned threads, const ScanCounts& counts = {});

    // Begins to scan a chunk; the caller has something else to do meanwhile. `finish` appends its
    // hits, which point into the chunk. By turns; ruleset and chunk must live as long.
    void begin(const Ruleset& ruleset, const Chunk& chunk, Instant now);
    void finish(std::vector<Hit>& hits);
    void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, std::vector<Hit>& hits) {
        begin(ruleset, chunk, now);
        finish(hits);
    }

    ScanCounts counts() const;
    unsigned threads() const { return workers_->threads(); }

  private:
    struct Piece {
        Scratch scratch;
        std::string_view bytes;
        std::vector<Hit> hits;
    };
    std::unique_ptr<Workers> workers_;
    std::vector<Piece> pieces_;
    std::size_t used_ = 0;  // of them, by the chunk that is scanned
};

}  // namespace bandd
