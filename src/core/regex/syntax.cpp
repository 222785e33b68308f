// SPDX-License-Identifier: GPL-2.0-or-later
// Recursive descent over https://github.com/google/re2/wiki/Syntax, as bytes (Latin-1), which is
// how patterns are compiled here.
#include "core/regex/syntax.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bandd::syntax {
namespace {

ByteSet range(int low, int high) {
    ByteSet set;
    for (int c = low; c <= high; ++c) set.set(static_cast<std::size_t>(c));
    return set;
}
ByteSet one(unsigned char c) { return ByteSet{}.set(c); }
ByteSet digits() { return range('0', '9'); }
ByteSet letters() { return range('a', 'z') | range('A', 'Z'); }
ByteSet words() { return letters() | digits() | one('_'); }
ByteSet spaces() { return range(9, 10) | range(12, 13) | one(32); }  // RE2: \s has no \v

ByteSet fold(const ByteSet& set) {
    ByteSet folded = set;
    for (std::size_t c = 'a'; c <= 'z'; ++c)
        if (set.test(c) || set.test(c - 32)) folded.set(c).set(c - 32);
    return folded;
}

Node make(Kind kind) {
    Node node;
    node.kind = kind;
    return node;
}
Node bytes_node(const ByteSet& set) {
    Node node = make(Kind::bytes);
    node.set = set;
    return node;
}

// Unknown syntax throws `Unknown`, caught in `parse`: the grammar is deep, the failure is one.
struct Unknown {};

constexpr int deepest = 200;
constexpr int most_counted = 99'999;  // more than any engine repeats

class Parser {
  public:
    Parser(std::string_view text, Language language, bool dot_nl)
        : text_(text),
          pcre2_(language == Language::pcre2),
          exact_(language == Language::exact),
          any_byte_(dot_nl ? ~ByteSet{} : ~one('\n')) {}

    Node whole() {
        Node node = alternation(0);
        if (at_ != text_.size()) throw Unknown{};
        return node;
    }

  private:
    bool more() const { return at_ < text_.size(); }
    char peek() const { return more() ? text_[at_] : '\0'; }
    bool accept(std::string_view what) {
        if (!text_.substr(at_).starts_with(what)) return false;
        at_ += what.size();
        return true;
    }

    Node alternation(int depth) {
        if (depth > deepest) throw Unknown{};
        bool outer_fold = fold_;
        Node first = concatenation(depth);
        if (peek() == '|') {
            Node node = make(Kind::alternate);
            node.from = first.from;
            node.children.push_back(std::move(first));
            while (accept("|")) node.children.push_back(concatenation(depth));
            node.to = at_;
            first = std::move(node);
        }
        fold_ = outer_fold;
        return first;
    }

    Node concatenation(int depth) {
        Node node = make(Kind::concat);
        node.from = at_;
        while (more() && peek() != '|' && peek() != ')') {
            std::size_t from = at_;
            auto atom = this->atom(depth);
            if (!atom) continue;
            atom->from = from;
            atom->to = at_;
            quantify(*atom, from);
            node.children.push_back(std::move(*atom));
        }
        node.to = at_;
        return node;
    }

    void quantify(Node& atom, std::size_t from) {
        for (bool counted = false; more(); counted = true) {
            int least = 0;
            int most = Node::unlimited;
            if (accept("*")) {
            } else if (accept("+")) {
                least = 1;
            } else if (accept("?")) {
                most = 1;
            } else if (peek() != '{' || !counts(least, most)) {
                return;
            }
            if (exact_ && (counted || !counts_for_re2(atom, least, most))) throw Unknown{};
            Node repeat = make(Kind::repeat);
            repeat.lazy = accept("?");
            if (!repeat.lazy && !exact_) accept("+");  // possessive, of fail2ban's Python
            repeat.least = least;
            repeat.most = most;
            repeat.from = from;
            repeat.to = at_;
            repeat.children.push_back(std::move(atom));
            atom = std::move(repeat);
        }
    }

    // As many as RE2 allows, all repeats within repeats multiplied.
    static bool counts_for_re2(const Node& body, int least, int most) {
        constexpr int most_times = 1000;
        if (most != Node::unlimited && most < least) return false;
        if (std::max(least, most) < 2) return true;
        return std::max(least, most) <= most_times / most_times_within(body);
    }
    static int most_times_within(const Node& node) {
        int times = 1;
        for (const Node& child : node.children) times = std::max(times, most_times_within(child));
        int own = node.most == Node::unlimited ? node.least : node.most;
        return node.kind == Kind::repeat ? times * std::max(1, own) : times;
    }

    std::string_view group_name(std::string_view name) {
        bool fits = !name.empty() && std::ranges::all_of(name, [](char c) {
            return words().test(static_cast<unsigned char>(c));
        });
        if (!fits || std::ranges::find(names_, name) != names_.end()) throw Unknown{};
        return names_.emplace_back(name);
    }

    // "{2}", "{2,}", "{2,5}", "{,5}"; anything else in braces is literal text
    bool counts(int& least, int& most) {
        std::size_t at = at_ + 1;
        auto number = [&]() -> std::optional<int> {
            std::size_t begin = at;
            int value = 0;
            for (; at < text_.size() && text_[at] >= '0' && text_[at] <= '9'; ++at)
                value = std::min(value * 10 + (text_[at] - '0'), most_counted);
            if (at == begin) return {};
            return value;
        };
        auto low = number();
        std::optional<int> high = low;
        bool comma = at < text_.size() && text_[at] == ',';
        if (comma) {
            ++at;
            high = number();
        }
        if ((!low && !high) || at >= text_.size() || text_[at] != '}') return false;
        if (exact_ && !low) throw Unknown{};
        least = low.value_or(0);
        most = high.value_or(Node::unlimited);
        at_ = at + 1;
        return true;
    }

    std::optional<Node> atom(int depth) {
        char c = text_[at_];
        switch (c) {
            case '(':
                return group(depth);
            case '[':
                return char_class();
            case '.':
                ++at_;
                return bytes_node(any_byte_);
            case '^':
                ++at_;
                return make(Kind::begin);
            case '$':
                ++at_;
                return make(Kind::end);
            case '\\':
                ++at_;
                return escape();
            case '<':
                return tag();
            case '*':
            case '+':
            case '?':
                throw Unknown{};  // after flags they count what is before these
            case '{':
                if (int least = 0, most = 0; counts(least, most)) throw Unknown{};
                break;
            default:
                break;
        }
        ++at_;
        return literal(static_cast<unsigned char>(c));
    }

    // RE2 knows more letters with two cases than ASCII's.
    unsigned char foldable(unsigned char c) const {
        if (exact_ && fold_ && c >= 0x80) throw Unknown{};
        return c;
    }

    Node literal(unsigned char c) const {
        return bytes_node(fold_ ? fold(one(foldable(c))) : one(c));
    }

    Node tag() {
        if (exact_) {
            ++at_;
            return literal('<');
        }
        for (std::string_view host : {"<HOST>", "<ADDR>", "<IP4>", "<IP6>"})
            if (accept(host)) return make(Kind::host);
        if (text_.substr(at_).starts_with("<F-") || text_.substr(at_).starts_with("</F-")) {
            auto close = text_.find('>', at_);
            if (close == std::string_view::npos) throw Unknown{};
            bool empty = text_[close - 1] == '/';
            at_ = close + 1;
            if (!empty) return make(Kind::concat);
            return field_node();
        }
        if (text_.substr(at_).starts_with("<LIST:")) {
            auto close = text_.find('>', at_);
            if (close == std::string_view::npos) throw Unknown{};
            at_ = close + 1;
            return field_node();
        }
        ++at_;
        return literal('<');
    }

    // What a list item's '*' and an empty <F-NAME/> may match: anything inside a field.
    static Node field_node() {
        Node repeat = make(Kind::repeat);
        repeat.children.push_back(bytes_node(~(spaces() | one('"') | one('<') | one('>'))));
        return repeat;
    }

    // "i-s" in "(?i-s:": only the letter case matters to us.
    void flags() {
        bool on = true;
        for (; more() && peek() != ':' && peek() != ')'; ++at_) {
            bool last = at_ + 1 == text_.size() || text_[at_ + 1] == ':' || text_[at_ + 1] == ')';
            if (peek() == '-' && exact_ && (!on || last)) throw Unknown{};
            if (peek() == '-')
                on = false;
            else if (peek() == 'i')
                fold_ = on;
            else if (exact_ || std::string_view("msU").find(peek()) == std::string_view::npos)
                throw Unknown{};  // look-around, conditionals, back-references
        }
    }

    std::optional<Node> group(int depth) {
        ++at_;
        bool outer_fold = fold_;
        int number = 0;
        std::string_view name;
        if (peek() != '?') {
            number = ++groups_;
        } else {
            ++at_;
            if (accept("#")) {
                if (!pcre2_) throw Unknown{};
                auto close = text_.find(')', at_);
                if (close == std::string_view::npos) throw Unknown{};
                at_ = close + 1;
                return std::nullopt;
            }
            if (pcre2_)
                if (auto node = pcre2_group(depth)) {
                    fold_ = outer_fold;
                    return node;
                }
            // RE2 knows "(?<" since 2023 only.
            if (accept("P<") || (!exact_ && peek() == '<' && text_.substr(at_, 2) != "<=" &&
                                 text_.substr(at_, 2) != "<!" && accept("<"))) {
                auto close = text_.find('>', at_);
                if (close == std::string_view::npos) throw Unknown{};
                if (exact_) name = group_name(text_.substr(at_, close - at_));
                at_ = close + 1;
                number = ++groups_;
            } else {
                flags();
                if (accept(")")) return std::nullopt;  // "(?i)" holds to the end of its group
                if (!accept(":")) throw Unknown{};
            }
        }
        Node inside = alternation(depth + 1);
        if (!accept(")")) throw Unknown{};
        fold_ = outer_fold;
        if (number != 0 && inside.group != 0) {
            Node around = make(Kind::concat);
            around.children.push_back(std::move(inside));
            inside = std::move(around);
        }
        if (number != 0) {
            inside.group = number;
            inside.name = name;
        }
        return inside;
    }

    static Node any_text() {
        Node repeat = make(Kind::repeat);
        repeat.children.push_back(bytes_node(~ByteSet{}));
        return repeat;
    }

    // What follows "(?", if only PCRE2 knows it.
    std::optional<Node> pcre2_group(int depth) {
        for (std::string_view look : {"=", "!", "<=", "<!"}) {
            if (!accept(look)) continue;
            alternation(depth + 1);
            if (!accept(")")) throw Unknown{};
            return make(Kind::concat);
        }
        if (accept(">")) {  // atomic
            Node inside = alternation(depth + 1);
            if (!accept(")")) throw Unknown{};
            return inside;
        }
        if (accept("P=")) {
            auto close = text_.find(')', at_);
            if (close == std::string_view::npos) throw Unknown{};
            at_ = close + 1;
            return any_text();
        }
        if (accept("(")) {  // (?(group)yes|no); without "no" it may be nothing
            auto close = text_.find(')', at_);
            if (close == std::string_view::npos) throw Unknown{};
            at_ = close + 1;
            Node inside = alternation(depth + 1);
            if (!accept(")")) throw Unknown{};
            if (inside.kind == Kind::alternate) return inside;
            Node repeat = make(Kind::repeat);
            repeat.most = 1;
            repeat.children.push_back(std::move(inside));
            return repeat;
        }
        return {};
    }

    static std::optional<ByteSet> perl_class(char c) {
        switch (c) {
            case 'd':
                return digits();
            case 'D':
                return ~digits();
            case 'w':
                return words();
            case 'W':
                return ~words();
            case 's':
                return spaces();
            case 'S':
                return ~spaces();
            default:
                return {};
        }
    }

    // The byte that an escape means; `at_` is after the backslash.
    unsigned char escaped_byte() {
        if (!more()) throw Unknown{};
        char c = text_[at_++];
        switch (c) {
            case 't':
                return '\t';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'x': {
                auto hex = [&](char d) -> int {
                    if (d >= '0' && d <= '9') return d - '0';
                    if (d >= 'a' && d <= 'f') return d - 'a' + 10;
                    if (d >= 'A' && d <= 'F') return d - 'A' + 10;
                    throw Unknown{};
                };
                if (at_ + 1 >= text_.size()) throw Unknown{};
                int value = hex(text_[at_]) * 16 + hex(text_[at_ + 1]);
                at_ += 2;
                return static_cast<unsigned char>(value);
            }
            default:
                break;
        }
        bool not_for_re2 = exact_ && (c == '0' || static_cast<unsigned char>(c) >= 0x80);
        if (not_for_re2 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '1' && c <= '9'))
            throw Unknown{};
        return static_cast<unsigned char>(c == '0' ? '\0' : c);
    }

    Node escape() {
        char c = peek();
        if (auto set = perl_class(c)) {
            ++at_;
            return bytes_node(*set);
        }
        switch (c) {
            case 'b':
            case 'B': {
                ++at_;
                Node node = make(Kind::boundary);
                node.negative = c == 'B';
                return node;
            }
            case 'A':
                ++at_;
                return make(Kind::begin);
            case 'Z':
                if (exact_) throw Unknown{};
                [[fallthrough]];
            case 'z':
                ++at_;
                return make(Kind::end);
            default:
                break;
        }
        if (pcre2_ && c >= '1' && c <= '9') {
            while (more() && peek() >= '0' && peek() <= '9') ++at_;
            return any_text();
        }
        return literal(escaped_byte());
    }

    Node char_class() {
        ++at_;
        bool negated = accept("^");
        ByteSet set;
        bool first = true;
        while (more() && (peek() != ']' || first)) {
            first = false;
            if (text_.substr(at_).starts_with("[:")) {
                set |= posix_class();
                continue;
            }
            if (peek() == '\\' && at_ + 1 < text_.size()) {
                if (auto perl = perl_class(text_[at_ + 1])) {
                    at_ += 2;
                    set |= *perl;
                    continue;
                }
            }
            unsigned char low = class_byte();
            unsigned char high = low;
            if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
                ++at_;
                high = class_byte();
            }
            if (high < low) throw Unknown{};
            set |= range(low, high);
        }
        if (!accept("]")) throw Unknown{};
        if (fold_) set = fold(set);
        return bytes_node(negated ? ~set : set);
    }

    unsigned char class_byte() {
        if (accept("\\")) return foldable(escaped_byte());
        if (!more()) throw Unknown{};
        return foldable(static_cast<unsigned char>(text_[at_++]));
    }

    ByteSet posix_class() {
        const std::array<std::pair<std::string_view, ByteSet>, 10> known{{
            {"alnum", letters() | digits()},
            {"alpha", letters()},
            {"digit", digits()},
            {"lower", range('a', 'z')},
            {"upper", range('A', 'Z')},
            {"punct", range('!', '/') | range(':', '@') | range('[', '`') | range('{', '~')},
            {"space", spaces() | one('\v')},
            {"word", words()},
            {"xdigit", digits() | range('a', 'f') | range('A', 'F')},
            {"print", range(' ', '~')},
        }};
        auto close = text_.find(":]", at_);
        if (close == std::string_view::npos) throw Unknown{};
        auto name = text_.substr(at_ + 2, close - at_ - 2);
        bool negated = name.starts_with('^');
        if (negated) name.remove_prefix(1);
        for (const auto& [known_name, set] : known)
            if (known_name == name) {
                at_ = close + 2;
                return negated ? ~set : set;
            }
        throw Unknown{};
    }

    std::string_view text_;
    bool pcre2_ = false;
    bool exact_ = false;
    ByteSet any_byte_;  // what '.' matches
    std::size_t at_ = 0;
    bool fold_ = false;
    int groups_ = 0;
    std::vector<std::string_view> names_;  // of groups
};

ByteSet host_bytes() {
    return digits() | range('a', 'f') | range('A', 'F') | one(':') | one('[') | one(']');
}

// Bytes at one end of a node: the first ones reading forward, the last ones backward.
ByteSet edge_bytes(const Node& node, bool forward) {
    switch (node.kind) {
        case Kind::bytes:
            return node.set;
        case Kind::host:
            return host_bytes();
        case Kind::repeat:
            return edge_bytes(node.children[0], forward);
        case Kind::alternate: {
            ByteSet set;
            for (const Node& child : node.children) set |= edge_bytes(child, forward);
            return set;
        }
        case Kind::concat: {
            ByteSet set;
            std::size_t count = node.children.size();
            for (std::size_t i = 0; i < count; ++i) {
                const Node& child = node.children[forward ? i : count - 1 - i];
                set |= edge_bytes(child, forward);
                if (!nullable(child)) break;
            }
            return set;
        }
        case Kind::begin:
        case Kind::end:
        case Kind::boundary:
            return {};
    }
    return {};
}

}  // namespace

std::optional<Node> parse(std::string_view pattern, Language language, bool dot_nl) {
    try {
        return Parser(pattern, language, dot_nl).whole();
    } catch (const Unknown&) {
        return {};
    }
}

std::size_t count_groups(const Node& node) {
    std::size_t count = node.group != 0 ? 1 : 0;
    for (const Node& child : node.children) count += count_groups(child);
    return count;
}

bool nullable(const Node& node) {
    switch (node.kind) {
        case Kind::bytes:
        case Kind::host:
            return false;
        case Kind::repeat:
            return node.least == 0 || nullable(node.children[0]);
        case Kind::alternate:
            for (const Node& child : node.children)
                if (nullable(child)) return true;
            return false;
        case Kind::concat:
            for (const Node& child : node.children)
                if (!nullable(child)) return false;
            return true;
        case Kind::begin:
        case Kind::end:
        case Kind::boundary:
            return true;
    }
    return true;
}

ByteSet first_bytes(const Node& node) { return edge_bytes(node, true); }
ByteSet last_bytes(const Node& node) { return edge_bytes(node, false); }

}  // namespace bandd::syntax
