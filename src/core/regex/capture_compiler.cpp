// SPDX-License-Identifier: GPL-2.0-or-later
// From a pattern's tree to its program; see capture_program.h.
#include <algorithm>
#include <utility>

#include "core/regex/capture_program.h"
#include "core/regex/host_regex.h"
#include "core/regex/syntax.h"

namespace bandd {

using syntax::ByteSet;
using syntax::Kind;
using syntax::Node;

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

ByteSet digits() {
    ByteSet set;
    for (std::size_t c = '0'; c <= '9'; ++c) set.set(c);
    return set;
}

std::size_t first_of(const ByteSet& set) {
    std::size_t first = 0;
    while (!set[first]) ++first;
    return first;
}

// The parts of a sequence. A sequence within it that is no group is replaced by its own parts.
void flatten(const Node& node, std::vector<const Node*>& parts) {
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

// The same but for the groups' numbers.
bool alike(const Node& left, const Node& right) {
    return left.kind == right.kind && left.set == right.set && left.least == right.least &&
           left.most == right.most && left.lazy == right.lazy && left.negative == right.negative &&
           (left.group == 0) == (right.group == 0) &&
           std::ranges::equal(left.children, right.children, alike);
}

// The parts of <HOST>, as a sequence holds them.
const std::vector<const Node*>& host_parts() {
    static const Node tree = syntax::parse(host_regex(), syntax::Language::exact).value();
    static const std::vector<const Node*> parts = [] {
        std::vector<const Node*> flat;
        flatten(tree, flat);
        return flat;
    }();
    return parts;
}

// A byte, or a letter in both cases.
struct Letter {
    char byte = 0;
    bool folded = false;
};
std::optional<Letter> letter_of(const ByteSet& set) {
    std::size_t count = set.count();
    if (count == 0 || count > 2) return {};
    std::size_t low = first_of(set);
    if (count == 1) return Letter{static_cast<char>(low), false};
    if (low < 'A' || low > 'Z' || !set.test(low + 32)) return {};
    return Letter{static_cast<char>(low + 32), true};
}

bool requires_begin(const Node& node) {
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

}  // namespace

// The program is made from the end to the beginning, so that each part knows what follows it. At
// the end the order is reversed: then the next instruction to run is mostly the next in memory.
class CaptureCompiler {
  public:
    static std::optional<CaptureProgram> compile(const Node& tree) {
        CaptureCompiler compiler;
        if (!compiler.whole(tree)) return {};
        return std::move(compiler.program_);
    }

  private:
    using Op = CaptureProgram::Op;
    using Instruction = CaptureProgram::Instruction;

    // An instruction's index among those made.
    using Place = std::uint16_t;
    struct Made {
        Instruction instruction;  // its `other` is such an index, too
        Place next = 0;
    };

    // What is known of a part and all that follows it.
    struct Follow {
        ByteSet first;        // bytes that it may begin with; perhaps some that it cannot
        bool at_end = false;  // it may match where the text ends; perhaps it cannot
        bool always = false;  // it surely matches, whatever comes
    };
    struct Part {
        Place at = 0;
        Follow follow;
    };

    bool whole(const Node& tree) {
        Follow nothing;
        nothing.first = ~ByteSet{};
        nothing.at_end = nothing.always = true;
        Part all = node(tree, save(1, {add({}, 0), nothing}));
        save(0, all);
        if (failed_) return false;
        program_.groups_ = syntax::count_groups(tree) + 1;
        program_.from_begin_ = requires_begin(tree);
        program_.first_ = set_of(all.follow.first);
        program_.may_be_empty_ = all.follow.at_end;
        if (all.follow.first.count() == 1 && !program_.may_be_empty_) {
            program_.only_first_ = static_cast<int>(first_of(all.follow.first));
        }
        turn_round();
        for (const ByteSet& set : sets_) program_.sets_.push_back(searchable(set));
        return true;
    }

    static CaptureProgram::Bytes searchable(const ByteSet& set) {
        using Shape = CaptureProgram::Bytes::Shape;
        CaptureProgram::Bytes bytes;
        const ByteSet low_word(~0ULL);
        for (std::size_t i = 0; i < bytes.words.size(); ++i)
            bytes.words[i] = (set >> 64 * i & low_word).to_ullong();
        if (set == digits()) bytes.shape = Shape::digits;
        if (set.count() == set.size() - 1) {
            bytes.shape = Shape::all_but_one;
            bytes.missing = static_cast<char>(first_of(~set));
        }
        return bytes;
    }

    void turn_round() {
        std::vector<Instruction>& code = program_.code_;
        std::vector<std::uint16_t> moved(made_.size());
        for (std::size_t at = made_.size(); at-- > 0;) {
            const auto& [instruction, next] = made_[at];
            moved[at] = static_cast<std::uint16_t>(code.size());
            code.push_back(instruction);
            if (instruction.op == Op::accept || next + 1U == at) continue;
            Instruction jump;
            jump.op = Op::jump;
            jump.other = next;
            code.push_back(jump);
        }
        for (Instruction& one : code)
            if (one.op == Op::choice || one.op == Op::jump || one.op == Op::host)
                one.other = moved[one.other];
    }

    Place add(const Instruction& instruction, Place next) {
        if (made_.size() >= CaptureProgram::most_instructions) {
            failed_ = true;
            return 0;
        }
        made_.push_back({instruction, next});
        return static_cast<Place>(made_.size() - 1);
    }

    std::uint16_t set_of(const ByteSet& set) {
        auto known = std::ranges::find(sets_, set);
        if (known == sets_.end()) known = sets_.insert(sets_.end(), set);
        return static_cast<std::uint16_t>(known - sets_.begin());
    }

    static Instruction of(Op op) {
        Instruction made;
        made.op = op;
        return made;
    }

    // Puts an instruction that takes no bytes before `next`. The bytes that may follow stay the
    // same.
    Part mark(const Instruction& instruction, Part next) {
        next.at = add(instruction, next.at);
        return next;
    }
    Part save(int end, const Part& next) {
        Instruction made = of(Op::save);
        made.value = static_cast<std::uint16_t>(end);
        made.once = optional_depth_ == 0;
        return mark(made, next);
    }

    Part node(const Node& node, Part next) {
        if (failed_) return next;
        if (node.group == 0) return content(node, std::move(next));
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
                return assertion(node, std::move(next));
            case Kind::host:
                break;
        }
        failed_ = true;
        return next;
    }

    Part assertion(const Node& node, Part next) {
        Op op = node.kind == Kind::begin ? Op::begin
                : node.kind == Kind::end ? Op::end
                : node.negative          ? Op::no_boundary
                                         : Op::boundary;
        next = mark(of(op), next);
        next.follow.always = false;
        if (op == Op::end) next.follow.first.reset();
        return next;
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
        for (std::size_t end = parts.size(); end > 0 && !failed_;) {
            if (ends_in_host({parts.data(), end})) {
                end_text();
                end -= host_parts().size();
                next = host({parts.data() + end, host_parts().size()}, next);
                continue;
            }
            const Node& part = *parts[--end];
            // `node` has made the group of `whole` itself.
            bool bytes = part.kind == Kind::bytes && (part.group == 0 || &part == &whole);
            auto letter = bytes ? letter_of(part.set) : std::nullopt;
            if (letter) {
                // A text is compared with or without regard to case as a whole. A letter that needs
                // the other way begins another text.
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
            next = bytes ? one(part, next) : node(part, std::move(next));
        }
        end_text();
        return next;
    }

    static bool ends_in_host(std::span<const Node* const> parts) {
        const auto& host = host_parts();
        return parts.size() >= host.size() &&
               std::ranges::equal(parts.last(host.size()), host,
                                  [](const Node* a, const Node* b) { return alike(*a, *b); });
    }

    // The parts as the pattern has them are always there. Before them, as a shortcut, an
    // instruction that reads an IPv4 address in one step. It is taken only if the address can be
    // read in one way: no digit follows it, no zone ("%eth0"), and no bracket that would belong to
    // it.
    Part host(std::span<const Node* const> parts, const Part& rest) {
        Part all = rest;
        int group = 0;
        for (auto it = parts.rbegin(); it != parts.rend(); ++it) {
            all = node(**it, std::move(all));
            group = std::max(group, (*it)->group);
        }
        if (failed_ || (rest.follow.first & digits()).any()) return all;
        Instruction made = of(Op::host);
        made.other = rest.at;
        made.next_first = set_of(rest.follow.first);
        made.next_at_end = rest.follow.at_end;
        made.value = static_cast<std::uint16_t>(2 * group);
        made.once = optional_depth_ == 0;
        return mark(made, all);
    }

    Part text(const std::string& bytes, bool folded, const Part& next) {
        Instruction made = of(folded ? Op::folded_text : Op::text);
        std::size_t begin = program_.texts_.size();
        failed_ = failed_ || begin > UINT16_MAX || bytes.size() > UINT16_MAX;
        made.value = static_cast<std::uint16_t>(begin);
        made.least = static_cast<std::uint16_t>(bytes.size());
        program_.texts_ += bytes;
        Part part{add(made, next.at), {}};
        auto first = static_cast<unsigned char>(bytes.front());
        part.follow.first.set(first);
        if (folded && is_letter(bytes.front())) part.follow.first.set(first - 32U);
        return part;
    }

    Part one(const Node& node, const Part& next) {
        Instruction made = of(Op::one);
        made.value = set_of(node.set);
        return {add(made, next.at), {node.set, false, false}};
    }

    Part choice(const Part& preferred, const Part& other) {
        Instruction made = of(Op::choice);
        made.other = other.at;
        made.next_first = set_of(preferred.follow.first);
        made.next_at_end = preferred.follow.at_end;
        made.other_first = set_of(other.follow.first);
        made.other_at_end = other.follow.at_end;
        return {add(made, preferred.at),
                {preferred.follow.first | other.follow.first,
                 preferred.follow.at_end || other.follow.at_end, false}};
    }

    Part alternate(const Node& whole, const Part& next) {
        std::optional<Part> made;
        ++optional_depth_;
        for (auto it = whole.children.rbegin(); it != whole.children.rend(); ++it) {
            Part part = node(*it, next);
            if (failed_) return next;
            made = made ? choice(part, *made) : part;
        }
        --optional_depth_;
        return made.value_or(next);
    }

    Part repeat(const Node& whole, const Part& next) {
        const Node& body = whole.children[0];
        if (whole.most == 0) return next;
        if (body.kind == Kind::bytes && body.group == 0) return run(whole, body.set, next);
        if (whole.most != 1 && syntax::nullable(body)) {
            failed_ = true;
            return next;
        }
        ++optional_depth_;
        Part made = whole.most == Node::unlimited ? loop(whole, next) : few(whole, next);
        --optional_depth_;
        return made;
    }

    Part either(const Node& whole, const Part& more, const Part& enough) {
        return whole.lazy ? choice(enough, more) : choice(more, enough);
    }

    // "x{3,}" is x x, then a loop that begins with the third x. The loop's body has to know the
    // place of the choice that follows it, and the choice the place of the body. So a place is kept
    // free for the choice (`again`), which is copied there once it is made.
    Part loop(const Node& whole, const Part& next) {
        const Node& body = whole.children[0];
        Part again = next;
        again.at = add({}, 0);
        again.follow.first |= syntax::first_bytes(body);
        again.follow.always = false;
        Part once = node(body, again);
        if (failed_) return next;
        Part made = either(whole, once, next);
        if (failed_) return next;
        made_[again.at] = made_[made.at];
        return times(whole.least - 1, body, whole.least > 0 ? once : made);
    }

    Part few(const Node& whole, const Part& next) {
        const Node& body = whole.children[0];
        Part made = next;
        for (int count = whole.least; count < whole.most && !failed_; ++count)
            made = either(whole, node(body, made), next);
        return times(whole.least, body, made);
    }

    Part times(int count, const Node& body, Part next) {
        for (; count > 0 && !failed_; --count) next = node(body, next);
        return next;
    }

    Part run(const Node& whole, const ByteSet& set, const Part& next) {
        Instruction made = of(Op::run);
        made.value = set_of(set);
        failed_ = failed_ || std::max(whole.least, whole.most) >= CaptureProgram::no_limit;
        made.least = static_cast<std::uint16_t>(whole.least);
        if (whole.most != Node::unlimited) made.most = static_cast<std::uint16_t>(whole.most);
        made.next_first = set_of(next.follow.first);
        made.next_at_end = next.follow.at_end;
        bool one_length = (set & next.follow.first).none() || whole.least == whole.most;
        if (next.follow.always && whole.lazy) {
            made.most = made.least;
        } else if (!next.follow.always && !one_length) {
            made.op = whole.lazy ? Op::lazy_run : Op::greedy_run;
            made.other_first = set_of(set & ~next.follow.first);
        }
        Follow follow{set, false, false};
        if (whole.least == 0) {
            follow = next.follow;
            follow.first |= set;
        }
        return {add(made, next.at), follow};
    }

    CaptureProgram program_;
    std::vector<Made> made_;
    std::vector<ByteSet> sets_;
    bool failed_ = false;
    int optional_depth_ = 0;  // alternatives and repeats around what is made
};

std::optional<CaptureProgram> CaptureProgram::compile(std::string_view regex, bool dot_nl) {
    auto tree = syntax::parse(regex, syntax::Language::exact, dot_nl);
    if (!tree) return {};
    return CaptureCompiler::compile(*tree);
}

}  // namespace bandd
