// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/count_of.h"

#include <fmt/format.h>

namespace bandd {

std::string count_of(std::size_t number, std::string_view thing) {
    if (number == 1) return fmt::format("1 {}", thing);
    constexpr std::string_view vowels = "aeiou";
    bool is_entry = thing.size() > 1 && thing.ends_with('y') &&
                    vowels.find(thing[thing.size() - 2]) == vowels.npos;
    if (is_entry) return fmt::format("{} {}ies", number, thing.substr(0, thing.size() - 1));
    bool hisses = thing.ends_with('s') || thing.ends_with('x') || thing.ends_with("ch");
    return fmt::format("{} {}{}", number, thing, hisses ? "es" : "s");
}

}  // namespace bandd
