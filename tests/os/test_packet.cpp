// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/packet.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("packet: fields come out as they went in") {
    std::string packet;
    append_field(packet, "one");
    append_field(packet, "");
    append_field(packet, as_bytes(std::uint64_t{7}));
    std::string_view rest = packet;
    CHECK(take_field(rest) == "one");
    CHECK(take_field(rest) == "");
    CHECK(from_bytes<std::uint64_t>(take_field(rest).value()) == 7);
    CHECK_FALSE(take_field(rest));
}

TEST_CASE("packet: after a field that is not whole, no later one is found") {
    // A lying helper: a length beyond the end, followed by what looks like fields.
    std::string packet;
    append_field(packet, "one");
    packet += as_bytes(std::uint32_t{1000});
    append_field(packet, "x");
    for (std::uint32_t length : {1000U, 6U, 0x7fffffffU, 0xffffffffU}) {
        packet.replace(7, 4, as_bytes(length));
        std::string_view rest = packet;
        CHECK(take_field(rest) == "one");
        for (int i = 0; i < 4; ++i) CHECK_FALSE(take_field(rest));
    }
    // Cut anywhere: all that is found is what went in.
    std::string whole;
    append_field(whole, "abc");
    append_field(whole, "defg");
    for (std::size_t length = 0; length < whole.size(); ++length) {
        std::string_view rest = std::string_view(whole).substr(0, length);
        auto first = take_field(rest);
        auto second = take_field(rest);
        CHECK(first.has_value() == (length >= 7));
        CHECK_FALSE(second);
    }
}
