// SPDX-License-Identifier: GPL-2.0-or-later
// What the databases on this machine know of an address. Needs no daemon.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "facts/databases.h"
#include "os/zoneinfo.h"

namespace bandd {

void print_origin(const Json& origin) {
    auto text = [&](const char* name) {
        return origin.contains(name) ? printable(origin[name].get<std::string>()) : std::string();
    };
    auto put = [](const char* name, const std::string& value) {
        if (!value.empty()) fmt::print("  {:<12} {}\n", name, value);
    };
    std::string country = text("country");
    if (origin.contains("country_name")) country += " (" + text("country_name") + ")";
    put("country", country);
    put("continent", text("continent"));
    if (origin.contains("asn"))
        put("network", fmt::format("AS{} {}", origin["asn"].get<std::uint32_t>(), text("network")));
    else
        put("network", text("network"));
    put("subdivision", text("subdivision"));
    put("city", text("city"));
}

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
                print_json({{"path", about.path}, {"type", about.type}, {"built", built}});
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
        Json known = to_json(origin);
        if (common.json) {
            known["ip"] = to_string(*address);
            print_json(known);
        } else {
            fmt::print("{}\n", bold(to_string(*address)));
            print_origin(known);
        }
    }
    return all_known ? exit_done : exit_said_no;
}

}  // namespace bandd
