// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/regex/capture_program.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/ascii.h"
#include "core/base/eight_bytes.h"

namespace bandd {

namespace {

constexpr std::size_t most_ends = 128;  // two for each of 64 groups
constexpr std::uint32_t unset = UINT32_MAX;

// Where to go on if what was chosen fails, or (`undo`) what a group's end was before. It has no
// initial values, as a walk would spend most of its time on them.
struct Retry {
    std::uint32_t instruction;  // or `undo` plus the end's number
    std::uint32_t at;
    std::uint32_t limit;  // of a run: how far it may go, back or forth
};
constexpr std::uint32_t undo = 1U << 31;
constexpr std::size_t most_retries = 256;

// A walk may take so many steps before it leaves the text to RE2. An instruction is one, and so is
// each byte that it looks at: a match that never goes back takes less than two for a byte.
constexpr std::int64_t steps_for_each_byte = 8;
constexpr std::int64_t steps_at_least = 1024;

template <class Word>
Word word_at(const char* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// Texts are short, so that the call of memcmp would be half of the work.
bool same_bytes(const char* left, const char* right, std::size_t size) {
    if (size >= 8) {
        std::size_t last = size - 8;
        for (std::size_t at = 0; at < last; at += 8)
            if (word_at<std::uint64_t>(left + at) != word_at<std::uint64_t>(right + at))
                return false;
        return word_at<std::uint64_t>(left + last) == word_at<std::uint64_t>(right + last);
    }
    if (size >= 4)
        return word_at<std::uint32_t>(left) == word_at<std::uint32_t>(right) &&
               word_at<std::uint32_t>(left + size - 4) == word_at<std::uint32_t>(right + size - 4);
    for (std::size_t at = 0; at < size; ++at)
        if (left[at] != right[at]) return false;
    return true;
}

constexpr std::uint64_t fourth_byte = std::uint64_t{0x80} << 24;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

// One walk over a text. A struct so that starting at another place costs nothing.
struct CaptureWalk {
    using Op = CaptureProgram::Op;
    using Instruction = CaptureProgram::Instruction;
    using Outcome = CaptureProgram::Outcome;
    using Bytes = CaptureProgram::Bytes;

    const CaptureProgram& program;
    std::string_view text;
    std::array<std::uint32_t, most_ends> ends;
    std::array<Retry, most_retries> retries;  // written before they are read
    std::size_t depth = 0;                    // of these

    CaptureWalk(const CaptureProgram& of, std::string_view over) : program(of), text(over) {}

    bool among(std::uint16_t set, std::uint32_t at) const {
        return program.sets_[set].has(text[at]);
    }
    bool may_go_on(std::uint16_t first, bool at_end, std::uint32_t at) const {
        return at < text.size() ? among(first, at) : at_end;
    }
    bool next_may(const Instruction& now, std::uint32_t at) const {
        return may_go_on(now.next_first, now.next_at_end, at);
    }
    bool at_boundary(std::uint32_t at) const {
        bool before = at > 0 && is_word(text[at - 1]);
        bool after = at < text.size() && is_word(text[at]);
        return before != after;
    }
    std::uint32_t limit_of(const Instruction& run, std::uint32_t at) const {
        auto size = static_cast<std::uint32_t>(text.size());
        return run.most != CaptureProgram::no_limit && run.most < size - at ? at + run.most : size;
    }
    // How far bytes of the set go.
    std::uint32_t end_of(const Bytes& set, std::uint32_t at, std::uint32_t limit) const {
        if (set.shape == Bytes::Shape::digits) {
            for (; limit - at >= 8; at += 8)
                if (std::uint64_t others = non_digits(eight_at(text.data() + at)); others != 0)
                    return at + first_marked(others);
        } else if (set.shape == Bytes::Shape::all_but_one) {
            std::uint64_t missing = every_byte * static_cast<unsigned char>(set.missing);
            for (; limit - at >= 8; at += 8)
                if (std::uint64_t found = first_zeros(eight_at(text.data() + at) ^ missing);
                    found != 0)
                    return at + first_marked(found);
        }
        while (at < limit && set.has(text[at])) ++at;
        return at;
    }
    std::uint32_t end_of_run(const Instruction& run, std::uint32_t at) const {
        std::uint32_t limit = limit_of(run, at);
        return end_of(program.sets_[run.value], at, limit);
    }
    bool same_folded(const Instruction& wanted, std::uint32_t at) const {
        if (text.size() - at < wanted.least) return false;
        for (std::uint32_t i = 0; i < wanted.least; ++i)
            if (ascii_lower(text[at + i]) != program.texts_[wanted.value + i]) return false;
        return true;
    }

    // Where four numbers of one to three digits, which begin at `at`, end; `at` if there is
    // something else.
    std::uint32_t end_of_quad(std::uint32_t at) const {
        const auto size = static_cast<std::uint32_t>(text.size());
        std::uint32_t to = at;
        for (int number = 0; number < 4; ++number) {
            if (number > 0 && (to == size || text[to++] != '.')) return at;
            std::uint32_t digits = 0;
            if (size - to >= 8) {
                std::uint64_t others = non_digits(eight_at(text.data() + to)) | fourth_byte;
                digits = first_marked(others);
            } else {
                while (digits < 3 && digits < size - to && is_digit(text[to + digits])) ++digits;
            }
            if (digits == 0) return at;
            to += digits;
        }
        return to;
    }
    // A quad that ends here cannot be read in another way: no digit, no zone, and no bracket that
    // belongs to it.
    bool ends_host(const Instruction& host, std::uint32_t end) const {
        if (end == text.size()) return true;
        char c = text[end];
        return !is_digit(c) && c != '%' && (c != ']' || !next_may(host, end + 1));
    }

    // False if it would have to go back to too many places.
    bool note(const Retry& retry) {
        if (depth == most_retries) return false;
        retries[depth++] = retry;
        return true;
    }
    bool put_end(std::uint32_t end, std::uint32_t at, bool once) {
        if (depth > 0 && !once && !note({undo + end, ends[end], 0})) return false;
        ends[end] = at;
        return true;
    }
    bool put_ends(const Instruction& group, std::uint32_t begin, std::uint32_t end) {
        return put_end(group.value, begin, group.once) &&
               put_end(group.value + 1U, end, group.once);
    }

    // A match that begins at `at`, with nothing to go back to; takes the steps off `left`. What the
    // loop works with is never passed by reference, so that it stays in registers.
    Outcome from(std::uint32_t at, std::int64_t& left) {
        const Instruction* code = program.code_.data();
        const auto size = static_cast<std::uint32_t>(text.size());
        std::int64_t steps = left;
        std::uint32_t pc = 0;
        while (true) {
            const Instruction& now = code[pc++];
            --steps;
            switch (now.op) {
                case Op::text:
                    steps -= now.least;
                    if (size - at < now.least ||
                        !same_bytes(text.data() + at, program.texts_.data() + now.value, now.least))
                        break;
                    at += now.least;
                    continue;
                case Op::folded_text:
                    steps -= now.least;
                    if (!same_folded(now, at)) break;
                    at += now.least;
                    continue;
                case Op::one:
                    if (at == size || !among(now.value, at)) break;
                    ++at;
                    continue;
                case Op::run: {
                    std::uint32_t end = end_of_run(now, at);
                    steps -= end - at;
                    if (end - at < now.least) break;
                    at = end;
                    continue;
                }
                case Op::greedy_run: {
                    std::uint32_t end = end_of_run(now, at);
                    steps -= end - at;
                    if (end - at < now.least) break;
                    Place place = shortened(now, end, at + now.least);
                    steps -= end - place.at;
                    if (!place.found) break;
                    if (place.at > at + now.least && !note({pc - 1, place.at - 1, at + now.least}))
                        return Outcome::gave_up;
                    at = place.at;
                    continue;
                }
                case Op::lazy_run: {
                    std::uint32_t limit = limit_of(now, at);
                    Place place = shortest(now, at, limit);
                    steps -= place.at - at;
                    if (!place.found) break;
                    if (place.at < limit && !note({pc - 1, place.at, limit}))
                        return Outcome::gave_up;
                    at = place.at;
                    continue;
                }
                case Op::host: {
                    std::uint32_t end = end_of_quad(at);
                    steps -= end - at;
                    if (end == at || !ends_host(now, end)) continue;
                    if (!put_ends(now, at, end)) return Outcome::gave_up;
                    at = end;
                    pc = now.other;
                    continue;
                }
                case Op::choice: {
                    bool other = may_go_on(now.other_first, now.other_at_end, at);
                    if (!next_may(now, at)) {
                        if (!other) break;
                        pc = now.other;
                        continue;
                    }
                    if (other && !note({pc - 1, at, 0})) return Outcome::gave_up;
                    continue;
                }
                case Op::jump:
                    pc = now.other;
                    continue;
                case Op::save:
                    if (!put_end(now.value, at, now.once)) return Outcome::gave_up;
                    continue;
                case Op::begin:
                    if (at != 0) break;
                    continue;
                case Op::end:
                    if (at != size) break;
                    continue;
                case Op::boundary:
                case Op::no_boundary:
                    if (at_boundary(at) != (now.op == Op::boundary)) break;
                    continue;
                case Op::accept:
                    return Outcome::match;
            }
            Resume resume = go_back();
            steps -= resume.steps;
            if (steps < 0) return Outcome::gave_up;
            if (!resume.found) return left = steps, Outcome::no_match;
            pc = resume.pc;
            at = resume.at;
        }
    }

    struct Place {
        std::uint32_t at;
        bool found;
    };
    // From `end` down to the first place from which it may go on; not below `low`.
    Place shortened(const Instruction& run, std::uint32_t end, std::uint32_t low) const {
        while (true) {
            if (next_may(run, end)) return {end, true};
            if (end == low) return {end, false};
            --end;
        }
    }
    // From `stop` up to the first place from which it may go on, over bytes of the run's set.
    Place lengthened(const Instruction& run, std::uint32_t stop, std::uint32_t limit) const {
        stop = end_of(program.sets_[run.other_first], stop, limit);
        return {stop, next_may(run, stop)};
    }

    // The first place from which it may go on after the least bytes of a run that begins at `at`.
    Place shortest(const Instruction& run, std::uint32_t at, std::uint32_t limit) const {
        std::uint32_t stop = at;
        while (stop - at < run.least && stop < text.size() && among(run.value, stop)) ++stop;
        if (stop - at < run.least) return {stop, false};
        return lengthened(run, stop, limit);
    }

    struct Resume {
        bool found;
        std::uint32_t pc, at;
        std::int64_t steps;  // that it took to find
    };
    // To the last place from which there is another way.
    Resume go_back() {
        std::int64_t steps = 0;
        while (depth > 0) {
            ++steps;
            Retry& retry = retries[depth - 1];
            if ((retry.instruction & undo) != 0) {
                ends[retry.instruction - undo] = retry.at;
                --depth;
                continue;
            }
            const Instruction& last = program.code_[retry.instruction];
            if (last.op == Op::choice) {
                --depth;
                return {true, last.other, retry.at, steps};
            }
            bool greedy = last.op == Op::greedy_run;
            Place place{retry.at, false};
            if (greedy)
                place = shortened(last, retry.at, retry.limit);
            else if (among(last.value, retry.at))
                place = lengthened(last, retry.at + 1, retry.limit);
            steps += greedy ? retry.at - place.at : place.at - retry.at;
            bool more = place.found && place.at != retry.limit;
            retry.at = greedy ? place.at - 1 : place.at;
            std::uint32_t next = retry.instruction + 1;
            if (!more) --depth;
            if (place.found) return {true, next, place.at, steps};
        }
        return {false, 0, 0, steps};
    }
};

CaptureProgram::Outcome CaptureProgram::run(std::string_view text,
                                            std::span<std::string_view> groups) const {
    if (text.size() >= undo || groups_ * 2 > most_ends) return Outcome::gave_up;
    CaptureWalk walk(*this, text);
    std::int64_t left =
        steps_at_least + steps_for_each_byte * static_cast<std::int64_t>(text.size());
    const auto size = static_cast<std::uint32_t>(text.size());
    const std::uint32_t last = from_begin_ ? 0 : size;
    for (std::uint32_t at = 0; at <= last; ++at) {
        if (only_first_ && !from_begin_) {
            if (at == size) return Outcome::no_match;
            const void* next = std::memchr(text.data() + at, *only_first_, size - at);
            if (next == nullptr) return Outcome::no_match;
            at = static_cast<std::uint32_t>(static_cast<const char*>(next) - text.data());
        } else if (!walk.may_go_on(first_, may_be_empty_, at)) {
            continue;
        }
        std::fill_n(walk.ends.begin(), groups_ * 2, unset);
        walk.depth = 0;
        Outcome outcome = walk.from(at, left);
        if (outcome == Outcome::no_match) continue;
        if (outcome == Outcome::gave_up) return outcome;
        for (std::size_t i = 0; i < groups.size(); ++i) {
            groups[i] = {};
            if (i >= groups_) continue;
            std::uint32_t begin = walk.ends[2 * i];
            std::uint32_t end = walk.ends[2 * i + 1];
            if (begin != unset && end != unset) groups[i] = text.substr(begin, end - begin);
        }
        return outcome;
    }
    return Outcome::no_match;
}

}  // namespace bandd
