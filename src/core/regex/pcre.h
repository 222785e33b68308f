// SPDX-License-Identifier: GPL-2.0-or-later
// PCRE2, for what RE2 cannot do: look-around and back-references of imported patterns. It can take
// exponential time, so every search is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace bandd {

// Memory that a search needs: one for each thread, good for every pattern. Made by the first
// search.
class PcreScratch {
  public:
    PcreScratch();
    ~PcreScratch();
    PcreScratch(PcreScratch&&) noexcept;
    PcreScratch& operator=(PcreScratch&&) noexcept;

  private:
    friend class Pcre;
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

class Pcre {
  public:
    // What one search may do before it is given up, which counts as no match: far more than any
    // honest line needs. PCRE2's own limits begin anew at each byte at which a match may begin: a
    // line of 52 KB can take ten seconds within them. So a search has a time, too; it is looked at
    // now and then, so that one may take twice as long.
    static constexpr std::uint32_t match_limit = 250'000;  // 5 to 40 ms, by what a step does
    static constexpr std::uint32_t depth_limit = 20'000;
    static constexpr std::uint32_t heap_limit_kib = 4096;
    static constexpr double longest_search = 0.02;  // seconds of the thread's processor time
    // How the thread's processor time is told, in seconds. Without it, only the other limits hold.
    // Called once, before threads are started.
    static void measure_with(double (*thread_seconds)());

    // Bytes, not characters, as everywhere here. The error has no place.
    static Result<Pcre> compile(std::string_view pattern);

    enum class Outcome { no_match, match, gave_up };
    // A match anywhere in `text`, and its groups, the whole match first; a group that took no part
    // has no data. From any thread, each with a scratch of its own.
    Outcome search(std::string_view text, std::vector<std::string_view>& groups,
                   PcreScratch& scratch) const;

    const std::vector<std::pair<std::string, int>>& names() const { return names_; }
    int group_count() const { return group_count_; }

  private:
    struct Free {
        void operator()(void* code) const;
    };
    std::unique_ptr<void, Free> code_;
    std::vector<std::pair<std::string, int>> names_;
    int group_count_ = 0;
};

}  // namespace bandd
