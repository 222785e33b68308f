// SPDX-License-Identifier: GPL-2.0-or-later
// What programs are told by HTTP of an address that connects to them, as hMailServer asks in its
// OnClientConnect: where it is, and whether it is banned. JSON, one line.
#pragma once

#include <string>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/decide/facts.h"

namespace bandd {

class Engine;

// {"ip":"192.0.2.1","countryCode":"BG","country":"Bulgaria","asn":64500,"network":"…"}: the names
// that web services have. Of a private or unknown address "countryCode" is empty.
std::string geo_answer(const Facts& facts, const Address& address);
// The same, and {"banned":true,"jail":"hmailserver","until":"…","reason":"…"} of the longest ban
// that holds it. A simulated ban bans nobody. "until" is null if it never ends.
std::string verdict_answer(const Engine& engine, const Facts& facts, const Address& address,
                           Instant now);

}  // namespace bandd
