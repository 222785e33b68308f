// SPDX-License-Identifier: GPL-2.0-or-later
// One open database, of whatever format. A new format is a class here and a row in `open_database`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "facts/databases.h"
#include "os/fd.h"

namespace bandd {

class Database {
  public:
    virtual ~Database() = default;

    // Fills what of `origin` is still empty. `address` is a public one.
    virtual void add_to(Origin& origin, const Address& address) const = 0;
    virtual std::string type() const = 0;
    virtual std::uint64_t built() const = 0;  // seconds since 1970

    struct Networks {
        bool tells_countries = false;
        std::vector<AddressRange> ranges;  // in no order
    };
    virtual Result<Networks> networks_of(const std::vector<std::string>& countries,
                                         bool all_but) const = 0;
};

// Two capital letters. Databases have codes beyond ISO 3166-1, too (EU, AP): those are taken as
// they are.
bool is_code(std::string_view text);

// `copy`: the file's bytes, which nobody changes any more. `path`: for messages.
Result<std::unique_ptr<Database>> open_mmdb(const std::string& path, Fd copy);
Result<std::unique_ptr<Database>> open_ip2location(const std::string& path, Fd copy);

// "cannot use "PATH""
std::string cannot_use(const std::string& path);

}  // namespace bandd
