// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/regex/lazy_regex.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/regex/syntax.h"

namespace bandd {
using namespace std::string_view_literals;
using syntax::Kind;
using syntax::Node;
namespace {

// Without programs RE2 does all: the results are the same, but lines that match take longer.
#ifdef BANDD_WITHOUT_CAPTURES
constexpr bool with_capture_programs = false;
#else
constexpr bool with_capture_programs = true;
#endif

// At least as many instructions as RE2 makes of it: a byte range each, and some for each part.
std::uint64_t size_for_re2(const Node& node) {
    constexpr std::uint64_t for_each_part = 4;
    std::uint64_t size = for_each_part;
    if (node.kind == Kind::bytes) size += (node.set & ~(node.set << 1)).count();
    for (const Node& child : node.children) size += size_for_re2(child);
    if (node.kind == Kind::repeat)
        size *= static_cast<std::uint64_t>(std::max({node.least, node.most, 1}));
    return std::min<std::uint64_t>(size, UINT32_MAX);  // products of many repeats
}

// RE2 has room for 170,000 within the memory that patterns may take.
constexpr std::uint64_t small_for_re2 = 20'000;

void take_names(const Node& node, std::vector<std::pair<std::string, int>>& names) {
    if (!node.name.empty()) names.emplace_back(node.name, node.group);
    for (const Node& child : node.children) take_names(child, names);
}

bool beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }
// "\\xc3" and the like.
bool is_hex_beyond_ascii(std::string_view text) {
    return text.starts_with("\\x") && text.size() >= 4 &&
           std::string_view("89abcdefABCDEF").find(text[2]) != std::string_view::npos &&
           std::isxdigit(static_cast<unsigned char>(text[3])) != 0;
}

// Of the character, escape or class that a regex begins with.
std::size_t length_of_unit(std::string_view regex) {
    if (is_hex_beyond_ascii(regex)) return 4;
    if (regex.front() == '\\') return std::min<std::size_t>(2, regex.size());
    if (regex.front() != '[') return 1;
    std::size_t at = regex.starts_with("[^") ? 2 : 1;
    for (bool first = true; at < regex.size() && (first || regex[at] != ']'); first = false) {
        std::string_view rest = regex.substr(at);
        if (auto close = rest.find(":]"); rest.starts_with("[:") && close != rest.npos) {
            at += close + 2;
            continue;
        }
        bool several = rest.size() > 1 && rest[0] == '\\' && "dDsSwW"sv.contains(rest[1]);
        at += rest[0] == '\\' ? 2 : 1;
        // What ends a range is a character, whatever it looks like.
        if (!several && at + 1 < regex.size() && regex[at] == '-' && regex[at + 1] != ']')
            at += regex[at + 1] == '\\' ? 3 : 2;
    }
    return std::min(at + 1, regex.size());
}

}  // namespace

std::optional<LazyRegex::Outline> LazyRegex::outline() const {
    Outline outline;
    auto tree = syntax::parse(regex_, syntax::Language::exact, options_.dot_nl());
    if (tree && size_for_re2(*tree) <= small_for_re2) {
        outline.groups = syntax::count_groups(*tree) + 1;
        take_names(*tree, outline.names);
        std::ranges::sort(outline.names);
        return outline;
    }
    if (!re2().ok()) return {};
    outline.groups = static_cast<std::size_t>(re2().NumberOfCapturingGroups()) + 1;
    const auto& names = re2().NamedCapturingGroups();
    outline.names.assign(names.begin(), names.end());
    return outline;
}

const RE2& LazyRegex::re2() const {
    std::call_once(re2_once_, [this] { re2_.emplace(for_re2(regex_), options_); });
    return *re2_;
}

const CaptureProgram* LazyRegex::make_program() const {
    if constexpr (with_capture_programs)
        std::call_once(program_once_, [this] {
            program_ = CaptureProgram::compile(regex_, options_.dot_nl());
            if (program_) ready_.store(&*program_, std::memory_order_release);
        });
    return program_ ? &*program_ : nullptr;
}

bool LazyRegex::search(std::string_view text, std::span<std::string_view> groups) const {
    if constexpr (with_capture_programs)
        if (const CaptureProgram* own = program()) {
            switch (own->run(text, groups)) {
                case CaptureProgram::Outcome::match:
                    return true;
                case CaptureProgram::Outcome::no_match:
                    return false;
                case CaptureProgram::Outcome::gave_up:
                    break;
            }
        }
    std::array<re2::StringPiece, most_groups> pieces;
    re2::StringPiece piece(text.data(), text.size());
    if (!re2().Match(piece, 0, piece.size(), RE2::UNANCHORED, pieces.data(),
                     static_cast<int>(groups.size())))
        return false;
    for (std::size_t i = 0; i < groups.size(); ++i)
        groups[i] = {pieces[i].data(), pieces[i].size()};
    return true;
}

std::string for_re2(std::string_view regex) {
    bool plain =
        std::ranges::none_of(regex, beyond_ascii) && regex.find("\\x") == std::string_view::npos;
    if (plain || regex.find("\\Q") != std::string_view::npos) return std::string(regex);
    std::string out;
    while (!regex.empty()) {
        std::string_view unit = regex.substr(0, length_of_unit(regex));
        regex.remove_prefix(unit.size());
        bool beyond = std::ranges::any_of(unit, beyond_ascii);
        for (std::size_t at = 0; at < unit.size() && !beyond; ++at)
            beyond = is_hex_beyond_ascii(unit.substr(at));
        // What is counted is not taken for a part of a common beginning.
        if (beyond)
            out.append("(?:").append(unit).append("{1})");
        else
            out += unit;
    }
    return out;
}

}  // namespace bandd
