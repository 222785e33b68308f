// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>

#include <cstring>
#include <random>

#include "core/base/prefix_set.h"
#include "core/base/result.h"
#include "core/base/suggest.h"
#include "core/base/typed_prefix.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

TEST_CASE("a block that a person types begins where it says") {
    CHECK(read_prefix("10.0.0.0/8").value() == prefix("10.0.0.0/8"));
    CHECK(read_prefix("192.0.2.7").value() == prefix("192.0.2.7"));
    CHECK(read_prefix("2001:DB8:0::/64").value() == prefix("2001:db8::/64"));
    CHECK(to_line(read_prefix("192.0.2.7/24").error()) ==
          "\"192.0.2.7/24\": no block of that size begins at 192.0.2.7; write 192.0.2.0/24 if that "
          "is meant");
    CHECK(read_prefix("2001:db8::1/64").error().hint == "write 2001:db8::/64 if that is meant");
    CHECK(read_prefix("example.org").error().reason == "is no address and no CIDR block");
}

TEST_CASE("a set of blocks takes more of them") {
    std::vector<Prefix> first{prefix("10.0.0.0/8")}, more{prefix("10.1.0.0/16"), prefix("::1")};
    PrefixSet set(first);
    set.add(more);
    CHECK(set.contains(ip("10.2.0.1")));
    CHECK(set.contains(ip("::1")));
    CHECK_FALSE(set.contains(ip("11.0.0.1")));
    CHECK(set == PrefixSet(std::vector<Prefix>{prefix("10.0.0.0/8"), prefix("::1")}));
}

TEST_CASE("an attacker has one address, however a log writes it") {
    for (const char* text :
         {"203.0.113.9", "::ffff:203.0.113.9", "[::ffff:203.0.113.9]", "::FFFF:cb00:7109"})
        CHECK(to_string(ip(text)) == "203.0.113.9");
    for (const char* text : {"2001:db8::9", "[2001:db8::9]", "2001:DB8:0:0::9", "2001:db8::9%eth0"})
        CHECK(to_string(ip(text)) == "2001:db8::9");
}

TEST_CASE("IPv4 addresses are what inet_pton takes for one") {
    std::mt19937 random(3);
    std::size_t addresses = 0;
    for (int round = 0; round < 200'000; ++round) {
        std::string text;
        for (std::size_t i = random() % 16; i > 0; --i) text += "0012589....a"[random() % 12];
        if (round % 2 == 0) {
            text.clear();
            for (int i = 0; i < 4; ++i) text += (i > 0 ? "." : "") + std::to_string(random() % 300);
        }
        in_addr expected{};
        bool is_one = inet_pton(AF_INET, text.c_str(), &expected) == 1;
        auto address = parse_address(text);
        INFO(text);
        REQUIRE(address.has_value() == is_one);
        if (!is_one) continue;
        ++addresses;
        CHECK(std::memcmp(address->bytes.data() + 12, &expected, 4) == 0);
    }
    CHECK(addresses > 10'000);
}

TEST_CASE("what is no address is refused") {
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "010.1.1.1", "1.2.3.4 ", "host",
                             "::1::", "12345::", "[::1", "1.2.3.4/8"})
        CHECK_FALSE(parse_address(text));
    CHECK_FALSE(parse_address({"1.2.3.4\0x", 9}));
    CHECK_FALSE(parse_address({"::1\0x", 5}));
    for (const char* text : {"1.2.3.4/33", "1.2.3.4/", "::/129", "1.2.3.4/-1", "1.2.3.4/8x"})
        CHECK_FALSE(parse_prefix(text));
}

TEST_CASE("an IPv4 address is one to us if it is one to inet_pton") {
    std::mt19937 random(3);
    const std::string letters = "0001122559..... a";
    std::size_t good = 0;
    for (int round = 0; round < 200'000; ++round) {
        std::string text;
        if (round % 2 == 0) {
            for (int part = 0; part < 4; ++part)
                text += (part > 0 ? "." : "") + std::to_string(random() % 300);
            if (random() % 4 == 0) text.insert(random() % text.size(), 1, letters[random() % 17]);
        } else {
            for (std::size_t i = random() % 16; i > 0; --i) text += letters[random() % 17];
        }
        in_addr expected{};
        auto address = parse_address(text);
        bool valid = inet_pton(AF_INET, text.c_str(), &expected) == 1;
        INFO(text);
        REQUIRE(address.has_value() == valid);
        if (!valid) continue;
        ++good;
        REQUIRE(address->is_v4());
        REQUIRE(std::memcmp(address->bytes.data() + 12, &expected, 4) == 0);
    }
    CHECK(good > 10'000);
}

TEST_CASE("prefixes have no host bits, and hold what they should") {
    CHECK(to_string(prefix("192.0.2.77/24")) == "192.0.2.0/24");
    CHECK(to_string(make_prefix(ip("2001:db8::1:2:3:4"), 64)) == "2001:db8::/64");
    CHECK(to_string(prefix("192.0.2.1/32")) == "192.0.2.1");
    CHECK(contains(prefix("192.0.2.0/24"), ip("192.0.2.255")));
    CHECK_FALSE(contains(prefix("192.0.2.0/24"), ip("192.0.3.0")));
    CHECK_FALSE(contains(prefix("::/0"), ip("192.0.2.1")));
    CHECK(to_string(last_address(prefix("10.0.0.0/8"))) == "10.255.255.255");
}

TEST_CASE("a prefix set answers as a walk over its list would") {
    std::vector<Prefix> list{prefix("10.0.0.0/8"), prefix("10.1.0.0/16"),   prefix("192.0.2.1"),
                             prefix("192.0.2.2"),  prefix("2001:db8::/32"), prefix("127.0.0.0/8")};
    PrefixSet set(list);
    for (const char* text : {"10.0.0.0", "10.255.255.255", "11.0.0.0", "9.255.255.255", "192.0.2.0",
                             "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::", "2001:db7:ffff::",
                             "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "127.0.0.1"}) {
        bool expected = false;
        for (const Prefix& one : list) expected = expected || contains(one, ip(text));
        INFO(text);
        CHECK(set.contains(ip(text)) == expected);
    }
    CHECK(set.overlaps(prefix("192.0.0.0/16")));
    CHECK(set.overlaps(prefix("10.2.3.0/24")));
    CHECK_FALSE(set.overlaps(prefix("192.0.3.0/24")));
    CHECK_FALSE(PrefixSet{}.contains(ip("1.2.3.4")));
}

TEST_CASE("a prefix set says of blocks of every length whether something of it is in them") {
    std::mt19937 random(7);
    auto some = [&] {
        Address address = random() % 2 == 0 ? ip("10.0.0.0") : ip("2001:db8::");
        // Few different bytes, so that many blocks meet.
        for (std::size_t i = address.is_v4() ? 13 : 4; i < 16; ++i)
            address.bytes[i] = static_cast<std::uint8_t>(random() % 3 * 127);
        auto shortest = static_cast<int>(3 + random() % 9);
        return make_prefix(
            address, shortest + static_cast<int>(random() % 128) % (address.bits() - shortest + 1));
    };
    std::size_t met = 0;
    for (int round = 0; round < 2000; ++round) {
        std::vector<Prefix> list{some(), some(), some()};
        Prefix block = some();
        bool expected = false;
        for (const Prefix& one : list)
            if (one.is_v4() == block.is_v4())
                expected = expected || contains(one, block.network) || contains(block, one.network);
        INFO(to_string(block) << " " << to_string(list[0]) << " " << to_string(list[1]) << " "
                              << to_string(list[2]));
        REQUIRE(PrefixSet(list).overlaps(block) == expected);
        met += expected ? 1 : 0;
    }
    CHECK(met > 200);
    CHECK(met < 1800);
}

TEST_CASE("durations are read as fail2ban reads them") {
    CHECK(parse_duration("90") == 90s);
    CHECK(parse_duration("10m") == 10min);
    CHECK(parse_duration("1d12h30m") == 36h + 30min);
    CHECK(parse_duration("1h 30m") == 90min);
    CHECK(parse_duration("1.5h") == 90min);
    CHECK(parse_duration("2 weeks") == 336h);
    CHECK(parse_duration("forever") == forever);
    CHECK(parse_duration("-1") == forever);
    for (const char* text : {"", " ", "ten", "10x", "-5m", "1h-", "m", "1e3", "nan", "inf"})
        CHECK_FALSE(parse_duration(text));
    CHECK(format_duration(36h + 30min) == "1d 12h");
    CHECK(format_duration(0s) == "0s");
    CHECK(format_duration(forever) == "forever");
}

TEST_CASE("time that never comes stays so") {
    CHECK(at(0) + forever == never);
    CHECK(never - 5s == never);
    CHECK(never - at(0) == forever);
    CHECK(at(0) + 1h == at(3600));
}

TEST_CASE("an error is one line: place, what, reason, what to do") {
    Error error{"unknown key \"maxrety\"",
                "in jail \"sshd\"",
                "did you mean \"maxretry\"?",
                {"/etc/bandd/jails/sshd.yaml", 3, 5}};
    CHECK(to_line(error) ==
          "/etc/bandd/jails/sshd.yaml:3:5: unknown key \"maxrety\": in jail \"sshd\"; did you mean "
          "\"maxretry\"?");
}

TEST_CASE("misspelt names are guessed, strange ones are not") {
    std::vector<std::string_view> names{"maxretry", "findtime", "bantime"};
    CHECK(nearest("maxrety", names) == "maxretry");
    CHECK(nearest("bantme", names) == "bantime");
    CHECK(nearest("zebra", names).empty());
}
