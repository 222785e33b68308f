// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/broadband.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace bandd {
namespace {

// As providers name their lines; "static" and "cust" are left out, for mail servers stand there,
// too. A '*' only where no other word fits: dial* would take dialog, pool* Poole, dsl* DSLRs.
constexpr std::string_view words[] = {
    "*cable",      "*dsl",  "*dslcust*", "*dslpool*",  "adslgw*", "broadband", "cablelink",
    "cablemodem*", "catv",  "dhcp*",     "dial",       "dialin*", "dialip*",   "dialpool*",
    "dialup*",     "dip",   "docsis",    "dslam",      "dsldyn*", "dslip*",    "dslline*",
    "dsluser*",    "dyn",   "dynamic",   "dynamicip*", "dynip*",  "dynpool*",  "ftth",
    "fttx",        "gprs",  "hsd",       "hsdl*",      "modem",   "pool",      "poolip*",
    "ppp",         "pppoa", "pppoe",     "pppool*",    "umts",    "wimax",
};

// In many countries whoever registers a name does so below one of these: example.co.uk.
constexpr std::string_view registries[] = {"ac",  "ad",  "biz", "id",  "in",  "info", "k12", "sch",
                                           "co",  "com", "edu", "go",  "gob", "gouv", "gov", "ltd",
                                           "mil", "ne",  "net", "nom", "or",  "org"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// Runs of characters of one kind, in order. `gap` is what stands between a run and the one before.
template <class Is>
std::vector<std::string_view> runs(std::string_view text, Is is) {
    std::vector<std::string_view> found;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at;
        while (end < text.size() && is(text[end])) ++end;
        if (end > at) found.push_back(text.substr(at, end - at));
        at = std::max(end, at + 1);
    }
    return found;
}

std::optional<std::uint64_t> number(std::string_view digits, int base) {
    std::uint64_t value = 0;
    auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (fault != std::errc{} || end != digits.data() + digits.size()) return {};
    return value;
}

// The values stand one after the other in `tokens`, forwards or backwards.
template <std::size_t count>
bool in_a_row(const std::vector<std::string_view>& tokens, int base, std::size_t longest,
              const std::array<std::uint64_t, count>& values) {
    std::array<std::uint64_t, count> backwards = values;
    std::ranges::reverse(backwards);
    for (std::size_t first = 0; first + count <= tokens.size(); ++first)
        for (const auto& wanted : {values, backwards}) {
            std::size_t same = 0;
            while (same < count && tokens[first + same].size() <= longest &&
                   number(tokens[first + same], base) == wanted[same])
                ++same;
            if (same == count) return true;
        }
    return false;
}

// What stands between two numbers of an address. Words between them make them numbers of their own:
// mail8.rack2.
bool are_neighbours(std::string_view number, std::string_view next) {
    std::string_view gap(number.end(), static_cast<std::size_t>(next.begin() - number.end()));
    return gap.find_first_not_of("-._x") == std::string_view::npos;
}

// Four numbers one after the other are the octets, in whatever order: host21-24-196-192.
bool together(const std::vector<std::string_view>& decimal,
              const std::array<std::uint64_t, 4>& octets) {
    constexpr std::size_t longest = 3;
    for (std::size_t first = 0; first + octets.size() <= decimal.size(); ++first) {
        std::array<std::optional<std::uint64_t>, 4> numbers;
        for (std::size_t i = 0; i < octets.size(); ++i) {
            std::string_view run = decimal[first + i];
            bool apart = i > 0 && !are_neighbours(decimal[first + i - 1], run);
            if (run.size() <= longest && !apart) numbers[i] = number(run, 10);
        }
        if (std::is_permutation(octets.begin(), octets.end(), numbers.begin())) return true;
    }
    return false;
}

// What stands in front of the domain itself, which may be called anything.
std::string_view before_domain(std::string_view name) {
    auto cut = [&](std::string_view text) {
        auto dot = text.rfind('.');
        return dot == std::string_view::npos ? std::string_view() : text.substr(0, dot);
    };
    std::string_view rest = cut(name);
    std::string_view second = rest.substr(rest.rfind('.') + 1);
    constexpr std::size_t country = 2;  // letters
    if (name.size() - rest.size() == country + 1 &&
        std::ranges::find(registries, second) != std::end(registries))
        rest = cut(rest);
    return cut(rest);
}

std::string digits(std::uint64_t value, int base, std::size_t width) {
    std::array<char, 24> text{};
    auto [end, fault] = std::to_chars(text.data(), text.data() + text.size(), value, base);
    std::string out(text.data(), end);
    return out.size() < width ? std::string(width - out.size(), '0') + out : out;
}

bool holds_v4(std::string_view name, const Address& address) {
    std::array<std::uint64_t, 4> octets{};
    std::copy_n(address.bytes.begin() + 12, 4, octets.begin());
    std::vector<std::string_view> decimal = runs(name, is_digit);
    std::vector<std::string_view> tokens =
        runs(name, [](char c) { return is_digit(c) || is_letter(c); });
    if (together(decimal, octets) || in_a_row(tokens, 16, 2, octets)) return true;
    std::string padded;
    std::string padded_backwards;
    std::string hex;
    std::string hex_backwards;
    std::uint64_t whole = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        padded += digits(octets[i], 10, 3);
        padded_backwards += digits(octets[3 - i], 10, 3);
        hex += digits(octets[i], 16, 2);
        hex_backwards += digits(octets[3 - i], 16, 2);
        whole = whole << 8 | octets[i];
    }
    std::string decimal_whole = digits(whole, 10, 0);
    for (std::string_view run : decimal)
        if (run == padded || run == padded_backwards || run == decimal_whole) return true;
    // With a letter or two before it: "ip18c4c015".
    return std::ranges::any_of(tokens, [&](std::string_view token) {
        return token.size() <= hex.size() + 3 &&
               (token.ends_with(hex) || token.ends_with(hex_backwards));
    });
}

bool holds_v6(std::string_view name, const Address& address) {
    std::string nibbles;
    for (std::uint8_t byte : address.bytes) nibbles += digits(byte, 16, 2);
    std::string backwards(nibbles.rbegin(), nibbles.rend());
    std::vector<std::string_view> hex = runs(name, is_hex);
    // One by one, as in ip6.arpa; half of them are enough, for the other half is the network.
    constexpr std::size_t half = 16;
    std::string single;
    for (std::string_view run : hex) {
        if (run.size() == 1)
            single += run;
        else if (run.size() >= half && (nibbles.ends_with(run) || nibbles.starts_with(run) ||
                                        backwards.starts_with(run) || backwards.ends_with(run)))
            return true;
    }
    for (std::size_t at = 0; at + half <= single.size(); ++at) {
        std::string_view part = std::string_view(single).substr(at, half);
        if (nibbles.ends_with(part) || nibbles.starts_with(part) || backwards.starts_with(part) ||
            backwards.ends_with(part))
            return true;
    }
    std::array<std::uint64_t, 8> groups{};
    for (std::size_t i = 0; i < 8; ++i)
        groups[i] =
            static_cast<std::uint64_t>(address.bytes[2 * i]) << 8 | address.bytes[2 * i + 1];
    std::array<std::uint64_t, 4> host{};
    std::copy_n(groups.begin() + 4, 4, host.begin());
    if (in_a_row(hex, 16, 4, groups)) return true;
    if (std::ranges::any_of(host, [](std::uint64_t group) { return group > 0xff; }) &&
        in_a_row(hex, 16, 4, host))
        return true;
    // 2001-db8--1 is 2001:db8::1.
    for (std::string_view label : runs(name, [](char c) { return c != '.'; })) {
        std::string text(label);
        std::ranges::replace(text, '-', ':');
        std::string_view rest = text;
        while (!rest.empty()) {
            if (parse_address(rest) == address) return true;
            auto next = rest.find(':');
            rest.remove_prefix(next == std::string_view::npos ? rest.size() : next + 1);
        }
    }
    return false;
}

}  // namespace

std::span<const std::string_view> broadband_words() { return words; }

bool matches_wildcard(std::string_view text, std::string_view pattern) {
    // The usual two fingers: on a mismatch the last '*' takes one character more.
    std::size_t at = 0;
    std::size_t in_pattern = 0;
    std::optional<std::pair<std::size_t, std::size_t>> star;
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = {at, in_pattern++};
        } else if (in_pattern < pattern.size() && lower(pattern[in_pattern]) == lower(text[at])) {
            ++at;
            ++in_pattern;
        } else if (star) {
            at = ++star->first;
            in_pattern = star->second + 1;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

std::optional<std::string> is_broadband(std::string_view name, const Address& address,
                                        std::span<const std::string> more_words) {
    constexpr std::size_t longest = 253;  // of a host name
    if (name.empty() || name.size() > longest) return {};
    std::string text;
    for (char c : name) text += lower(c);
    if (text.ends_with('.')) text.pop_back();
    if (parse_address(text)) return {};  // no name at all
    if (address.is_v4() ? holds_v4(text, address) : holds_v6(text, address))
        return "its address stands in the name";
    for (std::string_view run : runs(before_domain(text), is_letter)) {
        auto fits = [&](std::string_view word) { return matches_wildcard(run, word); };
        if (std::ranges::any_of(words, fits) || std::ranges::any_of(more_words, fits))
            return "\"" + std::string(run) + "\" stands in the name";
    }
    return {};
}

}  // namespace bandd
