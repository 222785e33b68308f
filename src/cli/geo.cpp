// SPDX-License-Identifier: GPL-2.0-or-later
// What the databases on this machine know of an address. Needs no daemon.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "config/geoblock.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "facts/databases.h"
#include "os/zoneinfo.h"

namespace bandd {

namespace {

int print_databases(const CommonOptions& common, const GeoDatabases& databases) {
    for (const DatabaseAbout& about : databases.about()) {
        std::string built =
            format_rfc3339(Instant::from_seconds(static_cast<std::int64_t>(about.built)));
        if (common.json)
            print_json({{"path", about.path}, {"type", about.type}, {"built", built}});
        else
            print_wrapped("{}  {}, built {}\n", about.path, printable(about.type),
                          built.substr(0, 10));
    }
    return exit_done;
}

// Exit code 1 if one of the addresses is in no database.
int geo(const CommonOptions& common, const std::vector<std::string>& addresses) {
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
    if (addresses.empty()) return print_databases(common, *databases);
    bool all_known = true;
    for (const std::string& text : addresses) {
        auto address = parse_address(text);
        if (!address) {
            print_error({"\"" + text + "\"", "is no address", {}, {}});
            return exit_usage;
        }
        Origin origin = databases->origin(*address);
        all_known = all_known && origin.country != unknown_country;
        Json known = to_json(origin);
        auto blocks = geoblocks_of(loaded.config.geoblocks, *address, origin.country);
        if (!blocks.empty()) known["blocked_by"] = blocks;
        if (common.json) {
            known["ip"] = to_string(*address);
            print_json(known);
        } else {
            print_wrapped("{}\n", bold(to_string(*address)));
            print_origin(known);
            print_geoblocks(known);
        }
    }
    return all_known ? exit_done : exit_said_no;
}

}  // namespace

Run geo_command(CommandLine& line) {
    auto addresses = std::make_shared<std::vector<std::string>>();
    line.texts("ip", *addresses, "addresses (default: which databases there are)");
    return [addresses](const CommonOptions& common) { return geo(common, *addresses); };
}

}  // namespace bandd
