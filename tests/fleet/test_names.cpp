// SPDX-License-Identifier: GPL-2.0-or-later
// Subjects, packets, keys and files of a fleet.
#include "fleet/certificate.h"
#include "fleet/membership.h"
#include "fleet/nkey.h"
#include "fleet/packets.h"
#include "fleet/plan.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("a subject says who, where and whom, whatever their names") {
    BanSubject ban{BanClass::week, "mx1.example.org", "a b.>*=", "2001:db8::/64"};
    std::string subject = to_subject(ban);
    CHECK(subject == "ban.w.mx1=2Eexample=2Eorg.a=20b=2E=3E=2A=3D.2001=3Adb8=3A=3A=2F64");
    auto parsed = parse_ban_subject(subject);
    REQUIRE(parsed);
    CHECK(parsed->node == ban.node);
    CHECK(parsed->jail == ban.jail);
    CHECK(parsed->prefix == ban.prefix);
    CHECK(parsed->kept == BanClass::week);
    CHECK(node_of_subject(subject) == "mx1.example.org");
    CHECK(node_of_subject(hit_subject("mx1")) == "mx1");
    CHECK(node_of_subject(node_subject("mx1")) == "mx1");
}

TEST_CASE("a name has one spelling in a subject") {
    for (const char* bad : {"", "=41", "=4", "=", "=2e", "a.b", "a b", "=G0"})
        CHECK(!from_token(bad));
    for (const char* bad : {"ban.h.a.b", "ban.x.a.b.c", "ban.h.a.b.c.d", "ban.hh.a.b.c",
                            "ban.h..b.c", "hit", "hit.a.b", "other.a", ""})
        CHECK(!node_of_subject(bad));
}

TEST_CASE("a ban's class is the shortest that it fits into") {
    using namespace std::chrono_literals;
    CHECK(ban_class_of(10min) == BanClass::hour);
    CHECK(ban_class_of(1h) == BanClass::hour);
    CHECK(ban_class_of(61min) == BanClass::day);
    CHECK(ban_class_of(24h * 7) == BanClass::week);
    CHECK(ban_class_of(24h * 35) == BanClass::five_weeks);
    CHECK(ban_class_of(24h * 36) == BanClass::for_ever);
    CHECK(ban_class_of(forever) == BanClass::for_ever);
}

TEST_CASE("what the daemon and bandd-fleet say arrives as it was said") {
    FleetAccess access{"shop", "mx1", {"a:1", "b:2"}, {"gate"}, "PEM", "SU"};
    for (const ToFleet& said :
         std::vector<ToFleet>{access, FleetPublish{7, "hit.mx1", std::string("\0x", 2)},
                              FleetSettled{9}, FleetKeep{"mx2"}}) {
        CHECK(parse_to_fleet(to_packet(said)) == said);
        CHECK(!parse_to_fleet(to_packet(said) + "x"));
        CHECK(!parse_to_fleet(to_packet(said).substr(1)));
    }
    for (const FromFleet& said : std::vector<FromFleet>{
             FleetMessage{3, "ban.h.a.b.c", "BANS_H", 8, at(1), "payload"}, FleetPublished{7},
             FleetRefused{7, "why"}, FleetState{true, "a:1", "", {"192.0.2.1"}, 1, 2},
             FleetProgress{"BANS_H", "2026", 12}}) {
        CHECK(parse_from_fleet(to_packet(said)) == said);
        CHECK(!parse_from_fleet(to_packet(said) + "x"));
    }
    // Too long for a message.
    CHECK(!parse_to_fleet(
        to_packet(ToFleet{FleetPublish{1, "a", std::string(largest_fleet_payload + 1, 'x')}})));
}

TEST_CASE("a key is what NATS takes for one") {
    // Made by "nk -gen user".
    auto seed = make_nkey_seed();
    REQUIRE(seed);
    CHECK(seed->size() == 58);
    CHECK(seed->starts_with("SU"));
    auto known = public_nkey_of(*seed);
    REQUIRE(known);
    CHECK(known->size() == 56);
    CHECK(known->starts_with("U"));
    for (std::size_t i = 0; i < seed->size(); ++i) {
        std::string other = *seed;
        other[i] = other[i] == 'A' ? 'B' : 'A';
        CHECK(!public_nkey_of(other));
    }
    CHECK(!public_nkey_of(""));
    CHECK(!public_nkey_of(*known));
}

TEST_CASE("a join file is read as it was written") {
    Membership membership;
    membership.access = {"shop",
                         "mx1.example.org",
                         {"gate.example.org:4222", "[2001:db8::1]:4222"},
                         {"gate"},
                         "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n",
                         "SUABC"};
    membership.key = "00ff";
    std::string text = to_join_file(membership);
    auto parsed = parse_join_file(text, "mx1.join");
    if (!parsed) FAIL(to_line(parsed.error()));
    CHECK(*parsed == membership);
    for (const char* key : {"fleet", "node", "servers", "counting", "seed", "key", "authority"}) {
        std::string without = text;
        without.replace(without.find("\n" + std::string(key) + ":") + 1, 1, "x");
        CHECK(!parse_join_file(without, "mx1.join"));
    }
    CHECK(!parse_join_file("fleet: [", "x"));
}

TEST_CASE("servers are named by host, address and port") {
    CHECK(to_string(*parse_fleet_server("gate.example.org")) == "gate.example.org:4222");
    CHECK(to_string(*parse_fleet_server("192.0.2.1:5000")) == "192.0.2.1:5000");
    CHECK(to_string(*parse_fleet_server("[2001:db8::1]")) == "[2001:db8::1]:4222");
    CHECK(parse_fleet_server("[2001:db8::1]:9")->host == "2001:db8::1");
    for (const char* bad : {"", ":", "a:", "a:x", "a:0", "a:65536", "[", "[]", "[::1", "[::1]9",
                            "a b", "2001:db8::1", "-a"})
        CHECK(!parse_fleet_server(bad));
}
