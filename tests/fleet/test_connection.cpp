// SPDX-License-Identifier: GPL-2.0-or-later
// A fleet's nodes on a real server.
#include <set>

#include "fleet/fleet_server.h"
#include "fleet/tls_guard.h"

using namespace bandd;

namespace {
std::string ban(const std::string& node, const std::string& prefix,
                BanClass kept = BanClass::hour) {
    return to_subject({kept, node, "sshd", prefix});
}
}  // namespace

TEST_CASE("two nodes and the operator by the files that init wrote") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    FleetPeer gate(fleet.membership("gate").access), mx1(fleet.membership("mx1").access);
    FleetPeer operating(fleet.membership("operator").access);
    CHECK(gate.connects());
    gate.connection.keep({"mx1"});
    bool there = mx1.connects();
    INFO("mx1: " << mx1.state.why_not << "\n" << read_file(fleet.dir / "log"));
    REQUIRE(there);
    REQUIRE(operating.connects());

    CHECK(mx1.publish(ban("mx1", "203.0.113.9/32"), "one"));
    CHECK(gate.until([&] { return gate.live(ban("mx1", "203.0.113.9/32")) != nullptr; }));
    REQUIRE(gate.until([&] { return gate.stored(ban("mx1", "203.0.113.9/32")) != nullptr; }));
    const FleetMessage& got = *gate.stored(ban("mx1", "203.0.113.9/32"));
    CHECK(got.payload == "one");
    CHECK(got.stream == "BANS_H");
    CHECK(got.sequence == 1);
    CHECK(got.stored > at(0));
    // It hears what it said itself from the stream only.
    CHECK(mx1.until([&] { return mx1.stored(ban("mx1", "203.0.113.9/32")) != nullptr; }));
    CHECK(mx1.live(ban("mx1", "203.0.113.9/32")) == nullptr);

    CHECK(operating.publish(ban("operator", "198.51.100.1/32"), "lifted"));
    CHECK(mx1.until([&] { return mx1.stored(ban("operator", "198.51.100.1/32")) != nullptr; }));
    // Hits are for counting nodes.
    CHECK(mx1.publish(hit_subject("mx1"), "hits"));
    CHECK(gate.until([&] { return gate.stored(hit_subject("mx1")) != nullptr; }));
    CHECK(mx1.stored(hit_subject("mx1")) == nullptr);
    CHECK(gate.state.foreign == 0);
    CHECK(guarded_tls_calls() > 0);
}

TEST_CASE("nodes come by IPv6, too") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    std::filesystem::remove_all(fleet.fleet);
    must(built("bandctl") +
         " fleet init shop --server '[::1]' --server 127.0.0.1 --count gate gate mx1 --directory " +
         fleet.fleet + " --server-files " + fleet.fleet + " --store " + (fleet.dir / "store"));
    fleet.start();
    for (const char* server : {"[::1]:4222", "127.0.0.1:4222"}) {
        auto access = fleet.membership("gate").access;
        access.servers = {server};
        FleetPeer gate(access);
        CHECK(gate.connects());
        CHECK(gate.state.server == server);
    }
}

TEST_CASE("a newcomer gets the last word on each ban, once a counting node has heard of it") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    FleetPeer gate(fleet.membership("gate").access);
    REQUIRE(gate.connects());
    constexpr int many = 1000;
    for (int round = 0; round < 2; ++round) {
        std::size_t before = gate.published.size();
        for (int i = 0; i < many; ++i)
            gate.connection.publish({static_cast<std::uint64_t>(1'000'000 + round * many + i),
                                     ban("gate", "10.0.0." + std::to_string(i) + "/32"),
                                     std::to_string(round)});
        REQUIRE(gate.until([&] { return gate.published.size() == before + many; }));
    }
    FleetPeer mx2(fleet.membership("mx2").access);
    CHECK(mx2.until([&] { return mx2.state.connected; }));
    gate.connection.keep({"mx2"});
    gate.until([] { return false; }, 0.5);
    bool all = mx2.until([&] { return mx2.messages.size() >= many; });
    INFO(mx2.messages.size() << " of " << many << ": " << mx2.state.why_not);
    REQUIRE(all);
    std::set<std::string> subjects;
    for (const FleetMessage& message : mx2.messages) {
        CHECK(message.payload == "1");
        subjects.insert(message.subject);
    }
    CHECK(subjects.size() == many);
    CHECK(mx2.progress["BANS_H"].made != "");
}

TEST_CASE("the server is killed, and its store is lost") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    FleetPeer gate(fleet.membership("gate").access), mx1(fleet.membership("mx1").access);
    REQUIRE(gate.connects());
    gate.connection.keep({"mx1"});
    REQUIRE(mx1.connects());
    REQUIRE(mx1.publish(ban("mx1", "203.0.113.1/32"), "before"));
    fleet.server.kill();
    REQUIRE(mx1.until([&] { return !mx1.state.connected; }));
    CHECK(!mx1.state.why_not.empty());
    // What is published meanwhile is stored later.
    mx1.connection.publish({77, ban("mx1", "203.0.113.2/32"), "meanwhile"});
    mx1.until([] { return false; }, 0.3);
    SECTION("it comes back as it was") {
        fleet.start();
        CHECK(mx1.until([&] { return mx1.published.contains(77); }));
        CHECK(gate.until([&] { return gate.stored(ban("mx1", "203.0.113.2/32")) != nullptr; }));
    }
    SECTION("its store is gone") {
        std::filesystem::remove_all(fleet.dir / "store");
        fleet.start();
        bool done = mx1.until([&] { return mx1.published.contains(77); });
        INFO(mx1.state.why_not << "\n" << gate.state.why_not);
        CHECK(done);
        CHECK(gate.until([&] {
            return gate.stored(ban("mx1", "203.0.113.2/32")) != nullptr &&
                   mx1.state.why_not.empty();
        }));
    }
}

TEST_CASE("what is not settled comes again") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    FleetPeer gate(fleet.membership("gate").access);
    REQUIRE(gate.connects());
    REQUIRE(gate.publish(ban("gate", "203.0.113.1/32"), "one"));
    {
        FleetPeer mx1(fleet.membership("mx1").access, false);
        gate.connection.keep({"mx1"});
        gate.until([] { return false; }, 0.3);
        REQUIRE(mx1.until([&] { return !mx1.messages.empty(); }));
    }
    {
        FleetPeer mx1(fleet.membership("mx1").access);
        REQUIRE(mx1.until([&] { return !mx1.messages.empty(); }, 25));
        mx1.until([] { return false; }, 0.2);
    }
    FleetPeer mx1(fleet.membership("mx1").access);
    CHECK(!mx1.until([&] { return !mx1.messages.empty(); }, 12));
}

TEST_CASE("two keys hold while one is exchanged, and a removed node is put out") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    Membership old = fleet.membership("mx1");
    REQUIRE(fleet.bandctl("rotate mx1").code == 0);
    fleet.server.reload();
    FleetPeer by_old(old.access), by_new(fleet.membership("mx1").access);
    CHECK(by_old.until([&] { return by_old.state.connected; }));
    CHECK(by_new.until([&] { return by_new.state.connected; }));
    REQUIRE(fleet.bandctl("rotate mx1 --end").code == 0);
    fleet.server.reload();
    CHECK(by_old.until([&] { return !by_old.state.connected; }));
    CHECK(by_new.state.connected);
    REQUIRE(fleet.bandctl("remove mx1").code == 0);
    fleet.server.reload();
    CHECK(by_new.until([&] { return !by_new.state.connected; }));
    REQUIRE(fleet.bandctl("add mx3").code == 0);
    fleet.server.reload();
    FleetPeer mx3(fleet.membership("mx3").access);
    CHECK(mx3.until([&] { return mx3.state.connected; }));
}
