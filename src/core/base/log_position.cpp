// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/log_position.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/hash.h"

namespace bandd {
namespace {

// As states of the last version have it: up to so many bytes, byte by byte. What is longer is asked
// for at each reading of a log, and taken by words.
constexpr std::size_t by_bytes = 256;

std::uint64_t hash_of(std::string_view head) {
    if (head.size() <= by_bytes) return hash64(head);
    std::uint64_t hash = head.size();
    while (!head.empty()) {
        std::uint64_t word = 0;
        std::size_t size = std::min(head.size(), sizeof word);
        std::memcpy(&word, head.data(), size);
        if constexpr (std::endian::native == std::endian::big) word = std::byteswap(word);
        hash = std::rotl(hash ^ word, 29) * 0x9e3779b97f4a7c15ULL;
        head.remove_prefix(size);
    }
    return hash;
}

}  // namespace

Fingerprint Fingerprint::of(std::string_view head) {
    if (head.empty()) return {};
    return {static_cast<std::uint32_t>(head.size()), hash_of(head)};
}

bool Fingerprint::matches(std::string_view head) const {
    return head.size() >= length && hash_of(head.substr(0, length)) == hash;
}

}  // namespace bandd
