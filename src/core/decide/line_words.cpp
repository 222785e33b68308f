// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/line_words.h"

#include <string>

#include "core/base/address.h"

namespace bandd {
namespace {

constexpr std::size_t longest_address = 45;

// What a byte may be in an address.
enum Part : std::uint8_t { none = 0, digit = 1, mark = 2, letter = 4 };
constexpr std::array<std::uint8_t, 256> part_of = [] {
    std::array<std::uint8_t, 256> parts{};
    for (std::size_t c = '0'; c <= '9'; ++c) parts[c] = digit;
    for (std::size_t c = 'a'; c <= 'f'; ++c) parts[c] = parts[c - 'a' + 'A'] = letter;
    parts[':'] = parts['.'] = mark;
    return parts;
}();

// Beginnings of words that tell of failures.
constexpr std::array<std::string_view, 19> failing{
    "abort", "blocked", "banned", "closed",  "denied",    "disallow", "disconn",
    "error", "fail",    "forbid", "illeg",   "incorrect", "invalid",  "mismat",
    "refus", "reject",  "unauth", "unknown", "wrong"};
// By first letter.
constexpr std::uint32_t begins_failing = [] {
    std::uint32_t letters = 0;
    for (std::string_view begin : failing) letters |= std::uint32_t{1} << (begin.front() - 'a');
    return letters;
}();

std::optional<WordHash> client_at(std::string_view token) {
    if (auto dots = std::ranges::count(token, '.'); dots >= 3)
        if (token.find(':') != std::string_view::npos && token.find("::") != 0)
            token = token.substr(0, token.find(':'));
    while (!token.empty() && (token.back() == '.' || token.back() == ':')) token.remove_suffix(1);
    if (std::ranges::count(token, '.') < 3 && std::ranges::count(token, ':') < 2) return {};
    auto address = parse_address(std::string(token));
    if (!address) return {};
    WordHash hash = 0;
    for (std::uint8_t byte : address->bytes) hash = add_to_hash(hash, byte);
    return hash;
}

}  // namespace

WordHash hash_of(std::string_view text) {
    WordHash hash = 2166136261U;
    for (char c : text) hash = add_to_hash(hash, static_cast<unsigned char>(c));
    return hash;
}

bool tells_of_failure(std::string_view lower) {
    if (lower == "bad" || lower == "lost") return true;
    if ((begins_failing >> (lower.front() - 'a') & 1) == 0) return false;
    return std::ranges::any_of(failing, [&](std::string_view begin) {
        return lower.front() == begin.front() && lower.starts_with(begin);
    });
}

std::optional<WordHash> client_in(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::size_t begin = at;
        unsigned parts = none;
        for (; at < text.size(); ++at) {
            unsigned part = part_of[static_cast<unsigned char>(text[at])];
            if (part == none) break;
            parts |= part;
        }
        if ((parts & digit) != 0 && (parts & mark) != 0 && at - begin <= longest_address)
            if (auto client = client_at(text.substr(begin, at - begin))) return client;
    }
    return {};
}

}  // namespace bandd
