// SPDX-License-Identifier: GPL-2.0-or-later
// Small memories as bytes for a checkpoint, and back: texts one after the other, each after its
// length in bytes and a colon. "joe" and 42 are written as "3:joe2:42".
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace bandd {

inline void put(std::string& out, std::string_view text) {
    out += std::to_string(text.size());
    out += ':';
    out += text;
}
inline void put(std::string& out, std::int64_t number) { put(out, std::to_string(number)); }

// Reads what `put` wrote, in the same order. The first thing that `put` would not have written
// makes the reader bad: `good` is false, and everything read from then on is empty or 0.
struct DumpReader {
    std::string_view rest;
    bool good = true;

    std::string text() {
        auto colon = rest.find(':');
        std::size_t size = 0;
        if (colon > 9) return good = false, "";  // not there, or no length that we write
        std::string digits(rest.substr(0, colon));
        auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
        if (fault != std::errc{} || end != digits.data() + digits.size() ||
            rest.size() - colon - 1 < size)
            return good = false, "";
        std::string out(rest.substr(colon + 1, size));
        rest.remove_prefix(colon + 1 + size);
        return out;
    }
    std::int64_t number() {
        std::string digits = text();
        std::int64_t value = 0;
        auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (fault != std::errc{} || end != digits.data() + digits.size()) good = false;
        return value;
    }
    // How many things follow. More than there are bytes left is bad, so that nobody reserves memory
    // for what cannot be there.
    std::size_t count() {
        std::int64_t value = number();
        if (value < 0 || static_cast<std::size_t>(value) > rest.size()) good = false;
        return good ? static_cast<std::size_t>(value) : 0;
    }
};

}  // namespace bandd
