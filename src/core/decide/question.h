// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine cannot know by itself. It asks, goes on with the next hit, and gets the answer as
// a later event.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "core/base/address.h"
#include "core/match/hit.h"

namespace bandd {

struct Question {
    enum class Kind : std::uint8_t {
        addresses,  // of the host `name`, which a line named in place of an address
        exempt,     // may `address` not be banned by `jail` (ignorecommand, names in ignoreip)?
        hostname,   // what is the host at `address` called?
    };
    Kind kind = Kind::addresses;
    JailIndex jail = 0;
    Address address;
    std::string name;
    auto operator<=>(const Question&) const = default;
};

struct Answer {
    Question question;
    // Of the name; none: not known, or no answer in time. To `exempt`: all that are exempt by name.
    std::vector<Address> addresses;
    bool exempt = false;
    std::string hostname;  // that leads back to the address; empty: none does
};

}  // namespace bandd
