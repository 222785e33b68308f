// SPDX-License-Identifier: GPL-2.0-or-later
// Databases are real files, made by tests/support/make_mmdb.
#include <sys/stat.h>

#include "facts/databases.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

std::string make_database(const TempDirectory& dir, const std::string& name,
                          const std::string& lines) {
    write_file(dir / (name + ".txt"), lines);
    must("support/make_mmdb " + dir / name + " < " + dir / (name + ".txt"));
    return dir / name;
}

GeoDatabases opened(const std::vector<std::string>& paths) {
    auto databases = GeoDatabases::open(paths);
    if (!databases) FAIL(to_line(databases.error()));
    return std::move(*databases);
}

}  // namespace

TEST_CASE("geoip: each vendor's form is understood") {
    TempDirectory dir;
    // MaxMind's, DB-IP's and IP2Location's; MaxMind's for networks; ip-location-db's and
    // IPLocate's; IPinfo's.
    auto city = make_database(dir, "city.mmdb",
                              "77.88.0.0/16 country.iso_code=RU country.names.en=Russia "
                              "continent.code=EU city.names.en=Saint_Petersburg\n"
                              "2a02:6b8::/32 country.iso_code=RU\n"
                              "5.0.0.0/8 registered_country.iso_code=DE\n");
    auto networks = make_database(dir, "networks.mmdb",
                                  "77.88.0.0/16 autonomous_system_number=13238 "
                                  "autonomous_system_organization=Yandex_LLC\n");
    auto flat = make_database(dir, "flat.mmdb", "8.8.8.0/24 country_code=US continent_code=NA\n");
    auto ipinfo = make_database(dir, "ipinfo.mmdb",
                                "1.1.1.0/24 country=AU country_name=Australia asn=AS13335 "
                                "as_name=Cloudflare\n");
    GeoDatabases all = opened({city, networks, flat, ipinfo});
    CHECK(all.origin(ip("77.88.8.8")) ==
          Origin{"RU", "Russia", "EU", 13238, "Yandex LLC", "", "Saint Petersburg"});
    CHECK(all.origin(ip("2a02:6b8::1")).country == "RU");
    CHECK(all.origin(ip("5.1.2.3")).country == "DE");
    CHECK(all.origin(ip("8.8.8.8")) == Origin{"US", "United States", "NA", 0, "", "", ""});
    CHECK(all.origin(ip("1.1.1.1")) == Origin{"AU", "Australia", "", 13335, "Cloudflare", "", ""});
    CHECK(all.about().size() == 4);
}

TEST_CASE("geoip: private addresses are private whatever a database says; others are unknown") {
    TempDirectory dir;
    auto database =
        make_database(dir, "x.mmdb", "10.0.0.0/8 country_code=US\n9.0.0.0/8 country_code=--\n");
    GeoDatabases one = opened({database});
    CHECK(one.origin(ip("10.1.2.3")).country == "private");
    CHECK(one.origin(ip("fe80::1")).country == "private");
    CHECK(one.origin(ip("9.9.9.9")).country == "unknown");
    CHECK(one.origin(ip("8.8.8.8")).country == "unknown");
    CHECK(GeoDatabases{}.origin(ip("8.8.8.8")).country == "unknown");
}

TEST_CASE("geoip: the first database that knows is believed") {
    TempDirectory dir;
    auto first = make_database(dir, "a.mmdb", "8.8.8.0/24 country_code=US\n");
    auto second = make_database(dir, "b.mmdb", "8.0.0.0/8 country_code=DE\n");
    GeoDatabases both = opened({first, second});
    CHECK(both.origin(ip("8.8.8.8")).country == "US");
    CHECK(both.origin(ip("8.1.1.1")).country == "DE");
}

TEST_CASE("geoip: a file that cannot be used is an error that names it") {
    TempDirectory dir;
    std::string path = dir / "x.mmdb";
    auto missing = GeoDatabases::open({path});
    REQUIRE_FALSE(missing);
    CHECK(to_line(missing.error()) == "cannot use \"" + path + "\": No such file or directory");
    write_file(path, "no database at all");
    auto broken = GeoDatabases::open({path});
    REQUIRE_FALSE(broken);
    CHECK(to_line(broken.error()) == "cannot use \"" + path +
                                         "\": The MaxMind DB file contains invalid metadata; it "
                                         "must be a MaxMind DB file (.mmdb) or "
                                         "one of IP2Location's (.BIN)");
}

TEST_CASE("geoip: a file that is overwritten or cut in place changes nothing, and ends nobody") {
    TempDirectory dir;
    std::string lines;
    for (int i = 0; i < 200; ++i)
        for (int j = 0; j < 100; ++j)
            lines += "8." + std::to_string(i) + "." + std::to_string(j) + ".0/24 country_code=US\n";
    auto path = make_database(dir, "x.mmdb", lines + "77.88.0.0/16 country_code=RU\n");
    GeoDatabases one = opened({path});
    std::string whole = read_file(path);
    SECTION("overwritten") { write_file(path, std::string(whole.size(), 'x')); }
    SECTION("cut") { write_file(path, ""); }
    CHECK(one.origin(ip("77.88.8.8")).country == "RU");
    for (int i = 0; i < 200; ++i)
        CHECK(one.origin(ip("8." + std::to_string(i) + ".50.1")).country == "US");
    CHECK_FALSE(GeoDatabases::open({path}));
}

TEST_CASE("geoip: a FIFO in a database's place is refused at once") {
    TempDirectory dir;
    std::string path = dir / "x.mmdb";
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK_FALSE(GeoDatabases::open({path}));
    CHECK_FALSE(networks_of({path}, {"RU"}, false));
}

TEST_CASE("geo: all networks of some countries, merged, without what is reserved") {
    TempDirectory dir;
    write_file(
        dir / "geo.txt",
        "8.0.0.0/16 country_code=RU\n8.1.0.0/16 country_code=RU\n8.2.0.0/16 country_code=DE\n"
        "10.0.0.0/8 country_code=RU\n2a00:1::/32 country_code=RU\n9.0.0.0/8 asn=AS1\n");
    must("support/make_mmdb " + dir / "geo.mmdb" + " < " + dir / "geo.txt");
    auto text = [&](const std::vector<std::string>& countries, bool all_but) {
        auto networks = networks_of({dir / "geo.mmdb"}, countries, all_but);
        REQUIRE(networks);
        std::string out;
        for (const AddressRange& range : *networks)
            out += to_string(range.first) + "-" + to_string(range.last) + " ";
        return out;
    };
    // A database of two families says of IPv4 what it says of ::/96.
    CHECK(text({"RU"}, false) ==
          "8.0.0.0-8.1.255.255 2a00:1::-2a00:1:ffff:ffff:ffff:ffff:ffff:ffff ");
    CHECK(text({"RU"}, true) == "8.2.0.0-8.2.255.255 ");
    CHECK(text({"FR"}, false) == "");
    write_file(dir / "asn.txt", "9.0.0.0/8 asn=AS1\n");
    must("support/make_mmdb " + dir / "asn.mmdb" + " < " + dir / "asn.txt");
    CHECK_FALSE(networks_of({dir / "asn.mmdb"}, {"RU"}, false));
    CHECK(networks_of({dir / "asn.mmdb", dir / "geo.mmdb"}, {"RU"}, false));
    CHECK_FALSE(networks_of({dir / "none.mmdb"}, {"RU"}, false));
}
