// SPDX-License-Identifier: GPL-2.0-or-later
// How often texts are in ordinary lines, letter case aside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bandd {

class Ordinary {
  public:
    // Made once, as there is a gate for each log.
    static const Ordinary& lines();

    // Of a text of at most `longest` bytes, so many times.
    static constexpr std::size_t longest = 6;
    double in_a_line(std::string_view text) const { return found(text) / lines_; }
    double in_a_kilobyte(std::string_view text) const { return found(text) / kilobytes_; }
    // Of a text of any length, at most so many times.
    double most_in_a_line(std::string_view text) const;

  private:
    Ordinary();
    double found(std::string_view text) const;

    std::vector<std::uint64_t> parts_;  // all that are `longest` bytes long, sorted
    double kilobytes_ = 0;
    double lines_ = 0;
};

}  // namespace bandd
