// SPDX-License-Identifier: GPL-2.0-or-later
// `bandctl fleet` makes files, for root alone, and overwrites nothing.
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/membership.h"
#include "fleet/nkey.h"
#include "fleet/plan.h"
#include "support/setup.h"

using namespace bandd;

namespace {

struct Commands {
    TempDirectory dir;
    std::string fleet = dir / "fleet";
    Ran run(const std::string& words) const {
        return sh(built("bandctl") + " fleet " + words + " --directory " + fleet);
    }
    void init() const {
        auto ran = run(
            "init shop --server gate.example.org --server 192.0.2.1:5000 --count gate gate mx1");
        INFO(ran.out);
        REQUIRE(ran.code == 0);
    }
    Membership membership(const std::string& node) const {
        auto parsed = parse_join_file(read_file(fleet + "/" + node + ".join"), node);
        REQUIRE(parsed);
        return *parsed;
    }
    std::string config() const { return read_file(fleet + "/nats-server.conf"); }
};

mode_t mode_of(const std::string& path) {
    struct stat about{};
    REQUIRE(::lstat(path.c_str(), &about) == 0);
    return about.st_mode & 07777;
}

}  // namespace

TEST_CASE("a fleet is made once, for root alone") {
    Commands commands;
    commands.init();
    CHECK(mode_of(commands.fleet) == 0700);
    for (const auto& file : std::filesystem::directory_iterator(commands.fleet))
        CHECK(mode_of(file.path()) == 0600);
    auto gate = commands.membership("gate"), mx1 = commands.membership("mx1");
    CHECK(gate.access.counts());
    CHECK(!mx1.access.counts());
    CHECK(mx1.access.counting == std::vector<std::string>{"gate"});
    CHECK(mx1.access.servers ==
          std::vector<std::string>{"gate.example.org:4222", "192.0.2.1:5000"});
    CHECK(mx1.key == gate.key);
    CHECK(mx1.access.seed != gate.access.seed);
    // The server knows keys, and no seed.
    for (const Membership& one : {gate, mx1, commands.membership("operator")}) {
        CHECK(has(commands.config(), "nkey: " + *public_nkey_of(one.access.seed)));
        CHECK(!has(commands.config(), one.access.seed));
        CHECK(!has(read_file(commands.fleet + "/fleet.yaml"), one.access.seed));
    }
    std::string before = read_file(commands.fleet + "/mx1.join");
    auto again = commands.run("init shop --server gate.example.org --count gate gate mx1");
    CHECK(again.code == 2);
    CHECK(has(again.out, "is there already"));
    CHECK(read_file(commands.fleet + "/mx1.join") == before);
}

TEST_CASE("a fleet is not made through a link") {
    Commands commands;
    std::filesystem::create_directory(commands.dir / "elsewhere");
    ::symlink((commands.dir / "elsewhere").c_str(), commands.fleet.c_str());
    CHECK(commands.run("init shop --server gate --count gate gate").code == 2);
    CHECK(std::filesystem::is_empty(commands.dir / "elsewhere"));
    // Nor what is made later.
    std::filesystem::remove(commands.fleet);
    commands.init();
    std::string victim = commands.dir / "victim";
    write_file(victim, "mine");
    for (const char* name : {"mx2.join", ".mx1.join.new", ".fleet.yaml.new"})
        ::symlink(victim.c_str(), (commands.fleet + "/" + name).c_str());
    CHECK(commands.run("add mx2").code == 2);
    CHECK(commands.run("rotate mx1").code == 0);
    CHECK(read_file(victim) == "mine");
}

TEST_CASE("nodes are added, removed, and get other keys") {
    Commands commands;
    commands.init();
    auto old = commands.membership("mx1");
    REQUIRE(commands.run("rotate mx1 --for 1d").code == 0);
    auto fresh = commands.membership("mx1");
    std::string old_key = *public_nkey_of(old.access.seed),
                new_key = *public_nkey_of(fresh.access.seed);
    CHECK(old_key != new_key);
    CHECK(has(commands.config(), old_key));
    CHECK(has(commands.config(), new_key));
    CHECK(commands.run("rotate mx1").code == 2);
    REQUIRE(commands.run("rotate mx1 --end").code == 0);
    CHECK(!has(commands.config(), old_key));
    CHECK(has(commands.config(), new_key));
    // What holds for no time is not written.
    REQUIRE(commands.run("rotate mx1 --for 0s").code == 0);
    CHECK(!has(commands.config(), new_key));

    REQUIRE(commands.run("add mx2 mx3.example.org").code == 0);
    CHECK(commands.membership("mx3.example.org").access.node == "mx3.example.org");
    CHECK(has(commands.config(), "hit.mx3=2Eexample=2Eorg"));
    CHECK(commands.run("add mx2").code == 2);
    REQUIRE(commands.run("remove mx2").code == 0);
    CHECK(!has(commands.config(), "hit.mx2"));
    CHECK(!std::filesystem::exists(commands.fleet + "/mx2.join"));
    REQUIRE(commands.run("rotate operator").code == 0);
}

TEST_CASE("what cannot be a fleet is refused") {
    Commands commands;
    for (const char* words :
         {"init", "init shop", "init shop --server gate", "init shop --server gate gate",
          "init shop --server gate --count mx1 gate",
          "init shop --server gate --count gate gate gate",
          "init shop --server 'a b' --count gate gate",
          "init 'a/b' --server gate --count gate gate",
          "init shop --server gate --count gate gate ../x",
          "init shop --server gate --count gate gate operator", "add mx1", "remove mx1",
          "rotate mx1", "other x"}) {
        INFO(words);
        auto ran = commands.run(words);
        CHECK(ran.code == 2);
        CHECK(!std::filesystem::exists(commands.fleet));
    }
    commands.init();
    CHECK(has(commands.run("remove gate").out, "is the only node that counts"));
    CHECK(has(commands.run("remove mx9").out, "is no node of the fleet"));
    CHECK(has(commands.run("rotate mx1 --for soon").out, "is no duration"));
}
