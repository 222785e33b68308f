// SPDX-License-Identifier: GPL-2.0-or-later
// Countries in the running daemon: databases that are missing, broken, replaced.
#include <csignal>

#include "support/setup.h"

using namespace bandd;

namespace {

struct GeoSetup : Setup {
    GeoSetup() {
        write_file(dir / "filters/app.yaml",
                   "description: test\nfailregex:\n"
                   "  - {id: seen, regex: '^seen <F-USER>\\S+</F-USER> <HOST>$'}\n");
        write_file(log, "");
        make_database("77.88.0.0/16 country_code=RU\n8.8.8.0/24 country_code=US\n");
        write_config(
            "geoip: geo.mmdb\njails:\n  app:\n    logpath: app.log\n    maxretry: 1\n"
            "    where: 'country in [RU] and user is not boss'\n");
    }
    void seen(const std::string& user, const std::string& address) {
        append_file(log, "seen " + user + " " + address + "\n");
    }
    bool addresses_become(const std::string& expected) { return bans_become(expected, {"ip"}); }
};

}  // namespace

TEST_CASE_METHOD(GeoSetup,
                 "geo: a country's hosts are banned, others are not, and the ban says why") {
    REQUIRE(daemon.start());
    seen("boss", "77.88.1.1");
    seen("joe", "8.8.8.8");
    seen("joe", "192.168.7.7");
    seen("joe", "9.9.9.9");
    seen("joe", "77.88.8.8");
    REQUIRE(addresses_become("77.88.8.8\n"));
    Json all = Json::parse(daemon.ctl("status app --json").out, nullptr, false);
    CHECK(all.dump().find("\"ignored\":4") != std::string::npos);
    Ran explained = daemon.ctl("explain 77.88.8.8");
    CHECK(explained.out.find("country: RU") != std::string::npos);
    Ran spared = daemon.ctl("explain 8.8.8.8");
    CHECK(spared.out.find("country      US") != std::string::npos);
    CHECK(
        spared.out.find("its hits do not count: not true of it is country in [RU] and user is not "
                        "boss") != std::string::npos);
}

TEST_CASE_METHOD(GeoSetup,
                 "geo: a database that is replaced is used at once, a broken one is not") {
    REQUIRE(daemon.start());
    seen("joe", "9.9.9.9");
    make_database("9.9.9.0/24 country_code=RU\n");
    REQUIRE(daemon.said("geoip databases were replaced, and opened anew"));
    seen("joe", "9.9.9.9");
    REQUIRE(addresses_become("9.9.9.9\n"));
    write_file(dir / "bad", "no database");
    must("mv " + dir / "bad" + " " + dir / "geo.mmdb");
    REQUIRE(daemon.said("the databases that were open are used further"));
    seen("joe", "9.9.9.10");
    REQUIRE(addresses_become("9.9.9.9\n9.9.9.10\n"));
    // Nor does a reload take it.
    CHECK(daemon.ctl("reload").code == 2);
    CHECK(daemon.said("the configuration was not changed"));
    seen("joe", "9.9.9.11");
    CHECK(addresses_become("9.9.9.9\n9.9.9.10\n9.9.9.11\n"));
}

TEST_CASE_METHOD(GeoSetup, "geo: without its database bandd does not start, and says which it is") {
    std::filesystem::remove(dir / "geo.mmdb");
    CHECK_FALSE(daemon.start());
    CHECK(daemon.log().find("cannot use \"" + dir / "geo.mmdb" + "\": No such file or directory") !=
          std::string::npos);
    Ran check = daemon.ctl("check");
    CHECK(check.code == 2);
    CHECK(check.out.find("geo.mmdb") != std::string::npos);
}

TEST_CASE_METHOD(GeoSetup, "geo: bandctl geo tells what the databases know") {
    Ran one = daemon.ctl("geo 77.88.8.8");
    CHECK(one.code == 0);
    CHECK(one.out.find("country      RU") != std::string::npos);
    CHECK(daemon.ctl("geo 9.9.9.9").code == 1);
    CHECK(daemon.ctl("geo 10.0.0.1").out.find("private") != std::string::npos);
    CHECK(daemon.ctl("geo").out.find("bandd-test, built ") != std::string::npos);
    CHECK(daemon.ctl("geo nonsense").code == 2);
}

TEST_CASE_METHOD(GeoSetup,
                 "geo: a bandd-kernel that hangs with geoblocks does not hold up a stop") {
    write_config(
        "geoip: geo.mmdb\nstop: flush\n"
        "geoblock:\n  inbound: {countries: [RU], port: all}\njails: {}\n");
    REQUIRE(daemon.start());
    REQUIRE(daemon.said("geoblock inbound: 1 networks are kept out"));
    REQUIRE(kill(daemon.role("bandd-kernel"), SIGSTOP) == 0);
    make_database("77.88.0.0/16 country_code=RU\n5.8.0.0/16 country_code=RU\n");
    REQUIRE(daemon.said("geoip databases were replaced, and opened anew"));
    auto begin = std::chrono::steady_clock::now();
    CHECK(daemon.stop(SIGTERM) == 0);
    // Of two minutes that putting them may take.
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
    CHECK(must("nft list ruleset").find("inbound") == std::string::npos);
}
