// SPDX-License-Identifier: GPL-2.0-or-later
// A pattern as a program that finds its captures by walking over the text. RE2 needs two passes or
// more for patterns whose middle is ambiguous, and most are. The program means exactly what RE2
// does (leftmost, then in the order of the alternatives). What it cannot say, or would take too
// long over, is left to RE2. An example: "^(.*) from (\d+)$" becomes
//
//   save 0        begin of the whole match     text " from "
//   begin                                      save 4, run \d (at least 1), save 5
//   save 2        begin of group 1             end
//   greedy_run .                               save 1
//   save 3        end of group 1               accept
//
// "greedy_run" takes all bytes, then goes back to the last place at which " from " may begin: each
// instruction knows the set of bytes that what follows it may begin with, so that a walk hardly
// ever takes a wrong way. "run" never goes back, as what follows it begins with none of its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bandd {

class CaptureProgram {
  public:
    // Empty if RE2 should do it: if the syntax is not known exactly, if a loop is over what may
    // match the empty text, or if the program would have more than `most_instructions`.
    static std::optional<CaptureProgram> compile(std::string_view regex, bool dot_nl);

    enum class Outcome { match, no_match, gave_up };
    // A match anywhere in `text`. `groups` takes the whole match and then the groups, as many as it
    // has room for; a group that took no part has no data. Gives up if going back and forth takes
    // more than some eight steps for each byte, so that no line costs much more than RE2 would.
    Outcome run(std::string_view text, std::span<std::string_view> groups) const;

    // True if the text's first byte already tells that it does not match.
    bool fails_at_once(std::string_view text) const {
        if (!from_begin_) return false;
        return text.empty() ? !may_be_empty_ : !sets_[first_].has(text.front());
    }
    // True if it matches at the text's begin or nowhere. `fails_at_once` then rules most texts out.
    bool anchored() const { return from_begin_; }

    // How many: the whole match, and the pattern's groups.
    std::size_t groups() const { return groups_; }

    static constexpr std::size_t most_instructions = 1500;

  private:
    friend class CaptureCompiler;
    friend struct CaptureWalk;

    enum class Op : std::uint8_t {
        text,         // these bytes
        folded_text,  // these bytes, in either case
        one,          // a byte of the set
        run,         // as many bytes of the set as there are; what follows begins with none of them
        greedy_run,  // the same; if what follows fails, one byte less, and so on
        lazy_run,    // as few bytes of the set as possible; if what follows fails, one byte more
        host,        // if an IPv4 address that can only end in one place is here: go to `other`
        choice,      // try the next instruction; if that fails, `other`
        jump,        // go to `other`
        save,        // keep the position as the begin (even `value`) or end of a group
        begin,
        end,
        boundary,
        no_boundary,
        accept,
    };
    struct Bytes {
        // Some sets are searched for eight bytes at a time.
        enum class Shape : std::uint8_t { any, digits, all_but_one };
        std::array<std::uint64_t, 4> words{};
        Shape shape = Shape::any;
        char missing = 0;  // the one, of all_but_one
        bool has(char c) const {
            auto byte = static_cast<unsigned char>(c);
            return (words[byte / 64] >> byte % 64 & 1) != 0;
        }
    };
    static constexpr std::uint16_t no_limit = UINT16_MAX;
    // Sets are by their number. After an instruction the next one follows, if its `op` does not say
    // otherwise.
    struct Instruction {
        Op op = Op::accept;
        bool next_at_end = true;  // what follows may match where the text ends
        bool other_at_end = true;
        bool once = false;             // of save and host: on every way, so it is never undone
        std::uint16_t next_first = 0;  // the set of bytes that what follows may begin with
        std::uint16_t other = 0;
        // The same for `other`. Of a lazy run: the bytes of its set that what follows it cannot
        // begin with.
        std::uint16_t other_first = 0;
        std::uint16_t value = 0;  // a set, where a text begins in texts_, or a group's end
        std::uint16_t least = 0;  // bytes of a run or a text
        std::uint16_t most = no_limit;
    };

    std::vector<Instruction> code_;  // a walk begins with the first
    std::vector<Bytes> sets_;
    std::string texts_;
    std::size_t groups_ = 1;
    bool from_begin_ = false;
    std::uint16_t first_ = 0;  // the set of bytes that a match may begin with
    bool may_be_empty_ = false;
    // The byte that every match begins with; empty if there are several.
    std::optional<int> only_first_;
};

}  // namespace bandd
