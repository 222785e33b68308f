// SPDX-License-Identifier: GPL-2.0-or-later
// What the configured databases (`geoip:`) know of an address: MaxMind DB files (.mmdb, also those
// of DB-IP, IPLocate, IPinfo, ip-location-db) and IP2Location's own (.BIN).
//
// Each file is used as it was when it was opened: a copy of it is kept in memory (its size, at most
// 1 GiB), so that a file that is overwritten in place changes and ends nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/address_ranges.h"
#include "core/base/result.h"
#include "core/decide/facts.h"

namespace bandd {

class Database;

struct DatabaseAbout {
    std::string path, type;
    std::uint64_t built = 0;  // seconds since 1970
};

// All networks that a database says to be in one of `countries` (ISO 3166-1 codes), merged, without
// reserved ones; with `all_but`, those in another country. Of several databases the first that
// tells countries. It opens them anew and reads them through, which takes a tenth of a second or
// more: for a thread of its own.
Result<std::vector<AddressRange>> networks_of(const std::vector<std::string>& paths,
                                              const std::vector<std::string>& countries,
                                              bool all_but);

class GeoDatabases : public Facts {
  public:
    GeoDatabases();
    ~GeoDatabases() override;
    GeoDatabases(GeoDatabases&&) noexcept;
    GeoDatabases& operator=(GeoDatabases&&) noexcept;

    // All of them, or an error that names the first that cannot be used. The first database that
    // knows a fact is believed.
    static Result<GeoDatabases> open(const std::vector<std::string>& paths);

    Origin origin(const Address& address) const override;
    std::vector<DatabaseAbout> about() const;
    bool empty() const { return databases_.empty(); }

  private:
    std::vector<std::string> paths_;
    std::vector<std::unique_ptr<Database>> databases_;  // in that order
};

}  // namespace bandd
