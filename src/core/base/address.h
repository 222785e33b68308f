// SPDX-License-Identifier: GPL-2.0-or-later
// IP addresses and prefixes as 16-byte values. IPv4 is kept as IPv4-mapped IPv6, so that one
// attacker has one value however a log writes it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

struct Address {
    static constexpr std::array<std::uint8_t, 12> mapped_head{0, 0, 0, 0, 0,    0,
                                                              0, 0, 0, 0, 0xff, 0xff};
    std::array<std::uint8_t, 16> bytes{};  // network order
    auto operator<=>(const Address&) const = default;

    bool is_v4() const {
        return std::memcmp(bytes.data(), mapped_head.data(), mapped_head.size()) == 0;
    }
    int bits() const { return is_v4() ? 32 : 128; }
    // An IPv4 host that came through a translator (NAT64, SIIT): 64:ff9b::/96 (RFC 6052), or
    // 64:ff9b:1::/48 (RFC 8215), of which each network chooses where the IPv4 address stands.
    bool is_translated() const;
};

// An address block. `length` counts in the address's own family: 0..32 for IPv4, 0..128 for IPv6.
// Bits after the first `length` are zero (see `make_prefix`).
struct Prefix {
    Address network;
    std::uint8_t length = 0;
    auto operator<=>(const Prefix&) const = default;

    bool is_v4() const { return network.is_v4(); }
    bool is_single() const { return length == network.bits(); }
};

// Accepts 1.2.3.4, ::1, ::ffff:1.2.3.4 (gives IPv4), [::1], fe80::1%eth0 (the zone is dropped).
// Refuses octal-looking and shortened IPv4 ("010.1.1.1", "1.2.3").
std::optional<Address> parse_address(std::string_view text);

// As parse_address, with an optional "/length". Host bits are cleared.
std::optional<Prefix> parse_prefix(std::string_view text);

// Clears the host bits; a length over the family's size means a single address.
Prefix make_prefix(const Address& address, int length);

// An IPv6 network is a /64 (RFC 4291, 2.5.1), and a host in it may use each of its addresses. So a
// /64 counts as one host: wherever hosts are told apart, and as the default of `ban_prefix: ipv6`
// of a jail.
inline constexpr int ipv6_host_length = 64;
// One host: an IPv4 address, also one that was translated, or the /64 of an IPv6 address. The
// kernel sees what was translated as IPv6, so it stays an IPv6 address; but its /64 is all of IPv4.
Prefix host_prefix(const Address& address);
// The IPv4 address that one of 64:ff9b::/96 stands for. Any other address stands for itself.
Address untranslated(const Address& address);

bool contains(const Prefix& prefix, const Address& address);
Address last_address(const Prefix& prefix);

std::string to_string(const Address& address);
std::string to_string(const Prefix& prefix);  // without "/length" for a single address

// The same in every run.
std::uint64_t hash_of(const Prefix& prefix);

// The hash of tables. Whoever does not know the seed cannot choose addresses that fall together in
// one, so a program sets another seed in every run: once, before it makes the first table. Without
// that it is fixed, as in tests.
void seed_prefix_hash(std::uint64_t high, std::uint64_t low);
struct PrefixHash {
    std::size_t operator()(const Prefix& prefix) const;
};

}  // namespace bandd
