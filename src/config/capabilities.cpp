// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/capabilities.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace bandd {

std::optional<unsigned> capability_number(std::string_view name) {
    std::string lower = ascii_lower(name);
    std::string_view wanted = lower;
    if (wanted.starts_with("cap_")) wanted.remove_prefix(4);
    auto found = std::ranges::find(capability_names, wanted);
    if (found == capability_names.end()) return {};
    return static_cast<unsigned>(found - capability_names.begin());
}

std::string capabilities_text(Capabilities capabilities) {
    std::string text;
    for (std::size_t i = 0; i < capability_names.size(); ++i)
        if ((capabilities >> i & 1) != 0)
            text += (text.empty() ? "" : ", ") + std::string(capability_names[i]);
    return text.empty() ? "none" : text;
}

}  // namespace bandd
