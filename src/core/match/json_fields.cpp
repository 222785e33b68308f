// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/json_fields.h"

#include "core/text/datetime.h"

namespace bandd {

std::optional<Address> parse_peer(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (auto address = parse_address(text)) return address;
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon + 1 == text.size() ||
        text.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
        return {};
    // Without brackets an IPv6 address with a port could be another address.
    std::string_view host = text.substr(0, colon);
    bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (!bracketed && host.find(':') != std::string_view::npos) return {};
    return parse_address(host);
}

std::optional<Address> json_address(const JsonLayout& layout, const JsonReader& line) {
    for (std::size_t number : layout.ip)
        if (auto text = line.value(number)) return parse_peer(*text);
    return {};
}

void add_json_fields(const JsonLayout& layout, const JsonReader& line, Fields& fields) {
    for (const auto& [name, number] : layout.fields)
        if (auto value = line.value(number); value && !value->empty() && !fields.has(name))
            fields.add(name, *value);
}

std::optional<Instant> json_time(const JsonLayout& layout, const JsonReader& line, const Zone& zone,
                                 Instant arrival) {
    if (!layout.time) return {};
    auto value = line.value(*layout.time);
    if (!value) return {};
    return read_time(*value, zone, arrival);
}

}  // namespace bandd
