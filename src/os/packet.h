// SPDX-License-Identifier: GPL-2.0-or-later
// Packets between the daemon and its helper processes: fields, each led by its length. Both sides
// are the same program, so numbers stand as they are in memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

inline void append_field(std::string& packet, std::string_view field) {
    auto size = static_cast<std::uint32_t>(field.size());
    packet.append(reinterpret_cast<const char*>(&size), sizeof size);
    packet.append(field);
}

// Nothing if no whole field is left; the packet is then as it was, so that further calls find
// nothing either.
inline std::optional<std::string_view> take_field_view(std::string_view& packet) {
    std::uint32_t size = 0;
    if (packet.size() < sizeof size) return {};
    std::memcpy(&size, packet.data(), sizeof size);
    if (packet.size() - sizeof size < size) return {};
    std::string_view field = packet.substr(sizeof size, size);
    packet.remove_prefix(sizeof size + size);
    return field;
}
inline std::optional<std::string> take_field(std::string_view& packet) {
    auto field = take_field_view(packet);
    if (!field) return {};
    return std::string(*field);
}

template <class Number>
std::string as_bytes(Number number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
}
template <class Number>
Number from_bytes(const std::string& bytes) {
    Number number{};
    if (bytes.size() == sizeof number) std::memcpy(&number, bytes.data(), sizeof number);
    return number;
}

}  // namespace bandd
