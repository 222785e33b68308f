// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a line holds a literal: found by the byte of it that ordinary lines hold least. memmem
// makes a table first, which for a line takes longer than the search.
#pragma once

#include <string>
#include <string_view>

#include "core/prefilter/literals.h"

namespace bandd {

class TextFinder {
  public:
    explicit TextFinder(const Literal& literal);  // not an empty one
    bool is_in(std::string_view line) const;

  private:
    bool is_in(std::string_view line, char rarest) const;

    Literal literal_;
    std::size_t rarest_ = 0;  // its place
};

}  // namespace bandd
