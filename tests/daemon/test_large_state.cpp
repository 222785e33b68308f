// SPDX-License-Identifier: GPL-2.0-or-later
// A start with a state that is too large to be waited for: lines are decided while bans come back,
// as if all were there.
#include <csignal>
#include <fstream>

#include "daemon/restorer.h"
#include "os/clock.h"
#include "store/store.h"
#include "support/setup.h"

using namespace bandd;

namespace {

constexpr int many = 60'000;
static_assert(many > Restorer::at_once);

Prefix numbered(int i) {
    return prefix("10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." +
                  std::to_string(i & 255));
}

struct LargeState : AppSetup {
    Instant begun = now() - std::chrono::minutes(1);
    Checkpoint checkpoint;

    // A daemon has run: where reading goes on is known.
    void begin(const std::string& keys) {
        configure("  app: {logpath: app.log, maxretry: 2, bantime: 1d" + keys + "}\n");
        start();
        REQUIRE(daemon.stop(SIGTERM) == 0);
        checkpoint.jails = {"app"};
        for (int i = 0; i < many; ++i) put_ban(numbered(i), begun + std::chrono::days(1));
    }
    Ban& put_ban(const Prefix& prefix, Instant until) {
        Ban& ban = checkpoint.changes.bans.emplace_back();
        ban.key = {0, prefix};
        ban.from = begun;
        ban.until = until;
        ban.hits = 2;
        auto story = std::make_shared<Story>();
        story->reason = "denied";
        ban.story = story;
        return ban;
    }
    void write() {
        std::string warning;
        auto store = Store::open(dir / "run/state.db", warning);
        REQUIRE(store);
        store->write(std::move(checkpoint));
        store->wait();
        REQUIRE_FALSE(store->take_result());
    }
    Json status() const { return json("status app")["jails"][0]; }
    std::string number(const std::string& ip, const std::string& member) const {
        const Json found = json("bans --within " + ip);
        if (!found.is_object() || found["bans"].empty()) return "none";
        return found["bans"][0][member].dump();
    }
    // The log's lines about this address.
    int said_of(const std::string& ip) const {
        int lines = 0;
        std::istringstream log(daemon.log());
        for (std::string line; std::getline(log, line);) lines += has(line, "ban " + ip + " ");
        return lines;
    }
};

}  // namespace

TEST_CASE_METHOD(LargeState,
                 "a large state: lines that come before their bans are decided as after") {
    begin(", bantime.increment: true");
    // The last ones of the state, in each table.
    put_ban(prefix("203.0.113.1"), begun + std::chrono::days(1));
    put_ban(prefix("203.0.113.2"), begun + std::chrono::seconds(30));  // over
    checkpoint.changes.windows = {{{0, prefix("203.0.113.3")}, {begun}, {}}};
    for (JailIndex jail : {JailIndex{0}, any_jail})
        checkpoint.changes.offences.push_back({{jail, prefix("203.0.113.4")}, {1, begun}});
    write();
    for (const char* ip : {"203.0.113.1", "203.0.113.1", "203.0.113.2", "203.0.113.2",
                           "203.0.113.3", "203.0.113.4", "203.0.113.4", "203.0.113.5"})
        denied(ip);
    start();
    REQUIRE(daemon.said("ban 203.0.113.4 "));
    REQUIRE(wait_for([&] { return status()["bans"] == many + 4; }));
    CHECK(number("203.0.113.1", "hits") == "4");
    CHECK(said_of("203.0.113.1") == 0);  // it is none that is new
    CHECK(number("203.0.113.2", "hits") == "2");
    CHECK(said_of("203.0.113.2") == 2);  // its end, and the new one
    CHECK(number("203.0.113.3", "hits") == "2");
    CHECK(number("203.0.113.4", "offence") == "2");
    CHECK(number("203.0.113.5", "hits") == "none");
    REQUIRE(wait_for([&] { return status()["pending"] == 0; }));
    for (const char* ip : {"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "10.0.0.7"})
        CHECK(in_set("app-ipv4", ip));
    // All of it is in the state, as after any other start.
    daemon.stop(SIGKILL);
    start();
    REQUIRE(wait_for([&] { return status()["bans"] == many + 4; }));
    CHECK(number("203.0.113.1", "hits") == "4");
    CHECK(number("203.0.113.4", "offence") == "2");
    denied("203.0.113.5");
    CHECK(daemon.said("ban 203.0.113.5 "));
}

TEST_CASE_METHOD(LargeState, "a large state: orders that come early hold for all of it") {
    begin("");
    write();
    // As soon as the socket is there.
    Background early("until " + built("bandctl") + " --config " + dir.path() +
                         " unban --all; do sleep 0.01; done",
                     dir / "answer");
    SECTION("unban") { start(); }
    SECTION("a reload, and an end") {
        daemon.start();
        kill(daemon.pid(), SIGHUP);
    }
    REQUIRE(wait_for([&] { return has(read_file(dir / "answer"), std::to_string(many)); }, 60));
    CHECK(status()["bans"] == 0);
    CHECK_FALSE(in_set("app-ipv4", "10.0.0.7"));
    CHECK(daemon.stop(SIGTERM) == 0);
    start();
    CHECK(status()["bans"] == 0);
}

TEST_CASE_METHOD(LargeState, "a large state: what is ignored since is lifted, and is in no set") {
    begin(", ignoreip: [203.0.113.1]");
    put_ban(prefix("203.0.113.1"), begun + std::chrono::days(1));
    write();
    start();
    REQUIRE(wait_for([&] { return status()["bans"] == many && status()["pending"] == 0; }));
    CHECK_FALSE(in_set("app-ipv4", "203.0.113.1"));
    CHECK(daemon.said("unban 203.0.113.1 jail=app why=\"it is ignored"));
}

TEST_CASE_METHOD(LargeState, "a large state: a signal to end while it comes back loses nothing") {
    begin("");
    write();
    denied("203.0.113.9");
    denied("203.0.113.9");
    REQUIRE(daemon.start());
    CHECK(daemon.stop(SIGTERM) == 0);
    start();
    CHECK(wait_for([&] { return status()["bans"] == many + 1; }));
}

TEST_CASE_METHOD(
    LargeState,
    "a large state that breaks off: what came is kept, the rest is in the kernel's sets") {
    begin("");
    write();
    start();
    REQUIRE(wait_for([&] { return status()["bans"] == many && status()["pending"] == 0; }));
    REQUIRE(daemon.stop(SIGTERM) == 0);
    std::string state = dir / "run/state.db";
    must("sqlite3 " + state + " 'PRAGMA wal_checkpoint(TRUNCATE)' 2>/dev/null; true");
    {
        std::fstream file(state, std::ios::in | std::ios::out | std::ios::binary);
        auto size = static_cast<std::streamoff>(std::filesystem::file_size(state));
        // Not the first pages, which say what the others are.
        for (std::streamoff at = size * 3 / 4 / 4096 * 4096; at < size; at += 4096) {
            file.seekp(at);
            file << std::string(4096, '\x55');
        }
    }
    denied("203.0.113.9");
    denied("203.0.113.9");
    start();
    CHECK(daemon.said("cannot read it"));
    CHECK(daemon.said("ban 203.0.113.9 "));
    CHECK(wait_for([&] { return status()["bans"] == many + 1 && status()["pending"] == 0; }));
    CHECK(daemon.said("it was moved to"));
    INFO(daemon.log());
    INFO(status().dump());
    REQUIRE(daemon.stop(SIGTERM) == 0);
    start();
    CHECK(wait_for([&] { return status()["bans"] == many + 1; }));
}
