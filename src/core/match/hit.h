// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/instant.h"
#include "core/match/filter.h"

namespace bandd {

using JailIndex = std::uint16_t;

// A line that a filter calls an attack. `line` is a view into its chunk, `jails` and `pattern`
// point into the ruleset: a hit lives for one turn.
struct Hit {
    std::span<const JailIndex> jails;
    const Filter* filter = nullptr;
    const Pattern* pattern = nullptr;  // none: a line of a filter that looks at several at once
    Instant time;                      // as the line says; arrival, if it has no date
    Instant arrival;                   // what "now" was for this line
    std::optional<Address> address;    // can come from another line, if the filter converses
    std::string name;                  // a host name in its place
    Fields fields;
    std::string_view line;  // raw
    std::string text;       // as the filter sees it; only without a pattern
    bool dated = true;      // the line told its time
};

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
