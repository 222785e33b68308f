// SPDX-License-Identifier: GPL-2.0-or-later
// "did you mean X?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace bandd {

// The candidate nearest to `typed` by edit distance, if near enough to be a misspelling.
std::string_view nearest(std::string_view typed, std::span<const std::string_view> candidates);

// `did you mean "X"?`, or empty.
std::string did_you_mean(std::string_view typed, std::span<const std::string_view> candidates);

}  // namespace bandd
