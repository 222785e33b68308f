// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts/databases.h"

#include <algorithm>

#include "core/base/reserved.h"
#include "facts/country_names.h"
#include "facts/database.h"
#include "facts/sealed_copy.h"

namespace bandd {
namespace {

bool is_ip2location(std::string_view path) {
    return path.ends_with(".BIN") || path.ends_with(".bin");
}

Result<std::unique_ptr<Database>> open_database(const std::string& path) {
    auto copy = sealed_copy(path);
    if (!copy) return std::unexpected(copy.error());
    return is_ip2location(path) ? open_ip2location(path, std::move(*copy))
                                : open_mmdb(path, std::move(*copy));
}

}  // namespace

std::string cannot_use(const std::string& path) { return "cannot use \"" + path + "\""; }

bool is_code(std::string_view text) {
    auto letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    return text.size() == 2 && letter(text[0]) && letter(text[1]);
}

GeoDatabases::GeoDatabases() = default;
GeoDatabases::~GeoDatabases() = default;
GeoDatabases::GeoDatabases(GeoDatabases&&) noexcept = default;
GeoDatabases& GeoDatabases::operator=(GeoDatabases&&) noexcept = default;

Result<GeoDatabases> GeoDatabases::open(const std::vector<std::string>& paths) {
    GeoDatabases all;
    for (const std::string& path : paths) {
        auto database = open_database(path);
        if (!database) return std::unexpected(database.error());
        all.databases_.push_back(std::move(*database));
        all.paths_.push_back(path);
    }
    return all;
}

Origin GeoDatabases::origin(const Address& address) const {
    Origin origin;
    if (!is_public(address)) {
        origin.country = private_country;
        return origin;
    }
    for (const auto& database : databases_) database->add_to(origin, untranslated(address));
    if (origin.country_name.empty()) origin.country_name = country_name(origin.country);
    if (origin.country.empty()) origin.country = unknown_country;
    return origin;
}

std::vector<DatabaseAbout> GeoDatabases::about() const {
    std::vector<DatabaseAbout> all;
    for (std::size_t i = 0; i < databases_.size(); ++i)
        all.push_back({paths_[i], databases_[i]->type(), databases_[i]->built()});
    return all;
}

Result<std::vector<AddressRange>> networks_of(const std::vector<std::string>& paths,
                                              const std::vector<std::string>& countries,
                                              bool all_but) {
    for (const std::string& path : paths) {
        auto database = open_database(path);
        if (!database) return std::unexpected(database.error());
        auto networks = (*database)->networks_of(countries, all_but);
        if (!networks) return std::unexpected(networks.error());
        if (!networks->tells_countries) continue;
        std::vector<AddressRange> reserved;
        for (const Prefix& prefix : reserved_prefixes()) reserved.push_back(range_of(prefix));
        return subtract_ranges(merge_ranges(std::move(networks->ranges)),
                               merge_ranges(std::move(reserved)));
    }
    return fail("\"geoip\"", "no database tells countries");
}

}  // namespace bandd
