// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"

#include <algorithm>
#include <utility>

namespace bandd {

unsigned threads_of(const Config& config) {
    return config.matchers == 0 ? std::min(processors(), automatic_matchers)
                                : static_cast<unsigned>(config.matchers);
}

ParallelScan::ParallelScan(unsigned threads, const ScanCounts& counts)
    : workers_(std::make_unique<Workers>(std::max(threads, 1U))), pieces_(1) {
    pieces_[0].scratch.counts = counts;
}

void ParallelScan::begin(const Ruleset& ruleset, const Chunk& chunk, Instant now) {
    // More pieces than threads, as some have more hits than others.
    std::size_t wanted = workers_->threads() == 1
                             ? 1
                             : std::clamp<std::size_t>(chunk.bytes.size() / smallest_piece, 1,
                                                       std::size_t{workers_->threads()} * 4);
    if (pieces_.size() < wanted) pieces_.resize(wanted);
    used_ = 0;
    for (std::string_view rest = chunk.bytes; !rest.empty();) {
        std::size_t left = wanted - used_;
        std::size_t size = rest.size();
        if (left > 1)
            if (auto end = rest.find('\n', rest.size() / left); end != std::string_view::npos)
                size = end + 1;
        pieces_[used_++].bytes = rest.substr(0, size);
        rest.remove_prefix(size);
    }
    auto scan_piece = [this, &ruleset, now, source = chunk.source,
                       sender = chunk.sender](std::size_t index) {
        Piece& piece = pieces_[index];
        piece.hits.clear();
        bandd::scan(ruleset, Chunk{source, piece.bytes, sender}, now, piece.scratch, piece.hits);
    };
    if (used_ > 1)
        workers_->begin(used_, scan_piece);
    else if (used_ == 1)
        scan_piece(0);
}

void ParallelScan::finish(HitPieces& hits) {
    if (used_ > 1) workers_->finish();
    if (hits.size() < used_) hits.resize(used_);
    for (std::size_t i = 0; i < used_; ++i) std::swap(hits[i], pieces_[i].hits);
    for (std::size_t i = used_; i < hits.size(); ++i) hits[i].clear();
    used_ = 0;
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
