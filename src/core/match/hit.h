// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/instant.h"
#include "core/match/filter.h"

namespace bandd {

using JailIndex = std::uint16_t;

// A filter, and the jails that want its hits.
struct Rule {
    std::shared_ptr<const Filter> filter;
    std::vector<JailIndex> jails;
};

// A line that a filter calls an attack. `line` is a view into its chunk, `rule` and `pattern` point
// into the ruleset: a hit lives for one turn. A flood's hits go from one processor to another, and
// most of them are decided by the first half alone, which is a cache line.
struct alignas(64) Hit {
    const Rule* rule = nullptr;
    const Pattern* pattern = nullptr;  // none: a line of a filter that looks at several at once
    Instant time;                      // as the line says
    std::string_view line;             // raw
    std::optional<Address> address;    // can come from another line, if the filter converses
    bool dated = true;                 // else `time` says nothing

    Fields fields;
    // A host name in the address's place; without a pattern, the line as the filter sees it.
    std::string text;
};
static_assert(sizeof(void*) != 8 || sizeof(Hit) == 128);

// A row of hits. Those that are cleared leave their memory to the next.
class Hits {
  public:
    // A hit of before, or a new one: all of it is for the caller to fill in.
    Hit& add() {
        if (size_ == all_.size()) all_.emplace_back();
        return all_[size_++];
    }
    void clear() { size_ = 0; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    Hit* begin() { return all_.data(); }
    Hit* end() { return all_.data() + size_; }
    const Hit* begin() const { return all_.data(); }
    const Hit* end() const { return all_.data() + size_; }
    Hit& operator[](std::size_t index) { return all_[index]; }
    const Hit& operator[](std::size_t index) const { return all_[index]; }

  private:
    std::vector<Hit> all_;
    std::size_t size_ = 0;
};

}  // namespace bandd
