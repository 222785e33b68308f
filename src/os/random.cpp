// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/random.h"

#include <sys/random.h>

#include <array>

#include "core/base/address.h"

namespace bandd {

void seed_tables() {
    std::array<std::uint64_t, 2> seed{};
    if (getrandom(seed.data(), sizeof seed, 0) == static_cast<ssize_t>(sizeof seed))
        seed_prefix_hash(seed[0], seed[1]);
}

}  // namespace bandd
