// SPDX-License-Identifier: GPL-2.0-or-later
// What a line is known by, whoever it is about: its words, as hashes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bandd {

using WordHash = std::uint32_t;
constexpr WordHash add_to_hash(WordHash hash, WordHash more) { return (hash ^ more) * 16777619U; }
WordHash hash_of(std::string_view text);

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Of a word in lower case, not empty.
bool tells_of_failure(std::string_view lower);
// The first address in a text.
std::optional<WordHash> client_in(std::string_view text);

enum class Quoted : std::uint8_t { taken, left_out };
// Hands each word of three letters or more to `use`, in lower case, its first 24 letters.
void each_word(std::string_view text, Quoted quoted, auto&& use) {
    constexpr std::size_t shortest_word = 3;
    std::array<char, 24> lower{};
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '"' && quoted == Quoted::left_out) {
            at = std::min(text.find('"', at + 1), text.size() - 1) + 1;
            continue;
        }
        if (!is_letter(text[at])) {
            ++at;
            continue;
        }
        std::size_t size = 0;
        for (; at < text.size() && is_letter(text[at]); ++at)
            if (size < lower.size()) lower[size++] = static_cast<char>(text[at] | 0x20);
        if (size >= shortest_word) use(std::string_view(lower.data(), size));
    }
}

}  // namespace bandd
