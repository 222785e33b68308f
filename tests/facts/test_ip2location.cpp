// SPDX-License-Identifier: GPL-2.0-or-later
// Databases are real files, made by tests/support/make_ip2location.
#include <random>

#include "facts/databases.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

std::string make_bin(const TempDirectory& dir, const std::string& lines) {
    write_file(dir / "lines", lines);
    must("support/make_ip2location " + dir / "geo.BIN" + " < " + dir / "lines");
    return dir / "geo.BIN";
}

const char* lines =
    "8.8.8.0/24 US United States of America\n"
    "8.8.9.0/24 DE Germany\n"
    "77.88.0.0/16 RU Russian Federation\n"
    "223.255.255.0/24 AU Australia\n"
    "2a02:6b8::/32 RU Russian Federation\n"
    "2001:4860::/32 US United States of America\n";

}  // namespace

TEST_CASE("ip2location: countries of IPv4 and IPv6, at both ends of a range") {
    TempDirectory dir;
    auto opened = GeoDatabases::open({make_bin(dir, lines)});
    if (!opened) FAIL(to_line(opened.error()));
    auto country = [&](const char* address) { return opened->origin(ip(address)).country; };
    CHECK(opened->origin(ip("77.88.8.8")) == Origin{"RU", "Russian Federation", "", 0, "", "", ""});
    CHECK(country("8.8.7.255") == "unknown");
    CHECK(country("8.8.8.0") == "US");
    CHECK(country("8.8.8.255") == "US");
    CHECK(country("8.8.9.0") == "DE");
    CHECK(country("8.8.10.0") == "unknown");
    CHECK(country("223.255.255.255") == "AU");
    CHECK(country("2a02:6b8::1") == "RU");
    CHECK(country("2a02:6b8:ffff:ffff:ffff:ffff:ffff:ffff") == "RU");
    CHECK(country("2a02:6b9::") == "unknown");
    CHECK(country("10.0.0.1") == "private");
    REQUIRE(opened->about().size() == 1);
    CHECK(opened->about()[0].type == "IP2Location DB1");
    CHECK(opened->about()[0].built == 1795564800);  // 2026-11-25
}

TEST_CASE("ip2location: networks of countries, for geoblocks") {
    TempDirectory dir;
    std::string path = make_bin(dir, lines);
    auto networks = networks_of({path}, {"RU"}, false);
    REQUIRE(networks);
    REQUIRE(networks->size() == 2);
    CHECK(networks->front() == range_of(prefix("77.88.0.0/16")));
    CHECK(networks->back() == range_of(prefix("2a02:6b8::/32")));
    auto others = networks_of({path}, {"RU"}, true);
    REQUIRE(others);
    CHECK(others->size() == 3);  // 8.8.8.0 to 8.8.9.255, 223.255.255.0/24, 2001:4860::/32
}

TEST_CASE("ip2location: a database without names or of another vendor stands beside it") {
    TempDirectory dir;
    std::string bin = make_bin(dir, lines);
    write_file(dir / "flat.txt", "8.8.8.0/24 country_code=CA asn=AS15169\n");
    must("support/make_mmdb " + dir / "flat.mmdb" + " < " + dir / "flat.txt");
    auto both = GeoDatabases::open({bin, dir / "flat.mmdb"});
    REQUIRE(both);
    CHECK(both->origin(ip("8.8.8.8")).country == "US");
    CHECK(both->origin(ip("8.8.8.8")).asn == 15169);
    auto flat = GeoDatabases::open({dir / "flat.mmdb"});
    REQUIRE(flat);
    CHECK(flat->origin(ip("8.8.8.8")).country_name == "Canada");  // by our own table
}

TEST_CASE("ip2location: a broken file is refused, or says what is in it, and never more") {
    TempDirectory dir;
    std::string good = read_file(make_bin(dir, lines));
    std::string path = dir / "broken.BIN";
    auto refused = [&](const std::string& bytes) {
        write_file(path, bytes);
        return !GeoDatabases::open({path});
    };
    CHECK(refused(""));
    CHECK(refused("PK\x03\x04"));  // the archive that they sell it in
    CHECK(refused(std::string(200, 'P')));
    CHECK(refused(good.substr(0, good.size() - 40)));
    write_file(path, std::string(63, '\1'));
    auto error = GeoDatabases::open({path});
    REQUIRE_FALSE(error);
    CHECK(to_line(error.error()) == "cannot use \"" + path +
                                        "\": it is too short; it must be one of IP2Location's "
                                        ".BIN files");
    std::mt19937 random(7);
    int opened = 0;
    for (int i = 0; i < 2000; ++i) {
        std::string bytes = good;
        std::size_t end = i % 2 == 0 ? 64 : bytes.size();
        for (int j = 0; j < 3; ++j) {
            std::size_t at = random() % end;
            if (at >= 64 && at < 64 + 2 * 65536 * 8) at = 64 + 2 * 65536 * 8 + random() % 200;
            bytes[at] = static_cast<char>(random());
        }
        write_file(path, bytes);
        auto database = GeoDatabases::open({path});
        if (!database) continue;
        ++opened;
        for (const char* address : {"8.8.8.8", "223.255.255.255", "1.1.1.1", "2a02:6b8::1"})
            CHECK(database->origin(ip(address)).country.size() >= 2);
    }
    CHECK(opened > 0);
}
