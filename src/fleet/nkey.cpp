// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/nkey.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace bandd {
namespace {

constexpr std::string_view base32_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr unsigned seed_prefix = 18U << 3U, user_prefix = 20U << 3U;
constexpr std::size_t key_size = 32;

// CRC-16/XMODEM.
std::uint16_t check_sum(std::string_view bytes) {
    unsigned sum = 0;
    for (char c : bytes) {
        sum ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8U;
        for (int bit = 0; bit < 8; ++bit)
            sum = ((sum << 1U) ^ ((sum & 0x8000U) != 0 ? 0x1021U : 0U)) & 0xffffU;
    }
    return static_cast<std::uint16_t>(sum);
}

std::string to_base32(std::string_view bytes) {
    std::string text;
    unsigned held = 0, bits = 0;
    for (char c : bytes) {
        held = held << 8U | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 5; bits -= 5) text += base32_letters[(held >> (bits - 5)) & 31U];
        held &= 0xffU;
    }
    if (bits > 0) text += base32_letters[(held << (5 - bits)) & 31U];
    return text;
}

std::optional<std::string> from_base32(std::string_view text) {
    std::string bytes;
    unsigned held = 0, bits = 0;
    for (char c : text) {
        auto value = base32_letters.find(c);
        if (value == std::string_view::npos) return {};
        held = held << 5U | static_cast<unsigned>(value);
        bits += 5;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(held >> bits & 0xffU);
        held &= (1U << bits) - 1;
    }
    return bytes;
}

std::unexpected<Error> no_random_bytes() { return fail("OpenSSL", "has no random bytes"); }

std::string with_check_sum(std::string bytes) {
    auto sum = check_sum(bytes);
    bytes += static_cast<char>(sum & 0xffU);
    bytes += static_cast<char>(sum >> 8U);
    return to_base32(bytes);
}

}  // namespace

Result<std::string> make_nkey_seed() {
    std::string bytes;
    bytes += static_cast<char>(seed_prefix | user_prefix >> 5U);
    bytes += static_cast<char>((user_prefix & 31U) << 3U);
    std::array<unsigned char, key_size> random{};
    if (RAND_bytes(random.data(), random.size()) != 1) return no_random_bytes();
    bytes.append(reinterpret_cast<const char*>(random.data()), random.size());
    return with_check_sum(std::move(bytes));
}

Result<std::string> public_nkey_of(std::string_view seed_text) {
    auto bytes = from_base32(seed_text);
    auto bad = [] {
        return fail("seed", "is no seed of a NATS user",
                    "make another one by: bandctl fleet rotate NODE");
    };
    if (!bytes || bytes->size() != 2 + key_size + 2) return bad();
    std::string whole = bytes->substr(0, 2 + key_size);
    if (with_check_sum(whole) != seed_text) return bad();
    auto first = static_cast<unsigned char>(whole[0]),
         second = static_cast<unsigned char>(whole[1]);
    if (first != (seed_prefix | user_prefix >> 5U) || second != ((user_prefix & 31U) << 3U))
        return bad();
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                     reinterpret_cast<const unsigned char*>(whole.data()) + 2,
                                     key_size),
        EVP_PKEY_free);
    std::array<unsigned char, key_size> known{};
    std::size_t size = known.size();
    if (!key || EVP_PKEY_get_raw_public_key(key.get(), known.data(), &size) != 1) return bad();
    std::string known_bytes(1, static_cast<char>(user_prefix));
    known_bytes.append(reinterpret_cast<const char*>(known.data()), known.size());
    return with_check_sum(std::move(known_bytes));
}

Result<std::string> make_fleet_key() {
    std::array<unsigned char, key_size> random{};
    if (RAND_bytes(random.data(), random.size()) != 1) return no_random_bytes();
    std::string text;
    for (unsigned char byte : random) text += fmt::format("{:02x}", byte);
    return text;
}

}  // namespace bandd
