// SPDX-License-Identifier: GPL-2.0-or-later
// Finds many literals in a chunk at once, by Vectorscan. Where that is not built in (CMake option
// BANDD_VECTORSCAN) or does not run on this processor there is no search, and every line is looked
// at: the hits are the same. Searches of our own were not worth their lines: Wu and Manber's saved
// 2 to 15 % of looking at every line, and one by AVX2 was 7 % faster than Vectorscan with 55
// literals, but slower with 200.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/prefilter/literals.h"

namespace bandd {

// A literal by its number, and where in the text it ends.
struct LiteralHit {
    std::uint32_t literal = 0;
    std::uint32_t end = 0;
};

// The library's own form of a set of literals.
struct LiteralDatabase;

// Memory that a search needs; one for each thread, good for every LiteralScan.
class LiteralScratch {
  public:
    LiteralScratch();
    ~LiteralScratch();
    LiteralScratch(LiteralScratch&&) noexcept;
    LiteralScratch& operator=(LiteralScratch&&) noexcept;

  private:
    friend class LiteralScan;
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

class LiteralScan {
  public:
    // `literals` must not be empty, nor any of them. Null if there is no search.
    static std::unique_ptr<const LiteralScan> make(std::span<const Literal> literals);

    // Appends every place where a literal is, in any order. At most 4 GiB of text. From any thread.
    // False: the text could not be searched, and every line must be looked at.
    bool find(std::string_view text, LiteralScratch& scratch, std::vector<LiteralHit>& hits) const;

  private:
    explicit LiteralScan(std::shared_ptr<const LiteralDatabase> database)
        : database_(std::move(database)) {}

    std::shared_ptr<const LiteralDatabase> database_;
};

}  // namespace bandd
