// SPDX-License-Identifier: GPL-2.0-or-later
// Eight bytes of a text looked at in one go. Lengths vary from line to line, so that a loop over
// bytes would cost a mispredicted branch each time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace bandd {

// The first one lowest.
inline std::uint64_t eight_at(const char* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return std::endian::native == std::endian::little ? word : std::byteswap(word);
}

inline constexpr std::uint64_t every_byte = 0x0101010101010101;
inline constexpr std::uint64_t every_mark = 0x80 * every_byte;  // what a byte is marked by

// Marks the bytes that are no digits.
constexpr std::uint64_t non_digits(std::uint64_t bytes) {
    std::uint64_t numbers = bytes ^ '0' * every_byte;
    constexpr std::uint64_t ten_to_mark = 0x80 - 10;
    return (((numbers & ~every_mark) + ten_to_mark * every_byte) | numbers) & every_mark;
}

// Marks the bytes that are 0.
constexpr std::uint64_t zeros(std::uint64_t bytes) {
    return ~(((bytes & ~every_mark) + ~every_mark) | bytes) & every_mark;
}
// The same for who looks at the first one only: what is behind it may be marked, too.
constexpr std::uint64_t first_zeros(std::uint64_t bytes) {
    return (bytes - every_byte) & ~bytes & every_mark;
}

// Which byte the first mark is on; there is one.
constexpr std::uint32_t first_marked(std::uint64_t marks) {
    return static_cast<std::uint32_t>(std::countr_zero(marks)) / 8;
}

// Bit by bit: the first byte's mark is the lowest.
constexpr std::uint32_t marks_as_bits(std::uint64_t marks) {
    return static_cast<std::uint32_t>((marks >> 7) * 0x0102040810204080 >> 56);
}

}  // namespace bandd
