// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <random>
#include <string>
#include <vector>

namespace bandd {

// Small patterns of everything that a program knows, over few letters, so that they are ambiguous
// and match often.
class Inventor {
  public:
    explicit Inventor(unsigned seed) : random_(seed) {}
    std::size_t any(std::size_t below) { return random_() % below; }

    std::string atom(int depth) {
        static const std::vector<std::string> simple{
            "a",       "b",   "ab",       " ",           ".",     "[ab]",  "[^a]",
            "[^ ]",    "\\w", "\\S",      "\\s",         "\\d",   "1",     "[a-b1]",
            "A",       "\\.", "aB",       "[[:alpha:]]", "ba ab", "a\xff", "\xe9",
            "[^a-z ]", "\\W", "[\\d. -]", "\\t",         "[Aa]b", "\\x61"};
        static const std::vector<std::string> conditions{"^", "$", "\\b", "\\B", "\\A", "\\z"};
        switch (depth > 3 ? any(6) : any(12)) {
            case 6:
            case 7:
                return "(" + alternation(depth + 1) + ")";
            case 8:
                return "(?:" + alternation(depth + 1) + ")";
            case 9:
                return "(?i:" + alternation(depth + 1) + ")";
            case 10:
                return "(?P<n" + std::to_string(names_++) + ">" + alternation(depth + 1) + ")";
            case 11:
                return conditions[any(conditions.size())];
            default:
                return simple[any(simple.size())];
        }
    }
    std::string repeated(int depth) {
        static const std::vector<std::string> counts{"*",   "+",     "?",    "*?",     "+?",   "??",
                                                     "{2}", "{1,3}", "{2,}", "{0,2}?", "{1,}?"};
        std::string one = atom(depth);
        bool condition = one.size() <= 2 && std::string("^$\\b\\B\\A\\z").find(one) < 10;
        if (condition || any(3) != 0) return one;
        return (one.size() > 1 && one[0] != '(' && one[0] != '[' && one[0] != '\\'
                    ? "(?:" + one + ")"
                    : one) +
               counts[any(counts.size())];
    }
    std::string concatenation(int depth) {
        std::string out;
        for (std::size_t i = any(5); i > 0; --i) out += repeated(depth);
        return out;
    }
    std::string alternation(int depth) {
        std::string out = concatenation(depth);
        for (std::size_t i = any(3); i > 1; --i) out += "|" + concatenation(depth);
        return out;
    }
    std::string pattern() {
        names_ = 0;
        return (any(2) == 0 ? "^" : "") + alternation(0) + (any(3) == 0 ? "$" : "");
    }
    std::string text() {
        static const std::string letters = "aaabbb  AB1.\t_\xe9\xff";
        std::string out;
        for (std::size_t i = any(14); i > 0; --i) out += letters[any(letters.size())];
        // Long runs are looked at eight bytes at a time.
        if (any(3) == 0) out.insert(any(out.size() + 1), any(24), letters[any(letters.size())]);
        return out;
    }

  private:
    std::mt19937 random_;
    int names_ = 0;
};

}  // namespace bandd
