// SPDX-License-Identifier: GPL-2.0-or-later
// What a node of a fleet keeps in its state, by keys of its own: a row, whatever it means.
#pragma once

#include <optional>
#include <string>

namespace bandd {

struct FleetRow {
    std::string kind, key;
    std::optional<std::string> value;  // nothing: forgotten
    bool operator==(const FleetRow&) const = default;
};

}  // namespace bandd
