// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <random>

#include "core/base/eight_bytes.h"

namespace bandd {
namespace {

// Number of leading bits that `prefix` fixes in the 16-byte form.
int fixed_bits(const Prefix& prefix) { return prefix.is_v4() ? 96 + prefix.length : prefix.length; }

void clear_behind(Address& address, int bits) {
    auto whole = static_cast<std::size_t>(std::clamp(bits, 0, 128) / 8);
    if (whole == address.bytes.size()) return;
    address.bytes[whole] &= static_cast<std::uint8_t>(0xff00 >> bits % 8);
    std::fill(address.bytes.begin() + static_cast<std::ptrdiff_t>(whole) + 1, address.bytes.end(),
              std::uint8_t{0});
}

constexpr std::size_t shortest_v4 = std::string_view("1.2.3.4").size();
constexpr std::size_t longest_v4 = std::string_view("203.203.203.203").size();

// "203.0.113.9", as inet_pton takes it: no leading zeros, no spaces. All at once, as how many
// digits a number has is different in each line.
bool parse_v4(std::string_view text, std::uint8_t* out) {
    const std::size_t size = text.size();
    if (size < shortest_v4 || size > longest_v4) return false;
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::size_t tail_at = 0;
    if (size == shortest_v4) {
        std::array<char, 8> padded{};
        std::memcpy(padded.data(), text.data(), shortest_v4);
        padded.back() = '0';
        head = tail = eight_at(padded.data());
    } else {
        tail_at = size - 8;
        head = eight_at(text.data());
        tail = eight_at(text.data() + tail_at);
    }
    auto positions = [&](auto marks) {
        return marks_as_bits(marks(head)) | marks_as_bits(marks(tail)) << tail_at;
    };
    std::uint32_t dots =
        positions([](std::uint64_t bytes) { return zeros(bytes ^ '.' * every_byte); });
    // Three of them: std::popcount is a call, where the processor is not known to count bits.
    auto but_first = [](std::uint32_t bits) { return bits & (bits - 1); };
    std::uint32_t third = but_first(but_first(dots));
    if (third == 0 || but_first(third) != 0 || dots != positions(non_digits)) return false;
    dots |= std::uint32_t{1} << size;
    std::size_t begin = 0;
    bool good = true;
    for (int part = 0; part < 4; ++part) {
        auto end = static_cast<std::size_t>(std::countr_zero(dots));
        dots &= dots - 1;
        std::size_t digits = end - begin;
        if (digits - 1 > 2) return false;
        auto digit = [&](std::size_t at) { return static_cast<unsigned>(text[at] - '0'); };
        std::size_t second = digits > 1 ? end - 2 : begin;
        unsigned value = digit(end - 1) + (digits > 1 ? 10 : 0) * digit(second) +
                         (digits > 2 ? 100 : 0) * digit(begin);
        good = good && value <= 255 && (digits == 1 || text[begin] != '0');
        out[part] = static_cast<std::uint8_t>(value);
        begin = end + 1;
    }
    return good;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
    Address address;
    std::memcpy(address.bytes.data(), Address::mapped_head.data(), Address::mapped_head.size());
    std::uint8_t* v4 = address.bytes.data() + Address::mapped_head.size();
    if (parse_v4(text, v4)) return address;
    std::size_t written = text.size();
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    text = text.substr(0, text.find('%'));
    if (text.size() < written && parse_v4(text, v4)) return address;
    std::array<char, INET6_ADDRSTRLEN> copy{};
    if (text.empty() || text.size() >= copy.size()) return {};
    std::memcpy(copy.data(), text.data(), text.size());
    if (inet_pton(AF_INET6, copy.data(), address.bytes.data()) != 1) return {};
    return address;
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
    clear_behind(prefix.network, fixed_bits(prefix));
    return prefix;
}

Prefix host_prefix(const Address& address) {
    return make_prefix(address, address.is_v4() ? address.bits() : ipv6_host_length);
}

bool contains(const Prefix& prefix, const Address& address) {
    if (prefix.is_v4() != address.is_v4()) return false;
    Address masked = address;
    clear_behind(masked, fixed_bits(prefix));
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

HashSeed random_seed() {
    std::random_device random;
    auto number = [&] { return std::uint64_t{random()} << 32 | random(); };
    return {number(), number()};
}

// Multiply-and-fold as in wyhash: attackers choose the low bits of their addresses, so each bit
// must reach the whole result.
std::uint64_t folded(const Prefix& prefix, const HashSeed& seed) {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, prefix.network.bytes.data(), 8);
    std::memcpy(&low, prefix.network.bytes.data() + 8, 8);
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(high ^ seed.high ^ prefix.length) * (low ^ seed.low);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

const HashSeed table_seed = random_seed();

}  // namespace

std::uint64_t hash_of(const Prefix& prefix) { return folded(prefix, {}); }

std::size_t PrefixHash::operator()(const Prefix& prefix) const {
    return static_cast<std::size_t>(folded(prefix, table_seed));
}

}  // namespace bandd
