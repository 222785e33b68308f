// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/capture_program.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/ascii.h"

namespace bandd {

using syntax::ByteSet;
using syntax::Kind;
using syntax::Node;

// From the end to the beginning, so that each part knows what follows it.
class CaptureCompiler {
  public:
    bool whole(const Node& tree, CaptureProgram& program) {
        program_ = &program;
        Follow nothing;
        nothing.first = ~ByteSet{};
        nothing.at_end = nothing.always = true;
        Part end = save(1, {add({}), nothing});
        Part all = node(tree, end);
        Part begin = save(0, all);
        if (failed_) return false;
        program.start_ = begin.at;
        program.groups_ = static_cast<std::size_t>(groups_) + 1;
        program.from_begin_ = requires_begin(tree);
        program.first_ = set_of(all.follow.first);
        program.may_be_empty_ = all.follow.at_end;
        if (all.follow.first.count() == 1 && !program.may_be_empty_) {
            int only = 0;
            while (!all.follow.first.test(static_cast<std::size_t>(only))) ++only;
            program.only_first_ = only;
        }
        return true;
    }

  private:
    using Op = CaptureProgram::Op;
    using Instruction = CaptureProgram::Instruction;

    // What may come where a part begins. All are upper bounds but `always`.
    struct Follow {
        ByteSet first;
        bool at_end = false;  // it may match where the text ends
        bool always = false;  // it matches whatever comes
    };
    struct Part {
        std::uint16_t at = 0;
        Follow follow;
    };

    std::uint16_t add(const Instruction& instruction) {
        if (program_->code_.size() >= CaptureProgram::most_instructions) {
            failed_ = true;
            return 0;
        }
        program_->code_.push_back(instruction);
        return static_cast<std::uint16_t>(program_->code_.size() - 1);
    }

    std::uint16_t set_of(const ByteSet& set) {
        std::vector<ByteSet>& sets = program_->sets_;
        auto known = std::ranges::find(sets, set);
        if (known == sets.end()) known = sets.insert(sets.end(), set);
        return static_cast<std::uint16_t>(known - sets.begin());
    }

    static Instruction leading_to(Op op, const Part& next) {
        Instruction made;
        made.op = op;
        made.next = next.at;
        return made;
    }

    // What does not move on hands on what follows, as far as it is known.
    Part mark(Op op, std::uint32_t index, Part next) {
        Instruction made = leading_to(op, next);
        made.index = index;
        next.at = add(made);
        return next;
    }
    Part save(int index, const Part& next) {
        return mark(Op::save, static_cast<std::uint32_t>(index), next);
    }

    Part node(const Node& node, Part next) {
        if (failed_) return next;
        if (node.group == 0) return content(node, std::move(next));
        groups_ = std::max(groups_, node.group);
        next = save(2 * node.group + 1, next);
        return save(2 * node.group, content(node, std::move(next)));
    }

    Part content(const Node& node, Part next) {
        switch (node.kind) {
            case Kind::bytes:
            case Kind::concat:
                return sequence(node, std::move(next));
            case Kind::alternate:
                return alternate(node, next);
            case Kind::repeat:
                return repeat(node, std::move(next));
            case Kind::begin:
            case Kind::end:
            case Kind::boundary:
                return condition(node, std::move(next));
            case Kind::host:
                break;
        }
        failed_ = true;
        return next;
    }

    Part condition(const Node& node, Part next) {
        Op op = node.kind == Kind::begin ? Op::begin
                : node.kind == Kind::end ? Op::end
                : node.negative          ? Op::no_boundary
                                         : Op::boundary;
        next = mark(op, 0, next);
        next.follow.always = false;
        if (op == Op::end) next.follow.first.reset();
        return next;
    }

    // A byte, or a letter in both cases.
    struct Letter {
        char byte = 0;
        bool folded = false;
    };
    static std::optional<Letter> letter_of(const Node& node) {
        if (node.kind != Kind::bytes || node.group != 0) return {};
        std::size_t count = node.set.count();
        if (count == 0 || count > 2) return {};
        std::size_t low = 0;
        while (!node.set.test(low)) ++low;
        if (count == 1) return Letter{static_cast<char>(low), false};
        if (low < 'A' || low > 'Z' || !node.set.test(low + 32)) return {};
        return Letter{static_cast<char>(low + 32), true};
    }
    static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

    static void flatten(const Node& node, std::vector<const Node*>& parts) {
        if (node.kind != Kind::concat) {
            parts.push_back(&node);
            return;
        }
        for (const Node& child : node.children)
            if (child.group == 0)
                flatten(child, parts);
            else
                parts.push_back(&child);
    }

    Part sequence(const Node& whole, Part next) {
        std::vector<const Node*> parts;
        flatten(whole, parts);
        std::string backwards;
        bool folded = false;
        auto end_text = [&] {
            if (!backwards.empty())
                next = text({backwards.rbegin(), backwards.rend()}, folded, std::move(next));
            backwards.clear();
            folded = false;
        };
        for (auto it = parts.rbegin(); it != parts.rend() && !failed_; ++it) {
            const Node& part = **it;
            auto letter = letter_of(part);
            // The node itself was asked for without its group.
            if (&part == &whole && part.kind == Kind::bytes) letter = letter_of(ungrouped(part));
            if (letter) {
                // Within a text that is compared in both cases, all letters have both.
                bool single_case = !letter->folded && is_letter(letter->byte);
                bool has_letters = std::ranges::any_of(backwards, is_letter);
                if (!backwards.empty() &&
                    ((folded && single_case) || (!folded && letter->folded && has_letters)))
                    end_text();
                folded = folded || letter->folded;
                backwards += letter->byte;
                continue;
            }
            end_text();
            next = part.kind == Kind::bytes && (part.group == 0 || &part == &whole)
                       ? one(part, std::move(next))
                       : node(part, std::move(next));
        }
        end_text();
        return next;
    }
    static Node ungrouped(const Node& node) {
        Node copy = node;
        copy.group = 0;
        return copy;
    }

    Part text(const std::string& bytes, bool folded, const Part& next) {
        Instruction made = leading_to(folded ? Op::folded_text : Op::text, next);
        made.index = static_cast<std::uint32_t>(program_->texts_.size());
        made.least = static_cast<std::uint32_t>(bytes.size());
        program_->texts_ += bytes;
        Part part{add(made), {}};
        auto first = static_cast<unsigned char>(bytes.front());
        part.follow.first.set(first);
        if (folded && is_letter(bytes.front())) part.follow.first.set(first - 32U);
        return part;
    }

    Part one(const Node& node, const Part& next) {
        Instruction made = leading_to(Op::one, next);
        made.set = set_of(node.set);
        return {add(made), {node.set, false, false}};
    }

    Part choice(const Part& preferred, const Part& other) {
        Instruction made = leading_to(Op::choice, preferred);
        made.other = other.at;
        made.next_first = set_of(preferred.follow.first);
        made.next_at_end = preferred.follow.at_end;
        made.other_first = set_of(other.follow.first);
        made.other_at_end = other.follow.at_end;
        return {add(made),
                {preferred.follow.first | other.follow.first,
                 preferred.follow.at_end || other.follow.at_end, false}};
    }

    Part alternate(const Node& whole, const Part& next) {
        std::optional<Part> made;
        for (auto it = whole.children.rbegin(); it != whole.children.rend(); ++it) {
            Part part = node(*it, next);
            if (failed_) return next;
            made = made ? choice(part, *made) : part;
        }
        return made.value_or(next);
    }

    Part repeat(const Node& whole, Part next) {
        const Node& body = whole.children[0];
        if (whole.most == 0) return next;
        if (body.kind == Kind::bytes && body.group == 0) return run(whole, body.set, next);
        if (whole.most != 1 && syntax::nullable(body)) {
            failed_ = true;
            return next;
        }
        auto either = [&](const Part& more, const Part& enough) {
            return whole.lazy ? choice(enough, more) : choice(more, enough);
        };
        if (whole.most == Node::unlimited) {
            std::uint16_t loop = add({});
            Part again{loop, next.follow};
            again.follow.first |= syntax::first_bytes(body);
            again.follow.always = false;
            Part once = node(body, again);
            if (failed_) return next;
            Part made = either(once, next);
            program_->code_[loop] = program_->code_[made.at];
            next = whole.least > 0 ? once : made;
        } else {
            Part enough = next;
            for (int count = whole.least; count < whole.most && !failed_; ++count)
                next = either(node(body, next), enough);
        }
        for (int count = whole.most == Node::unlimited ? 1 : 0; count < whole.least && !failed_;
             ++count)
            next = node(body, next);
        return next;
    }

    Part run(const Node& whole, const ByteSet& set, const Part& next) {
        Instruction made = leading_to(Op::run, next);
        made.set = set_of(set);
        made.least = static_cast<std::uint32_t>(whole.least);
        if (whole.most != Node::unlimited) made.most = static_cast<std::uint32_t>(whole.most);
        made.next_first = set_of(next.follow.first);
        made.next_at_end = next.follow.at_end;
        bool one_length = (set & next.follow.first).none() || whole.least == whole.most;
        if (next.follow.always && whole.lazy) {
            made.most = made.least;
        } else if (!next.follow.always && !one_length) {
            made.op = whole.lazy ? Op::lazy_run : Op::greedy_run;
        }
        Follow follow{set, false, false};
        if (whole.least == 0) {
            follow = next.follow;
            follow.first |= set;
        }
        return {add(made), follow};
    }

    static bool requires_begin(const Node& node) {
        switch (node.kind) {
            case Kind::begin:
                return true;
            case Kind::concat:
                for (const Node& child : node.children) {
                    if (requires_begin(child)) return true;
                    if (child.kind != Kind::boundary &&
                        !(child.kind == Kind::concat && child.children.empty()))
                        return false;
                }
                return false;
            case Kind::alternate:
                return std::ranges::all_of(node.children, requires_begin);
            case Kind::repeat:
                return node.least > 0 && requires_begin(node.children[0]);
            default:
                return false;
        }
    }

    CaptureProgram* program_ = nullptr;
    bool failed_ = false;
    int groups_ = 0;
};

std::optional<CaptureProgram> CaptureProgram::compile(std::string_view regex, bool dot_nl) {
    auto tree = syntax::parse(regex, syntax::Language::exact, dot_nl);
    if (!tree) return {};
    CaptureProgram program;
    if (!CaptureCompiler().whole(*tree, program)) return {};
    return program;
}

namespace {

constexpr std::size_t most_ends = 128;  // two for each of 64 groups
constexpr std::uint32_t unset = UINT32_MAX;

// Where to go on if what was chosen fails, or (`undo`) what a group's end was before. Without
// initial values: a walk would spend most of its time on them.
struct Retry {
    std::uint32_t instruction;  // or `undo` plus the end's index
    std::uint32_t at;
    std::uint32_t limit;  // of a run: how far it may go, back or forth
};
constexpr std::uint32_t undo = 1U << 31;
constexpr std::size_t most_retries = 256;

// A walk may look at bytes so often before it leaves the text to RE2: a match that never goes back
// looks at each once.
constexpr std::int64_t looks_at_each_byte = 8;
constexpr std::int64_t looks_at_least = 1024;

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

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

// One walk over a text. A struct so that starting at another place costs nothing.
struct CaptureWalk {
    using Op = CaptureProgram::Op;
    using Instruction = CaptureProgram::Instruction;
    using Outcome = CaptureProgram::Outcome;

    const CaptureProgram& program;
    std::string_view text;
    std::int64_t left;  // of looks at bytes
    std::array<std::uint32_t, most_ends> ends;
    std::array<Retry, most_retries> retries;  // written before they are read

    CaptureWalk(const CaptureProgram& of, std::string_view over)
        : program(of),
          text(over),
          left(looks_at_least + looks_at_each_byte * static_cast<std::int64_t>(over.size())) {}

    bool among(std::uint16_t set, std::uint32_t at) const {
        return program.sets_[set][static_cast<unsigned char>(text[at])];
    }
    bool may_go_on(std::uint16_t first, bool at_end, std::uint32_t at) const {
        return at < text.size() ? among(first, at) : at_end;
    }
    bool at_boundary(std::uint32_t at) const {
        bool before = at > 0 && is_word(text[at - 1]);
        bool behind = at < text.size() && is_word(text[at]);
        return before != behind;
    }
    // How far a run goes from `at`: `most` bytes at the most.
    std::uint32_t end_of_run(const Instruction& run, std::uint32_t at) const {
        auto size = static_cast<std::uint32_t>(text.size());
        std::uint32_t limit = run.most < size - at ? at + run.most : size;
        const ByteSet& set = program.sets_[run.set];
        while (at < limit && set[static_cast<unsigned char>(text[at])]) ++at;
        return at;
    }
    bool same_folded(const Instruction& wanted, std::uint32_t at) const {
        for (std::uint32_t i = 0; i < wanted.least; ++i)
            if (ascii_lower(text[at + i]) != program.texts_[wanted.index + i]) return false;
        return true;
    }

    Outcome from(std::uint32_t at) {
        const Instruction* code = program.code_.data();
        const auto size = static_cast<std::uint32_t>(text.size());
        std::size_t depth = 0;
        std::uint32_t pc = program.start_;
        while (true) {
            const Instruction& now = code[pc];
            switch (now.op) {
                case Op::text:
                    if (size - at < now.least ||
                        !same_bytes(text.data() + at, program.texts_.data() + now.index, now.least))
                        break;
                    at += now.least;
                    pc = now.next;
                    continue;
                case Op::folded_text:
                    if (size - at < now.least || !same_folded(now, at)) break;
                    at += now.least;
                    pc = now.next;
                    continue;
                case Op::one:
                    if (at == size || !among(now.set, at)) break;
                    ++at;
                    pc = now.next;
                    continue;
                case Op::run: {
                    std::uint32_t end = end_of_run(now, at);
                    left -= end - at;
                    if (end - at < now.least) break;
                    at = end;
                    pc = now.next;
                    continue;
                }
                case Op::greedy_run: {
                    std::uint32_t end = end_of_run(now, at);
                    left -= end - at;
                    if (end - at < now.least) break;
                    std::uint32_t low = at + now.least;
                    if (!shorten(now, end, low)) break;
                    if (end > low) {
                        if (depth == most_retries) return Outcome::gave_up;
                        retries[depth++] = {pc, end - 1, low};
                    }
                    at = end;
                    pc = now.next;
                    continue;
                }
                case Op::lazy_run: {
                    std::uint32_t limit = now.most < size - at ? at + now.most : size;
                    std::uint32_t stop = at;
                    while (stop - at < now.least && stop < size && among(now.set, stop)) ++stop;
                    if (stop - at < now.least || !lengthen(now, stop, limit)) break;
                    if (stop < limit) {
                        if (depth == most_retries) return Outcome::gave_up;
                        retries[depth++] = {pc, stop, limit};
                    }
                    at = stop;
                    pc = now.next;
                    continue;
                }
                case Op::choice: {
                    bool other = may_go_on(now.other_first, now.other_at_end, at);
                    if (!may_go_on(now.next_first, now.next_at_end, at)) {
                        if (!other) break;
                        pc = now.other;
                        continue;
                    }
                    if (other) {
                        if (depth == most_retries) return Outcome::gave_up;
                        retries[depth++] = {pc, at, 0};
                    }
                    pc = now.next;
                    continue;
                }
                case Op::save:
                    if (depth > 0) {
                        if (depth == most_retries) return Outcome::gave_up;
                        retries[depth++] = {undo + now.index, ends[now.index], 0};
                    }
                    ends[now.index] = at;
                    pc = now.next;
                    continue;
                case Op::begin:
                    if (at != 0) break;
                    pc = now.next;
                    continue;
                case Op::end:
                    if (at != size) break;
                    pc = now.next;
                    continue;
                case Op::boundary:
                case Op::no_boundary:
                    if (at_boundary(at) != (now.op == Op::boundary)) break;
                    pc = now.next;
                    continue;
                case Op::accept:
                    return Outcome::match;
            }
            if (!go_back(depth, pc, at)) return Outcome::no_match;
            if (left < 0) return Outcome::gave_up;
        }
    }

    // `end` down to the first place from which it may go on; not below `low`.
    bool shorten(const Instruction& run, std::uint32_t& end, std::uint32_t low) {
        std::uint32_t stop = end;
        while (!may_go_on(run.next_first, run.next_at_end, stop)) {
            if (stop == low) return false;
            --stop;
        }
        left -= end - stop;
        end = stop;
        return true;
    }
    // `stop` up to the first place from which it may go on, over bytes of the run's set.
    bool lengthen(const Instruction& run, std::uint32_t& stop, std::uint32_t limit) {
        std::uint32_t began = stop;
        while (!may_go_on(run.next_first, run.next_at_end, stop)) {
            if (stop == limit || !among(run.set, stop)) return false;
            ++stop;
        }
        left -= stop - began;
        return true;
    }

    bool go_back(std::size_t& depth, std::uint32_t& pc, std::uint32_t& at) {
        while (depth > 0) {
            --left;
            Retry& retry = retries[depth - 1];
            if ((retry.instruction & undo) != 0) {
                ends[retry.instruction - undo] = retry.at;
                --depth;
                continue;
            }
            const Instruction& last = program.code_[retry.instruction];
            if (last.op == Op::choice) {
                pc = last.other;
                at = retry.at;
                --depth;
                return true;
            }
            if (last.op == Op::greedy_run) {
                std::uint32_t end = retry.at;
                if (!shorten(last, end, retry.limit)) {
                    --depth;
                    continue;
                }
                at = end;
                pc = last.next;
                if (end > retry.limit)
                    retry.at = end - 1;
                else
                    --depth;
                return true;
            }
            std::uint32_t stop = retry.at;
            if (!among(last.set, stop) || !lengthen(last, ++stop, retry.limit)) {
                --depth;
                continue;
            }
            at = stop;
            pc = last.next;
            if (stop < retry.limit)
                retry.at = stop;
            else
                --depth;
            return true;
        }
        return false;
    }
};

CaptureProgram::Outcome CaptureProgram::run(std::string_view text,
                                            std::span<std::string_view> groups) const {
    if (text.size() >= undo || groups_ * 2 > most_ends) return Outcome::gave_up;
    CaptureWalk walk(*this, text);
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
        Outcome outcome = walk.from(at);
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
