// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace bandd {
namespace {

// Number of leading bits that `prefix` fixes in the 16-byte form.
int fixed_bits(const Prefix& prefix) { return prefix.is_v4() ? 96 + prefix.length : prefix.length; }

void clear_after(Address& address, int bits) {
    auto whole = static_cast<std::size_t>(std::clamp(bits, 0, 128) / 8);
    if (whole == address.bytes.size()) return;
    address.bytes[whole] &= static_cast<std::uint8_t>(0xff00 >> bits % 8);
    std::fill(address.bytes.begin() + static_cast<std::ptrdiff_t>(whole) + 1, address.bytes.end(),
              std::uint8_t{0});
}

// Four numbers, as inet_pton takes them: without leading zeros, all of the text. Each hit has one.
bool parse_v4(std::string_view text, std::uint8_t* out) {
    const char* at = text.data();
    const char* end = at + text.size();
    for (int i = 0; i < 4; ++i) {
        if (i > 0 && (at == end || *at++ != '.')) return false;
        const char* begin = at;
        unsigned number = 0;
        while (at != end && *at >= '0' && *at <= '9' && at - begin < 3)
            number = number * 10 + static_cast<unsigned>(*at++ - '0');
        bool leads_with_zero = at - begin > 1 && *begin == '0';
        if (at == begin || leads_with_zero || number > 255) return false;
        out[i] = static_cast<std::uint8_t>(number);
    }
    return at == end;
}

bool parse_v6(std::string_view text, void* out) {
    std::array<char, INET6_ADDRSTRLEN> copy;  // ends with 0, and must not hold one before
    if (text.empty() || text.size() >= copy.size()) return false;
    std::memcpy(copy.data(), text.data(), text.size());
    copy[text.size()] = '\0';
    return inet_pton(AF_INET6, copy.data(), out) == 1 && std::strlen(copy.data()) == text.size();
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
    Address address;
    std::memcpy(address.bytes.data(), Address::mapped_head.data(), Address::mapped_head.size());
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    text = text.substr(0, text.find('%'));
    if (parse_v4(text, address.bytes.data() + Address::mapped_head.size())) return address;
    if (parse_v6(text, address.bytes.data())) return address;
    return {};
}

std::optional<Prefix> parse_prefix(std::string_view text) {
    auto slash = text.find('/');
    auto address = parse_address(text.substr(0, slash));
    if (!address) return {};
    int length = address->bits();
    if (slash != std::string_view::npos) {
        auto digits = text.substr(slash + 1);
        auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
        if (error != std::errc{} || rest != digits.data() + digits.size() || digits.empty() ||
            length < 0 || length > address->bits())
            return {};
    }
    return make_prefix(*address, length);
}

Prefix make_prefix(const Address& address, int length) {
    Prefix prefix{address, static_cast<std::uint8_t>(std::clamp(length, 0, address.bits()))};
    clear_after(prefix.network, fixed_bits(prefix));
    return prefix;
}

namespace {

// 64:ff9b::/96
constexpr std::array<std::uint8_t, 12> well_known_prefix{0x00, 0x64, 0xff, 0x9b};

bool is_well_known(const Address& address) {
    return std::memcmp(address.bytes.data(), well_known_prefix.data(), well_known_prefix.size()) ==
           0;
}

}  // namespace

bool Address::is_translated() const {
    constexpr std::array<std::uint8_t, 6> local_use{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    return is_well_known(*this) ||
           std::memcmp(bytes.data(), local_use.data(), local_use.size()) == 0;
}

Address untranslated(const Address& address) {
    if (!is_well_known(address)) return address;
    Address v4 = address;
    std::memcpy(v4.bytes.data(), Address::mapped_head.data(), Address::mapped_head.size());
    return v4;
}

Prefix host_prefix(const Address& address) {
    bool is_one = address.is_v4() || address.is_translated();
    return make_prefix(address, is_one ? address.bits() : ipv6_host_length);
}

bool contains(const Prefix& prefix, const Address& address) {
    if (prefix.is_v4() != address.is_v4()) return false;
    Address masked = address;
    clear_after(masked, fixed_bits(prefix));
    return masked == prefix.network;
}

Address last_address(const Prefix& prefix) {
    Address last = prefix.network;
    int bits = fixed_bits(prefix);
    for (int i = 0; i < 16; ++i) {
        int keep = std::clamp(bits - i * 8, 0, 8);
        last.bytes[i] |= static_cast<std::uint8_t>(0xff >> keep);
    }
    return last;
}

std::string to_string(const Address& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.is_v4())
        inet_ntop(AF_INET, address.bytes.data() + 12, text.data(), text.size());
    else
        inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
    return text.data();
}

std::string to_string(const Prefix& prefix) {
    std::string text = to_string(prefix.network);
    if (!prefix.is_single()) text += "/" + std::to_string(prefix.length);
    return text;
}

namespace {

struct HashSeed {
    std::uint64_t high = 0xa0761d6478bd642fULL;
    std::uint64_t low = 0xe7037ed1a0b428dbULL;
};

// The two halves of the product, one over the other.
std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) {
#ifdef __SIZEOF_INT128__
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else  // processors of 32 bits
    constexpr std::uint64_t half = 0xffffffff;
    std::uint64_t low = (a & half) * (b & half);
    std::uint64_t left = (a >> 32) * (b & half) + (low >> 32);  // neither overflows
    std::uint64_t right = (a & half) * (b >> 32) + (left & half);
    std::uint64_t high = (a >> 32) * (b >> 32) + (left >> 32) + (right >> 32);
    return high ^ (right << 32 | (low & half));
#endif
}

// Multiply-and-fold as in wyhash: attackers choose the low bits of their addresses, so each bit
// must reach the whole result.
std::uint64_t folded(const Prefix& prefix, const HashSeed& seed) {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, prefix.network.bytes.data(), 8);
    std::memcpy(&low, prefix.network.bytes.data() + 8, 8);
    return folded_product(high ^ seed.high ^ prefix.length, low ^ seed.low);
}

HashSeed table_seed;  // set once, before the first table

}  // namespace

void seed_prefix_hash(std::uint64_t high, std::uint64_t low) { table_seed = {high, low}; }

std::uint64_t hash_of(const Prefix& prefix) { return folded(prefix, {}); }

std::size_t PrefixHash::operator()(const Prefix& prefix) const {
    return static_cast<std::size_t>(folded(prefix, table_seed));
}

}  // namespace bandd
