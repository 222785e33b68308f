// SPDX-License-Identifier: GPL-2.0-or-later
// The lines of a chunk that are worth a look: those that hold a text of the prefilter's gate.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/match/ruleset.h"
#include "core/prefilter/literal_scan.h"

namespace bandd {

struct Candidates {
    struct Line {
        std::uint32_t begin = 0, end = 0;  // bytes of the chunk, without the line end
    };
    std::vector<Line> lines;            // in order
    std::vector<std::uint64_t> checks;  // of each line, the set of checks that may match it

    // What the search works with; kept, so that nothing is allocated from chunk to chunk.
    LiteralScratch literals;
    std::vector<LiteralHit> found;
    std::vector<std::uint64_t> opened;
};

// False if the chunk could not be searched: then every line is to be looked at. The ruleset has a
// gate.
bool find_candidates(const Ruleset& ruleset, std::string_view chunk, Candidates& candidates);

}  // namespace bandd
