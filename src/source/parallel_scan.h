// SPDX-License-Identifier: GPL-2.0-or-later
// `scan` on several threads: a large chunk is cut at line ends, its pieces are scanned at one time,
// and their hits come in the order of the lines, as if one thread had scanned it.
#pragma once

#include <array>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "config/types.h"
#include "core/match/scanner.h"
#include "os/workers.h"
#include "source/tail.h"

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
    // What a single thread scans at a time, so that its hits are decided while they and their lines
    // are in the processor's own cache.
    static constexpr std::size_t piece_of_one = 64 << 10;
    // `counts` so far, of one that this replaces.
    explicit ParallelScan(unsigned threads, const ScanCounts& counts = {});

    // Begins to scan a chunk; the caller has something else to do meanwhile. `finish` puts its hits
    // in place of what `hits` held: all in all the order of the lines. They point into the chunk.
    // By turns; ruleset and chunk must live as long.
    void begin(const Ruleset& ruleset, const Chunk& chunk, Instant now);
    void finish(HitPieces& hits);
    // The same with a part of a file that the threads read, too, each its own share: what one has
    // read another would have to fetch from it, which takes half as long as to scan it. The hits
    // point into memory that is good until the `begin` after the next.
    void begin(const Ruleset& ruleset, const FilePart& part, Instant now);
    struct HasRead {
        std::size_t bytes = 0;        // fewer than there were to read if the file was truncated
        std::string_view left;        // behind the last line end; good until the next `begin`
        std::string_view last_lines;  // some of the last ones that were scanned; as the hits
    };
    HasRead finish_part(HitPieces& hits);
    // How much the caller hands over at a time.
    std::size_t scan_size() const {
        return threads() == 1 ? piece_of_one : std::numeric_limits<std::size_t>::max();
    }
    void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, HitPieces& hits) {
        begin(ruleset, chunk, now);
        finish(hits);
    }

    // Gives back what a backlog took, once it is read. Nothing may be running.
    void give_back();

    ScanCounts counts() const;
    unsigned threads() const { return workers_->threads(); }

  private:
    struct Piece {
        Scratch scratch;
        std::string_view bytes;  // whole lines
        Hits hits;
        // Of a part of a file; by turns, so that hits of the one before stay good.
        struct Share {
            std::string text;  // what was read, behind what was begun before
            std::string seam;  // the line that begins in a share before this one and ends in it
        };
        std::array<Share, 2> shares;
        std::uint64_t offset = 0;
        std::size_t size = 0, got = 0;
        Hits seam_hits;
    };
    static void read_share(Piece& piece, std::string& text, const FilePart& part, bool first);
    std::size_t pieces_for(std::size_t bytes) const;

    std::unique_ptr<Workers> workers_;
    std::deque<Piece> pieces_;  // where they are, short texts are, too
    std::size_t used_ = 0;      // of them, by the chunk that is scanned
    // Of a part of a file: which of the shares, what its seams are scanned with, what is left.
    std::size_t turn_ = 0;
    const Ruleset* ruleset_ = nullptr;
    Instant now_;
    Scratch seam_scratch_;
    std::string left_;
};

}  // namespace bandd
