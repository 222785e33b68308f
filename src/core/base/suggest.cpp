// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/suggest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace bandd {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view typed, std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t best_distance = typed.size() / 3 + 2;  // farther away is another word
    for (std::string_view candidate : candidates) {
        std::size_t distance = edit_distance(typed, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view typed, std::span<const std::string_view> candidates) {
    std::string_view best = nearest(typed, candidates);
    if (best.empty()) return {};
    return "did you mean \"" + std::string(best) + "\"?";
}

}  // namespace bandd
