// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/fields.h"

#include <algorithm>

namespace bandd {

std::optional<std::string_view> Fields::find(std::string_view name) const {
    for (const auto& [known, value] : *this)
        if (known == name) return value;
    return {};
}

void Fields::add(std::string_view name, std::string_view value) {
    Sizes sizes{static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())};
    // What is asked for first is enough for most, so that memory that goes from hit to hit does not
    // have to grow each time.
    constexpr std::size_t enough_for_most = 112;
    std::size_t at = bytes_.size();
    std::size_t size = at + sizeof sizes + name.size() + value.size();
    if (bytes_.capacity() < size) bytes_.reserve(std::max(size, enough_for_most));
    bytes_.resize(size);
    char* out = bytes_.data() + at;
    std::memcpy(out, &sizes, sizeof sizes);
    out += sizeof sizes;
    if (!name.empty()) std::memcpy(out, name.data(), name.size());
    if (!value.empty()) std::memcpy(out + name.size(), value.data(), value.size());
}

void Fields::set(std::string_view name, std::string_view value) {
    Fields changed;
    bool known = false;
    for (const auto& [one, old] : *this) {
        bool same = one == name && !known;
        known = known || same;
        changed.add(one, same ? value : old);
    }
    if (!known) changed.add(name, value);
    *this = std::move(changed);
}

void Fields::erase(std::string_view name) {
    Fields left;
    for (const auto& [one, value] : *this)
        if (one != name) left.add(one, value);
    *this = std::move(left);
}

}  // namespace bandd
