// SPDX-License-Identifier: GPL-2.0-or-later
// A regex that is compiled when it is first needed: for RE2, and as a program of our own. Most
// patterns never need it, as nobody attacks that service, and their programs leave RE2 nothing to
// do; to compile them all would be half of a start.
#pragma once

#include <re2/re2.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/regex/capture_program.h"

namespace bandd {

// More groups than this in one pattern are refused; the whole match counts as one.
inline constexpr std::size_t most_groups = 64;

class LazyRegex {
  public:
    LazyRegex(std::string regex, const RE2::Options& options)
        : regex_(std::move(regex)), options_(options) {}
    LazyRegex(const LazyRegex&) = delete;
    LazyRegex& operator=(const LazyRegex&) = delete;

    struct Outline {
        std::size_t groups = 1;                          // the whole match, too
        std::vector<std::pair<std::string, int>> names;  // of groups, sorted
    };
    // Empty if RE2 refuses the regex: then `re2` says why. What our own parser knows exactly is not
    // compiled for that, unless it might be too large.
    std::optional<Outline> outline() const;

    // A match anywhere in `text`, and its groups, the whole match first; as many as `groups` has,
    // at most `most_groups`. A group that took no part has no data. From any thread, as the rest.
    bool search(std::string_view text, std::span<std::string_view> groups) const;

    // If RE2 refuses the regex, ok() is false.
    const RE2& re2() const;
    // Finds what `re2` finds, but sooner. Null if the regex has no program, or if bandd was built
    // without them (CMake option BANDD_CAPTURES).
    const CaptureProgram* program() const {
        if (const CaptureProgram* ready = ready_.load(std::memory_order_acquire)) return ready;
        return make_program();
    }

  private:
    const CaptureProgram* make_program() const;

    std::string regex_;
    RE2::Options options_;
    mutable std::once_flag re2_once_, program_once_;
    mutable std::optional<RE2> re2_;
    mutable std::optional<CaptureProgram> program_;
    // Once it is there: every line asks for it, and std::call_once is a call.
    mutable std::atomic<const CaptureProgram*> ready_ = nullptr;
};

// The same pattern, but so that RE2 20220601 (Debian 12's) keeps its letters beyond ASCII: of
// alternatives that begin alike it reads the common beginning as UTF-8, though told that bytes are
// Latin-1, and then "Ungültiger|Ungültiges" matches neither.
std::string for_re2(std::string_view regex);

}  // namespace bandd
