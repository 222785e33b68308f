// SPDX-License-Identifier: GPL-2.0-or-later
// Goes through a regex's tree. Of parts that follow each other it takes the texts of the best one,
// of alternatives the texts of all. Parts that can only be a few exact texts are joined with their
// neighbours first: "(?:bad|wrong)" and " password" give "bad password" and "wrong password".
// Longer texts are rarer.
#include "core/prefilter/literals.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "core/base/ascii.h"
#include "core/prefilter/ordinary.h"
#include "core/regex/syntax.h"

namespace bandd {
namespace {

using syntax::Kind;
using syntax::Node;

struct Byte {
    unsigned char value = 0;  // lower case, if any_case
    bool any_case = false;
};
using Text = std::vector<Byte>;

constexpr std::size_t most_texts = 16;     // that a part may be, to be joined with its neighbours
constexpr std::size_t longest_text = 48;   // longer ones are no rarer
constexpr std::size_t most_different = 4;  // bytes of a class that is taken apart

bool is_lower(std::size_t c) { return c >= 'a' && c <= 'z'; }

// Each of these, followed by each of those.
std::vector<Text> joined(const std::vector<Text>& these, const std::vector<Text>& those) {
    std::vector<Text> all;
    for (const Text& left : these)
        for (const Text& right : those) {
            all.push_back(left);
            all.back().insert(all.back().end(), right.begin(), right.end());
        }
    return all;
}

// All texts that a node can be; empty if they are many.
std::optional<std::vector<Text>> exact_texts(const Node& node) {
    switch (node.kind) {
        case Kind::begin:
        case Kind::end:
        case Kind::boundary:
            return std::vector<Text>{{}};
        case Kind::host:
            return {};
        case Kind::bytes: {
            if (node.set.count() > 2 * most_different) return {};
            std::vector<Text> texts;
            // As libstdc++ offers it: most sets have one byte.
            for (std::size_t c = node.set._Find_first(); c < 256; c = node.set._Find_next(c)) {
                bool upper = c >= 'A' && c <= 'Z';
                if (upper && node.set.test(c + 32)) continue;  // said by its small letter
                bool pair = is_lower(c) && node.set.test(c - 32);
                texts.push_back({{static_cast<unsigned char>(c), pair}});
            }
            if (texts.empty() || texts.size() > most_different) return {};
            return texts;
        }
        case Kind::alternate: {
            std::vector<Text> texts;
            for (const Node& child : node.children) {
                auto more = exact_texts(child);
                if (!more || texts.size() + more->size() > most_texts) return {};
                texts.insert(texts.end(), more->begin(), more->end());
            }
            return texts;
        }
        case Kind::repeat: {
            constexpr int most_repeats = 4;
            if (node.most == Node::unlimited || node.most > most_repeats) return {};
            auto once = exact_texts(node.children[0]);
            if (!once) return {};
            std::vector<Text> texts;
            std::vector<Text> row{{}};
            for (int count = 0; count <= node.most; ++count) {
                if (count >= node.least) texts.insert(texts.end(), row.begin(), row.end());
                if (texts.size() > most_texts || row.size() * once->size() > most_texts) return {};
                row = joined(row, *once);
            }
            return texts;
        }
        case Kind::concat: {
            std::vector<Text> texts{{}};
            for (const Node& child : node.children) {
                auto next = exact_texts(child);
                if (!next || texts.size() * next->size() > most_texts) return {};
                texts = joined(texts, *next);
            }
            return texts;
        }
    }
    return {};
}

// No escaping, of syslog or JSON, makes or undoes these.
bool is_safe(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// How good a text is to search for: its length in half letters, less what every line has anyway.
std::size_t worth(const Literal& literal) {
    std::size_t halves = 0;
    for (char c : literal.text) halves += c == ' ' ? 0 : c >= '0' && c <= '9' ? 1 : 2;
    return halves;
}

bool is_safe_in(LineForm form, unsigned char c) {
    return form == LineForm::json ? is_plain_in_json(c) : is_safe(c);
}

// Shorter ones are in every other line, but for pairs such as "${". Of a text that a date may be
// cut out of, each half must be long enough.
bool is_long_enough(std::string_view text, LineForm form) {
    if (form == LineForm::date_cut_out) return text.size() >= 2 * shortest_literal;
    if (text.size() >= shortest_literal) return true;
    auto is_common = [](char c) {
        return c == ' ' || (c >= '0' && c <= '9') ||
               (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
    };
    return text.size() + 1 == shortest_literal && std::ranges::none_of(text, is_common) &&
           Ordinary::lines().in_a_line(text) == 0;
}

// The best part of a text that no escaping changes, so that a raw line holds it as it is.
std::optional<Literal> safe_part(const Text& text, LineForm form) {
    std::optional<Literal> best;
    for (std::size_t from = 0; from < text.size();) {
        std::size_t to = from;
        Literal part;
        while (to < text.size() && is_safe_in(form, text[to].value) &&
               part.text.size() < longest_text) {
            part.text += static_cast<char>(text[to].value);
            part.any_case = part.any_case || text[to].any_case;
            ++to;
        }
        if (part.any_case)
            for (char& c : part.text)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        if (is_long_enough(part.text, form) && (!best || worth(part) > worth(*best)))
            best = std::move(part);
        from = std::max(to, from + 1);
    }
    return best;
}

struct Choice {
    LiteralSet literals;
    int score = 0;
};

// About in how many of a thousand lines a text is. What the few ordinary ones do not hold may be
// in others, the more so the shorter it is.
double in_lines(std::string_view text) {
    constexpr double a_thousand = 1000;
    double others = 1;
    for (std::size_t size = text.size(); size < Ordinary::longest; ++size) others *= 2;
    return others + a_thousand * Ordinary::lines().most_in_a_line(text);
}

// fail2ban's dialect cuts the date out of the middle of a line, and with it perhaps a text in two;
// then one half of it is whole. Cut where lines hold the halves least: many hold half of "]:
// conn=".
LiteralSet halves_of(const LiteralSet& literals) {
    LiteralSet halves;
    for (const Literal& literal : literals) {
        const std::string& text = literal.text;
        std::size_t middle = text.size() / 2;
        auto cost = [&](std::size_t at) {
            return in_lines(std::string_view(text).substr(0, at)) +
                   in_lines(std::string_view(text).substr(at));
        };
        std::size_t best = middle;
        for (std::size_t away = 1; middle >= shortest_literal + away; ++away)
            for (std::size_t at : {middle - away, middle + away})
                if (text.size() - at >= shortest_literal && cost(at) < cost(best)) best = at;
        halves.push_back({text.substr(0, best), literal.any_case});
        halves.push_back({text.substr(best), literal.any_case});
    }
    return halves;
}

// Fewer and longer is better; the shortest text decides. Texts that ordinary lines hold are of
// little use, however long they are.
int score_of(const LiteralSet& literals, LineForm form) {
    if (form == LineForm::date_cut_out) {
        LiteralSet halves = halves_of(literals);
        return 2 * score_of(halves, LineForm::plain);
    }
    std::size_t shortest = SIZE_MAX;
    double in_a_line = 0;
    for (const Literal& literal : literals) {
        shortest = std::min(shortest, worth(literal));
        in_a_line += Ordinary::lines().most_in_a_line(literal.text);
    }
    constexpr std::size_t enough = 32;
    constexpr double for_a_line_in_vain = 30;
    int score = static_cast<int>(std::min(shortest, enough) * 4) -
                static_cast<int>(std::min<std::size_t>(literals.size(), 32) / 4);
    return score <= 1 ? score
                      : std::max(1, static_cast<int>(score / (1 + for_a_line_in_vain * in_a_line)));
}

bool says_more(const Literal& longer, const Literal& shorter) {
    if (longer.text.size() <= shorter.text.size()) return false;
    if (shorter.any_case == longer.any_case || !longer.any_case) {
        std::string text = longer.text;
        if (shorter.any_case)
            for (char& c : text)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        return text.find(shorter.text) != std::string::npos;
    }
    return false;
}

// Each once, and none that holds another one.
void simplify(LiteralSet& literals) {
    std::ranges::sort(literals);
    auto twice = std::ranges::unique(literals);
    literals.erase(twice.begin(), twice.end());
    LiteralSet all = literals;
    std::erase_if(literals, [&](const Literal& literal) {
        return std::ranges::any_of(all,
                                   [&](const Literal& other) { return says_more(literal, other); });
    });
}

std::optional<Choice> choice_of(const std::vector<Text>& texts, LineForm form) {
    Choice choice;
    for (const Text& text : texts) {
        auto part = safe_part(text, form);
        if (!part) return {};
        choice.literals.push_back(std::move(*part));
    }
    simplify(choice.literals);
    choice.score = score_of(choice.literals, form);
    return choice;
}

constexpr std::size_t most_sets = 2;
// A second set costs a find for each of its texts that is in a harmless line, so only rare ones
// are worth it: " from " is not.
constexpr int least_second_score = 8 * 8 - 8;

void take(std::vector<Choice>& best, std::optional<Choice> other) {
    if (!other || other->score <= 0) return;
    for (const Choice& known : best)
        if (known.literals == other->literals) return;
    best.push_back(std::move(*other));
    std::ranges::stable_sort(best, std::greater{}, &Choice::score);
    if (best.size() > most_sets) best.pop_back();
}

// The best parts that every text of a node has.
std::vector<Choice> required(const Node& node, LineForm form) {
    std::vector<Choice> best;
    if (auto texts = exact_texts(node)) {
        take(best, choice_of(*texts, form));
        return best;
    }
    switch (node.kind) {
        case Kind::concat: {
            std::vector<Text> run{{}};
            std::vector<Choice> of_run;  // one part gives one set
            auto end_run = [&] {
                take(of_run, choice_of(run, form));
                if (!of_run.empty()) take(best, std::move(of_run.front()));
                of_run.clear();
                run = {{}};
            };
            for (const Node& child : node.children) {
                auto texts = exact_texts(child);
                if (!texts) {
                    end_run();
                    for (Choice& choice : required(child, form)) take(best, std::move(choice));
                    continue;
                }
                // Without its alternatives the run may be long enough, and is fewer texts.
                if (texts->size() > 1) take(of_run, choice_of(run, form));
                if (run.size() * texts->size() > most_texts) end_run();
                run = joined(run, *texts);
            }
            end_run();
            return best;
        }
        case Kind::alternate: {
            Choice all;
            for (const Node& child : node.children) {
                auto one = required(child, form);
                if (one.empty() || all.literals.size() + one[0].literals.size() > most_literals)
                    return {};
                all.literals.insert(all.literals.end(), one[0].literals.begin(),
                                    one[0].literals.end());
            }
            simplify(all.literals);
            all.score = score_of(all.literals, form);
            take(best, std::move(all));
            return best;
        }
        case Kind::repeat:
            return node.least > 0 ? required(node.children[0], form) : best;
        default:
            return best;
    }
}

}  // namespace

bool is_plain_in_json(unsigned char c) {
    constexpr std::string_view escaped_by_some = "/<>&'+`";
    return is_safe(c) && escaped_by_some.find(static_cast<char>(c)) == std::string_view::npos;
}

std::optional<Literal> required_literal(std::string_view text) {
    Text bytes;
    for (char c : text) bytes.push_back({static_cast<unsigned char>(c)});
    return safe_part(bytes, LineForm::json);
}

std::vector<LiteralSet> required_literals(std::string_view regex, syntax::Language language,
                                          LineForm form) {
    auto tree = syntax::parse(regex, language);
    if (!tree) return {};
    std::vector<LiteralSet> sets;
    for (Choice& choice : required(*tree, form)) {
        if (!sets.empty() && choice.score < least_second_score) break;
        if (form != LineForm::date_cut_out) {
            sets.push_back(std::move(choice.literals));
            continue;
        }
        LiteralSet halves = halves_of(choice.literals);
        simplify(halves);
        sets.push_back(std::move(halves));
    }
    return sets;
}

}  // namespace bandd
