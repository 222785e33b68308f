// SPDX-License-Identifier: GPL-2.0-or-later
// A pattern as a program that takes its captures by walking: RE2 needs two passes and more for
// patterns whose middle is ambiguous, which are most. It means exactly what RE2 does (leftmost,
// then in the order of the alternatives); what it cannot say, or would take too long over, is
// RE2's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/match/syntax.h"

namespace bandd {

class CaptureProgram {
  public:
    // Nothing if RE2 should do it: syntax that is not known exactly, loops over what may match
    // nothing, or a program of more than `most_instructions`.
    static std::optional<CaptureProgram> compile(std::string_view regex, bool dot_nl);

    enum class Outcome { match, no_match, gave_up };
    // A match anywhere in `text`. `groups` is for the whole match and then the groups, as many as
    // are asked for; unset ones have no data. Gives up where going back and forth takes more than a
    // few looks at each byte, so that no line costs much more than RE2 would.
    Outcome run(std::string_view text, std::span<std::string_view> groups) const;

    // Seen from the first byte: it does not match.
    bool fails_at_once(std::string_view text) const {
        if (!from_begin_) return false;
        return text.empty() ? !may_be_empty_
                            : !sets_[first_][static_cast<unsigned char>(text.front())];
    }
    // It matches at the text's begin or nowhere: most texts are told apart at once.
    bool anchored() const { return from_begin_; }

    static constexpr std::size_t most_instructions = 1500;

  private:
    friend class CaptureCompiler;
    friend struct CaptureWalk;

    enum class Op : std::uint8_t {
        text,         // these bytes
        folded_text,  // these bytes, in either case
        one,          // a byte of `set`
        run,          // as many bytes of `set` as there are: what follows begins with none of them
        greedy_run,   // the same, then fewer, as long as what follows fails
        lazy_run,     // as few bytes of `set` as will do
        choice,       // go on at `next`, then at `other`
        save,         // the position is `index` of the groups' ends
        begin,
        end,
        boundary,
        no_boundary,
        accept,
    };
    static constexpr std::uint32_t no_limit = UINT32_MAX;
    struct Instruction {
        Op op = Op::accept;
        bool next_at_end = true;  // what is at `next` may match where the text ends
        bool other_at_end = true;
        std::uint16_t next = 0, other = 0;
        std::uint16_t set = 0;
        std::uint16_t next_first = 0, other_first = 0;  // sets: bytes that these may begin with
        std::uint32_t index = 0;                        // of the text, or of a group's end
        std::uint32_t least = 0, most = no_limit;       // of a run; `least` is a text's length, too
    };

    std::vector<Instruction> code_;
    std::vector<syntax::ByteSet> sets_;
    std::string texts_;
    std::size_t groups_ = 1;  // the whole match, too
    std::uint16_t start_ = 0;
    bool from_begin_ = false;
    std::uint16_t first_ = 0;  // set
    bool may_be_empty_ = false;
    std::optional<int> only_first_;  // the one byte that it can begin with
};

}  // namespace bandd
