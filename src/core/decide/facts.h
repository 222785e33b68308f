// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of an address from databases on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/address.h"

namespace bandd {

struct Origin {
    std::string country;       // ISO 3166-1, two capital letters; or one of those below
    std::string country_name;  // in English; may be empty
    std::string continent;     // AF, AN, AS, EU, NA, OC, SA; may be empty
    std::uint32_t asn = 0;     // 0: not known
    std::string network;       // who runs it: the autonomous system's name
    std::string subdivision, city;
    bool operator==(const Origin&) const = default;
};
inline constexpr const char* private_country = "private";  // no public address
inline constexpr const char* unknown_country = "unknown";  // in no database

// One thread. Looks nothing up in a network.
class Facts {
  public:
    virtual ~Facts() = default;
    virtual Origin origin(const Address& address) const = 0;
};

}  // namespace bandd
