// SPDX-License-Identifier: GPL-2.0-or-later
// What the databases on this machine know of an address. Needs no daemon.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "config/load.h"
#include "core/base/reserved.h"
#include "facts/mmdb.h"
#include "os/log.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

Json origin_to_json(const Address& address, const Origin& origin) {
    Json json{{"ip", to_string(address)}, {"country", origin.country}};
    auto put = [&](const char* name, const std::string& value) {
        if (!value.empty()) json[name] = value;
    };
    put("country_name", origin.country_name);
    put("continent", origin.continent);
    if (origin.asn != 0) json["asn"] = origin.asn;
    put("network", origin.network);
    put("subdivision", origin.subdivision);
    put("city", origin.city);
    return json;
}

void print_origin(const Address& address, const Origin& origin) {
    std::string country = origin.country;
    if (!origin.country_name.empty()) country += " (" + origin.country_name + ")";
    fmt::print("{}\n", bold(to_string(address)));
    auto put = [](const char* name, const std::string& value) {
        if (!value.empty()) fmt::print("  {:<12} {}\n", name, printable(value));
    };
    put("country", country);
    put("continent", origin.continent);
    if (origin.asn != 0) put("asn", fmt::format("AS{}", origin.asn));
    put("network", origin.network);
    put("subdivision", origin.subdivision);
    put("city", origin.city);
}

}  // namespace

int run_geo(const CommonOptions& common, const std::vector<std::string>& addresses) {
    Loaded loaded = load_config(common.config, data_directories(), read_zone);
    const std::vector<std::string>& paths = loaded.config.geoip;
    if (paths.empty()) {
        print_error({"geo",
                     "no database is configured",
                     "name one in bandd.yaml: geoip: /var/lib/GeoIP/NAME.mmdb",
                     {}});
        return exit_usage;
    }
    auto databases = GeoDatabases::open(paths);
    if (!databases) {
        print_error(databases.error());
        return exit_usage;
    }
    if (addresses.empty()) {
        for (const DatabaseAbout& about : databases->about()) {
            std::string built =
                format_rfc3339(Instant::from_seconds(static_cast<std::int64_t>(about.built)));
            if (common.json)
                fmt::print("{}",
                           to_line_of_json(
                               {{"path", about.path}, {"type", about.type}, {"built", built}}));
            else
                fmt::print("{}  {}, built {}\n", about.path, printable(about.type),
                           built.substr(0, 10));
        }
        return exit_done;
    }
    bool all_known = true;
    for (const std::string& text : addresses) {
        auto address = parse_address(text);
        if (!address) {
            print_error({"\"" + text + "\"", "is no address", {}, {}});
            return exit_usage;
        }
        Origin origin = databases->origin(*address);
        all_known = all_known && origin.country != unknown_country;
        if (common.json)
            fmt::print("{}", to_line_of_json(origin_to_json(*address, origin)));
        else
            print_origin(*address, origin);
    }
    return all_known ? exit_done : exit_said_no;
}

}  // namespace bandd
