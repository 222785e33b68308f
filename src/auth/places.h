// SPDX-License-Identifier: GPL-2.0-or-later
// Which passwords are checked at one time. A mail server takes seconds over a wrong one, so whoever
// guesses from many addresses fills all places that strangers may have. Clients that had a right
// password before have places that strangers do not get. Behind a private address or this machine's
// own (webmail, a proxy) are many: there each account is a client of its own.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/address.h"

namespace bandd {

class Places {
  public:
    static constexpr unsigned most = 224;  // of bandd-http's 240
    static constexpr unsigned most_of_strangers = 160;
    static constexpr unsigned most_of_one = 16;        // address; of IPv6 a /64
    static constexpr unsigned most_of_site = 48;       // IPv6 /48
    static constexpr std::size_t most_known = 10'000;  // the one known longest is forgotten

    struct Place {
        std::string client;  // address, or /64; with the account, if it is private
        std::string site;
        bool known = false;
    };
    // Nothing: too many are taken.
    std::optional<Place> take(const Address& client, std::string_view user);
    void give_back(const Place& place, bool was_right);

  private:
    void remember(const std::string& client);

    unsigned taken_ = 0, strangers_ = 0;
    std::map<std::string, unsigned> of_client_, of_site_;  // no zeros
    std::map<std::string, std::list<std::string>::iterator> known_;
    std::list<std::string> order_;  // of `known_`: the last to be right is last
};

}  // namespace bandd
