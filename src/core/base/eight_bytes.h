// SPDX-License-Identifier: GPL-2.0-or-later
// Eight bytes of a text looked at in one go. Lengths vary from line to line, so that a loop over
// bytes would cost a mispredicted branch each time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace bandd {

// The first byte is the lowest eight bits.
inline std::uint64_t eight_at(const char* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return std::endian::native == std::endian::little ? word : std::byteswap(word);
}

inline constexpr std::uint64_t every_byte = 0x0101010101010101;
// A byte is marked by its highest bit.
inline constexpr std::uint64_t every_mark = 0x80 * every_byte;

// Marks the bytes that are no digits.
constexpr std::uint64_t non_digits(std::uint64_t bytes) {
    std::uint64_t numbers = bytes ^ '0' * every_byte;
    constexpr std::uint64_t ten_to_mark = 0x80 - 10;
    return (((numbers & ~every_mark) + ten_to_mark * every_byte) | numbers) & every_mark;
}

// Marks the bytes that are not printable ASCII: controls, DEL, and what is beyond ASCII.
constexpr std::uint64_t non_printables(std::uint64_t bytes) {
    std::uint64_t low = bytes & ~every_mark;
    std::uint64_t not_control = low + (0x80 - ' ') * every_byte;
    std::uint64_t is_delete = low + every_byte;
    return (~not_control | is_delete | bytes) & every_mark;
}

// Marks the first byte that is 0; of the bytes after it, some that are not 0 may be marked, too.
constexpr std::uint64_t first_zeros(std::uint64_t bytes) {
    return (bytes - every_byte) & ~bytes & every_mark;
}

// The index, from 0, of the first byte that is marked; one must be.
constexpr std::uint32_t first_marked(std::uint64_t marks) {
    return static_cast<std::uint32_t>(std::countr_zero(marks)) / 8;
}

}  // namespace bandd
