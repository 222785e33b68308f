// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/common.h"

using namespace bandd;

namespace {
const Zone berlin = Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3").value();
Instant utc(int year, int month, int day, int hour, int minute = 0) {
    return utc_from_civil({year, month, day, hour, minute});
}
}  // namespace

TEST_CASE("civil time and instants convert both ways, also before 1970 and across leap days") {
    for (CivilTime civil : {CivilTime{1970, 1, 1, 0, 0, 0}, CivilTime{2024, 2, 29, 23, 59, 59},
                            CivilTime{1969, 12, 31, 23, 59, 59, 5}, CivilTime{2100, 3, 1, 0, 0, 0}})
        CHECK(civil_from_utc(utc_from_civil(civil)) == civil);
    CHECK(utc_from_civil({2026, 11, 21, 10, 0, 0}).seconds() == 1795255200);
}

TEST_CASE("a zone knows summer and winter") {
    CHECK(berlin.offset_at(utc(2026, 1, 15, 12)) == 3600);
    CHECK(berlin.offset_at(utc(2026, 7, 15, 12)) == 7200);
    CHECK(berlin.to_instant({2026, 7, 15, 12, 0, 0}, never) == utc(2026, 7, 15, 10));
    // to the second: 2026-03-29 01:00 UTC
    CHECK(berlin.offset_at(Instant{utc(2026, 3, 29, 1).us - 1}) == 3600);
    CHECK(berlin.offset_at(utc(2026, 3, 29, 1)) == 7200);
}

TEST_CASE("the hour that daylight saving repeats means the newest reading that is not ahead") {
    CivilTime twice{2026, 10, 25, 2, 30, 0};
    CHECK(berlin.to_instant(twice, utc(2026, 10, 25, 0, 45)) == utc(2026, 10, 25, 0, 30));
    CHECK(berlin.to_instant(twice, utc(2026, 10, 25, 1, 45)) == utc(2026, 10, 25, 1, 30));
}

TEST_CASE("the hour that daylight saving skips is read with the offset before it") {
    CHECK(berlin.to_instant({2026, 3, 29, 2, 30, 0}, never) == utc(2026, 3, 29, 1, 30));
}

TEST_CASE("a zone file and its POSIX rule agree") {
    std::string bytes = read_file("/usr/share/zoneinfo/Europe/Berlin");
    if (bytes.empty()) {
        WARN("no tzdata here");
        return;
    }
    Zone zone = Zone::from_tzif(bytes).value();
    for (int year : {2000, 2026, 2037, 2040, 2090})
        for (int month = 1; month <= 12; ++month)
            CHECK(zone.offset_at(utc(year, month, 27, 5)) ==
                  berlin.offset_at(utc(year, month, 27, 5)));
    CHECK(zone.offset_at(utc(1940, 7, 1, 0)) == 7200);  // war time, only in the file
    for (std::size_t length : {0, 3, 44, 60, 200})
        CHECK_FALSE(Zone::from_tzif(bytes.substr(0, length)));
}

TEST_CASE("the southern half of the year and fixed offsets") {
    Zone sydney = Zone::from_posix("AEST-10AEDT,M10.1.0,M4.1.0/3").value();
    CHECK(sydney.offset_at(utc(2026, 1, 15, 0)) == 39600);
    CHECK(sydney.offset_at(utc(2026, 7, 15, 0)) == 36000);
    CHECK(Zone::from_offset("+0230")->offset_at(at(0)) == 9000);
    CHECK(Zone::from_offset("UTC-05:00")->offset_at(at(0)) == -18000);
    CHECK_FALSE(Zone::from_offset("Berlin"));
    CHECK_FALSE(Zone::from_posix("Europe/Berlin"));
}
