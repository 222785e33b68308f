// SPDX-License-Identifier: GPL-2.0-or-later
// A pattern is written out as a row of pieces: the least text that each part of it takes. Free
// pieces (`.*`, `[^"]*`) can hold more. A second host is put into one of them, with the text around
// it that makes the pattern take it for the first.
#include "core/regex/two_hosts.h"

#include <algorithm>

#include "core/regex/forgery.h"
#include "core/regex/syntax.h"

namespace bandd {
namespace {

using syntax::ByteSet;
using syntax::Kind;
using syntax::Node;

constexpr std::size_t most_text = 2000;   // of a row; a pattern that says more is not written out
constexpr std::size_t most_lines = 2000;  // of a pattern
constexpr int variants = 6;
constexpr int most_steps = 100'000;  // of writing out a pattern that repeats what takes nothing

struct Piece {
    std::string text;
    bool free = false;
    bool host = false;
    ByteSet set;  // of a free one
    std::size_t from = 0, to = 0;
};
using Row = std::vector<Piece>;

void add_bytes(const Node& node, ByteSet& set) {
    if (node.kind == Kind::bytes) set |= node.set;
    for (const Node& child : node.children) add_bytes(child, set);
}

bool holds_host(const Node& node) {
    return node.kind == Kind::host || std::ranges::any_of(node.children, holds_host);
}

char one_of(const ByteSet& set) {
    for (char wanted : std::string_view("x1 a"))
        if (set[static_cast<unsigned char>(wanted)]) return wanted;
    for (std::size_t byte = '!'; byte < 127; ++byte)
        if (set[byte]) return static_cast<char>(byte);
    for (std::size_t byte = 0; byte < 256; ++byte)
        if (set[byte]) return static_cast<char>(byte);
    return 'x';
}

// `variant`: which alternatives are taken, and whether what may be absent is there.
class RowWriter {
  public:
    explicit RowWriter(int variant) : variant_(static_cast<std::size_t>(variant)) {}

    Row write(const Node& node) {
        add(node);
        return std::move(row_);
    }

  private:
    void add(const Node& node) {
        if (row_.size() > most_text || ++steps_ > most_steps) return;
        switch (node.kind) {
            case Kind::bytes:
                put({std::string(1, one_of(node.set)), false, false, {}, node.from, node.to});
                break;
            case Kind::host:
                put({"", false, true, {}, node.from, node.to});
                break;
            case Kind::concat:
                for (const Node& child : node.children) add(child);
                break;
            case Kind::alternate:
                add(chosen(node));
                break;
            case Kind::repeat:
                add_repeat(node);
                break;
            default:
                break;
        }
    }
    const Node& chosen(const Node& node) const {
        std::vector<const Node*> choices;
        for (const Node& child : node.children)
            if (holds_host(child)) choices.push_back(&child);
        if (choices.empty())
            for (const Node& child : node.children) choices.push_back(&child);
        return *choices[variant_ / 2 % choices.size()];
    }
    void add_repeat(const Node& node) {
        const Node& body = node.children[0];
        ByteSet set;
        add_bytes(body, set);
        bool is_free = node.most != 1 && node.least != node.most && !holds_host(body) &&
                       set.count() >= least_free_bytes;
        if (is_free) {
            // Nothing, or something: an ignoreregex may take lines with empty fields.
            int wanted = variant_ % 2 == 1 && node.most != 0 ? 1 : 0;
            auto least = static_cast<std::size_t>(std::clamp(node.least, wanted, 64));
            put({std::string(least, one_of(set)), true, false, set, node.from, node.to});
            return;
        }
        bool wanted = holds_host(body) || (node.most == 1 && variant_ % 2 == 1);
        for (int i = std::min(std::max(node.least, wanted ? 1 : 0), 64); i > 0; --i) add(body);
    }
    void put(Piece piece) { row_.push_back(std::move(piece)); }

    std::size_t variant_;
    Row row_;
    int steps_ = 0;
};

// What pieces take of a line.
std::string text_of(const Row& row, std::size_t from, std::size_t to, std::string_view host) {
    std::string text;
    for (std::size_t i = from; i < to; ++i) text += row[i].host ? std::string(host) : row[i].text;
    return text;
}

bool fits(const Piece& piece, std::string_view text) {
    return std::ranges::all_of(text,
                               [&](char c) { return piece.set[static_cast<unsigned char>(c)]; });
}

class Lines {
  public:
    Lines(std::string_view pattern, std::string_view host, std::string_view forged)
        : pattern_(pattern), host_(host), forged_(forged) {}

    void add(const Row& row) {
        auto place = std::ranges::find(row, true, &Piece::host) - row.begin();
        auto at = static_cast<std::size_t>(place);
        if (at == row.size()) return;
        std::size_t end = row.size();
        // Where text follows the host, it is there that clients write.
        if (std::none_of(row.begin() + place, row.end(), [](const Piece& one) { return one.free; }))
            put(text_of(row, 0, end, forged_) + " " + text_of(row, 0, end, host_), {});
        for (std::size_t i = 0; i < end; ++i) {
            if (!row[i].free) continue;
            if (i < at) {
                fill(row, i, text_of(row, i + 1, end, forged_));
                if (is_users(row[i])) put_what_it_cannot_hold(row, i);
                if (is_column(row, i, at)) put_other_record(row, i, at);
            } else {
                // What the pattern has before <HOST>, from a free piece on that takes all so far.
                for (std::size_t from = 0; from <= at; ++from) {
                    if (from > 0 && !row[from - 1].free) continue;
                    std::string copy = text_of(row, from, at, "") + std::string(forged_);
                    fill(row, i, copy + text_of(row, at + 1, i, "") + row[i].text);
                    fill(row, i, copy + text_of(row, at + 1, end, ""));
                    fill(row, i, " " + copy + " ");
                }
            }
        }
    }
    std::vector<TwoHosts> take() { return std::move(lines_); }

  private:
    static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
    // A quoted field of a record with columns: the next one is the host's.
    static bool is_column(const Row& row, std::size_t piece, std::size_t at) {
        std::string between = text_of(row, piece + 1, at, "");
        return piece > 0 && at + 1 < row.size() && row[piece].set['"'] &&
               row[piece - 1].text.ends_with('"') && between.starts_with('"') &&
               between.size() > 1 && between.ends_with('"') && row[at + 1].text.starts_with('"') &&
               std::ranges::none_of(between, is_letter);
    }
    // Another kind of record, in whose last field the pattern's own end stands.
    void put_other_record(const Row& row, std::size_t column, std::size_t at) {
        std::string behind = text_of(row, at + 1, row.size(), "");
        std::string between(behind.begin(), std::ranges::find_if(behind, is_letter));
        put(text_of(row, 0, at, "") + std::string(host_) + between + "x" +
                text_of(row, column + 1, at, "") + std::string(forged_) + behind,
            pattern_.substr(row[column].from, row[column].to - row[column].from), true);
    }
    // Of other fields nobody knows whether a client writes them.
    bool is_users(const Piece& piece) const {
        return std::ranges::any_of(
            users_, [&](const Span& user) { return user.holds(piece.from, piece.to); });
    }
    // A client wrote into its name what the piece that should take it cannot hold: the piece ends
    // before that, and the rest of the pattern matches what the client wrote.
    void put_what_it_cannot_hold(const Row& row, std::size_t piece) {
        std::string rest = text_of(row, piece + 1, row.size(), forged_);
        put(text_of(row, 0, piece, "") + row[piece].text + "x" + rest +
                text_of(row, piece + 1, row.size(), host_),
            pattern_.substr(row[piece].from, row[piece].to - row[piece].from), true);
    }
    // `text` stands in that piece.
    void fill(const Row& row, std::size_t piece, const std::string& text) {
        if (!fits(row[piece], text)) return;
        put(text_of(row, 0, piece, host_) + row[piece].text + text +
                text_of(row, piece + 1, row.size(), host_),
            pattern_.substr(row[piece].from, row[piece].to - row[piece].from));
    }
    void put(std::string line, std::string_view where, bool other_record = false) {
        if (lines_.size() >= most_lines || line.size() > most_text) return;
        if (std::ranges::find(lines_, line, &TwoHosts::line) == lines_.end())
            lines_.push_back({std::move(line), other_record, where});
    }

    std::string_view pattern_, host_, forged_;
    std::vector<Span> users_ = user_fields(pattern_);
    std::vector<TwoHosts> lines_;
};

}  // namespace

std::vector<TwoHosts> lines_with_two_hosts(std::string_view pattern, std::string_view host,
                                           std::string_view forged) {
    auto tree = syntax::parse(pattern, syntax::Language::pcre2, false);
    if (!tree || !holds_host(*tree)) return {};
    Lines lines(pattern, host, forged);
    for (int variant = 0; variant < variants; ++variant) lines.add(RowWriter(variant).write(*tree));
    std::vector<TwoHosts> all = lines.take();
    std::ranges::stable_partition(all, [](const TwoHosts& one) { return !one.other_record; });
    return all;
}

std::string text_around(std::string_view pattern, std::string_view open, std::string_view close,
                        std::string_view content) {
    std::size_t from = pattern.find(open);
    std::size_t to = pattern.find(close);
    auto tree = syntax::parse(pattern, syntax::Language::pcre2, false);
    if (!tree || from == std::string_view::npos || to == std::string_view::npos) return {};
    std::string before;
    std::string behind;
    for (const Piece& piece : RowWriter(0).write(*tree)) {
        if (piece.from < from) before += piece.text;
        if (piece.from >= to) behind += piece.text;
    }
    return before + std::string(content) + behind;
}

}  // namespace bandd
