// SPDX-License-Identifier: GPL-2.0-or-later
// Keys by which nodes prove to a NATS server who they are: Ed25519, written in base 32 with a
// prefix and a check sum. The server knows the public key, the node alone has the seed.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bandd {

Result<std::string> make_nkey_seed();                            // "SU…"
Result<std::string> public_nkey_of(std::string_view seed_text);  // "U…"; an error: it is no seed

// 32 random bytes, in hexadecimal: with it a fleet's nodes hash names alike.
Result<std::string> make_fleet_key();

}  // namespace bandd
