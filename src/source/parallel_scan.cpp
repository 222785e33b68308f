// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"

#include <algorithm>
#include <iterator>

namespace bandd {

unsigned threads_of(const Config& config) {
    return config.matchers == 0 ? std::min(processors(), automatic_matchers)
                                : static_cast<unsigned>(config.matchers);
}

ParallelScan::ParallelScan(unsigned threads, const ScanCounts& counts)
    : workers_(std::make_unique<Workers>(std::max(threads, 1U))), pieces_(1) {
    pieces_[0].scratch.counts = counts;
}

void ParallelScan::scan(const Ruleset& ruleset, const Chunk& chunk, Instant now,
                        std::vector<Hit>& hits) {
    // More pieces than threads, as some have more hits than others.
    std::size_t wanted = std::min<std::size_t>(chunk.bytes.size() / smallest_piece,
                                               std::size_t{workers_->threads()} * 4);
    if (workers_->threads() == 1 || wanted <= 1)
        return bandd::scan(ruleset, chunk, now, pieces_[0].scratch, hits);
    if (pieces_.size() < wanted) pieces_.resize(wanted);
    std::size_t used = 0;
    for (std::string_view rest = chunk.bytes; !rest.empty();) {
        std::size_t left = wanted - used;
        std::size_t size = rest.size();
        if (left > 1)
            if (auto end = rest.find('\n', rest.size() / left); end != std::string_view::npos)
                size = end + 1;
        pieces_[used++].bytes = rest.substr(0, size);
        rest.remove_prefix(size);
    }
    workers_->run(used, [&](std::size_t index) {
        Piece& piece = pieces_[index];
        piece.hits.clear();
        bandd::scan(ruleset, Chunk{chunk.source, piece.bytes, chunk.sender}, now, piece.scratch,
                    piece.hits);
    });
    for (std::size_t i = 0; i < used; ++i)
        hits.insert(hits.end(), std::make_move_iterator(pieces_[i].hits.begin()),
                    std::make_move_iterator(pieces_[i].hits.end()));
}

ScanCounts ParallelScan::counts() const {
    ScanCounts sum;
    for (const Piece& piece : pieces_) {
        const ScanCounts& counts = piece.scratch.counts;
        sum.lines += counts.lines;
        sum.candidates += counts.candidates;
        sum.hits += counts.hits;
        sum.ignored += counts.ignored;
        sum.no_address += counts.no_address;
        sum.undated += counts.undated;
        sum.cut += counts.cut;
        sum.set_failures += counts.set_failures;
        sum.gave_up += counts.gave_up;
    }
    return sum;
}

}  // namespace bandd
