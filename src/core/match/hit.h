// SPDX-License-Identifier: GPL-2.0-or-later
// What scanning finds in a chunk: lines that are an attack, and lines that may be one together with
// others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
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
// into the ruleset (neither is null): a hit lives for one turn. A flood's hits go from one
// processor to another, and most of them are decided by the first half alone, which is a cache
// line.
struct alignas(64) Hit {
    const Rule* rule = nullptr;
    const Pattern* pattern = nullptr;  // that matched
    Instant time;                      // as the line says
    std::string_view line;             // raw
    std::optional<Address> address;    // can come from another line, if the filter converses
    bool dated = true;                 // false: `time` says nothing
    std::uint16_t times = 1;           // so many hits it stands for

    Fields fields;
    std::string name;  // a host name in the address's place; empty if there is none
};
static_assert(sizeof(void*) != 8 || sizeof(Hit) == 128);

// The field of a hit that tells the process, of filters whose sessions are processes.
inline constexpr const char* process_field = "pid";

// A line of a filter that looks at several at once (maxlines): the engine joins it to those before
// it (core/decide/conversation), and only then it may be a hit. It lives as long as a hit does.
struct LineToJoin {
    const Rule* rule = nullptr;
    Instant time;                 // as the line says
    bool dated = true;            // false: `time` says nothing
    std::string_view line;        // raw
    std::string text;             // the line as the filter sees it
    std::size_t hits_before = 0;  // so many hits of its row come before it
};

// A line with the tag of a filter and a text of one of its patterns, and that none of them matches.
struct Miss {
    const Rule* rule = nullptr;
    const Pattern* pattern = nullptr;  // the first one with such a text
    std::string_view line;             // raw
};

// A row of hits, and of lines to join. Those that are cleared leave their memory to the next.
class Hits {
  public:
    // A hit that was cleared, or a new one: all of it is for the caller to fill in.
    Hit& add() { return next_of(all_, size_); }
    // The same; only `hits_before` is filled in.
    LineToJoin& add_line() {
        LineToJoin& line = next_of(lines_, line_count_);
        line.hits_before = size_;
        return line;
    }
    // Only the first ones are kept.
    static constexpr std::size_t most_misses = 32;
    void add_miss(const Miss& miss) {
        if (miss_count_ < most_misses) misses_[miss_count_++] = miss;
    }
    void clear() { size_ = line_count_ = miss_count_ = 0; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    Hit* begin() { return all_.data(); }
    Hit* end() { return all_.data() + size_; }
    const Hit* begin() const { return all_.data(); }
    const Hit* end() const { return all_.data() + size_; }
    Hit& operator[](std::size_t index) { return all_[index]; }
    const Hit& operator[](std::size_t index) const { return all_[index]; }
    std::span<LineToJoin> lines() { return {lines_.data(), line_count_}; }
    std::span<const LineToJoin> lines() const { return {lines_.data(), line_count_}; }
    std::span<const Miss> misses() const { return {misses_.data(), miss_count_}; }

  private:
    template <class T>
    static T& next_of(std::vector<T>& row, std::size_t& used) {
        if (used == row.size()) row.emplace_back();
        return row[used++];
    }

    std::vector<Hit> all_;
    std::size_t size_ = 0;
    std::vector<LineToJoin> lines_;
    std::size_t line_count_ = 0;
    std::array<Miss, most_misses> misses_{};
    std::size_t miss_count_ = 0;
};

}  // namespace bandd
