// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/parallel_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
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

// More than threads, as some have more hits than others.
std::size_t ParallelScan::pieces_for(std::size_t bytes) const {
    if (workers_->threads() == 1) return 1;
    return std::clamp<std::size_t>(bytes / smallest_piece, 1, std::size_t{workers_->threads()} * 8);
}

void ParallelScan::begin(const Ruleset& ruleset, const Chunk& chunk, Instant now) {
    std::size_t wanted = pieces_for(chunk.bytes.size());
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

// Of the lines that both begin and end in it, `bytes` tells the place.
void ParallelScan::read_share(Piece& piece, std::string& text, const FilePart& part, bool first) {
    std::size_t begun = first ? part.begun.size() : 0;
    piece.got = 0;
    text.resize_and_overwrite(begun + piece.size, [&](char* to, std::size_t) {
        if (begun > 0) std::memcpy(to, part.begun.data(), begun);
        while (piece.got < piece.size) {
            ssize_t got = pread(part.fd, to + begun + piece.got, piece.size - piece.got,
                                static_cast<off_t>(piece.offset + piece.got));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            piece.got += static_cast<std::size_t>(got);
        }
        return begun + piece.got;
    });
    std::string_view whole = text;
    auto last = whole.rfind('\n');
    std::size_t begin = first ? 0 : whole.find('\n') + 1;
    piece.bytes =
        last == std::string_view::npos ? std::string_view{} : whole.substr(begin, last + 1 - begin);
}

void ParallelScan::begin(const Ruleset& ruleset, const FilePart& part, Instant now) {
    used_ = pieces_for(part.size);
    if (pieces_.size() < used_) pieces_.resize(used_);
    turn_ = 1 - turn_;
    ruleset_ = &ruleset;
    now_ = now;
    for (std::size_t i = 0; i < used_; ++i) {
        std::uint64_t from = part.size * i / used_;
        pieces_[i].offset = part.offset + from;
        pieces_[i].size = part.size * (i + 1) / used_ - from;
    }
    workers_->begin(used_, [this, part](std::size_t index) {
        Piece& piece = pieces_[index];
        piece.hits.clear();
        read_share(piece, piece.shares[turn_].text, part, index == 0);
        if (!piece.bytes.empty())
            bandd::scan(*ruleset_, Chunk{0, piece.bytes, {}}, now_, piece.scratch, piece.hits);
    });
}

ParallelScan::HasRead ParallelScan::finish_part(HitPieces& hits) {
    workers_->finish();
    HasRead read;
    left_.clear();
    if (hits.size() < 2 * used_) hits.resize(2 * used_);
    for (Hits& piece : hits) piece.clear();
    for (std::size_t i = 0; i < used_; ++i) {
        Piece& piece = pieces_[i];
        auto& [text, seam] = piece.shares[turn_];
        auto end = text.find('\n');
        if (i > 0 && end != std::string::npos) {
            seam.assign(left_).append(text, 0, end + 1);
            piece.seam_hits.clear();
            bandd::scan(*ruleset_, Chunk{0, seam, {}}, now_, seam_scratch_, piece.seam_hits);
            std::swap(hits[2 * i], piece.seam_hits);
            read.last_lines = seam;
        }
        if (end == std::string::npos)
            left_ += text;
        else
            left_.assign(text, text.rfind('\n') + 1);
        std::swap(hits[2 * i + 1], piece.hits);
        if (!piece.bytes.empty()) read.last_lines = piece.bytes;
        read.bytes += piece.got;
        if (piece.got < piece.size) break;
    }
    used_ = 0;
    read.left = left_;
    return read;
}

void ParallelScan::give_back() {
    auto forget = [](auto& memory) { std::remove_reference_t<decltype(memory)>().swap(memory); };
    for (Piece& piece : pieces_) {
        for (Piece::Share& share : piece.shares) {
            forget(share.text);
            forget(share.seam);
        }
        piece.hits = Hits();
        piece.seam_hits = Hits();
    }
    forget(left_);
}

ScanCounts ParallelScan::counts() const {
    ScanCounts sum;
    auto add = [&sum](const ScanCounts& counts) {
        sum.lines += counts.lines;
        sum.candidates += counts.candidates;
        sum.hits += counts.hits;
        sum.ignored += counts.ignored;
        sum.no_address += counts.no_address;
        sum.undated += counts.undated;
        sum.cut += counts.cut;
        sum.set_failures += counts.set_failures;
        sum.gave_up += counts.gave_up;
    };
    for (const Piece& piece : pieces_) add(piece.scratch.counts);
    add(seam_scratch_.counts);
    return sum;
}

}  // namespace bandd
