// SPDX-License-Identifier: GPL-2.0-or-later
// Every configuration key, once: what `check` accepts, what the reference page says.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace bandd {

struct Key {
    std::string_view section;  // "bandd.yaml", "jail", "filter", "action nftables", …
    std::string_view name;
    std::string_view type;      // for the reader: "duration", "list of addresses"
    std::string_view fallback;  // what holds without it
    std::string_view help;
};

std::span<const Key> all_keys();
std::vector<std::string_view> keys_of(std::string_view section);

// The reference as Markdown (docs/configuration.md).
std::string keys_markdown();

}  // namespace bandd
