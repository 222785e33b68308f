// SPDX-License-Identifier: GPL-2.0-or-later
// Against the kernel's own ipset, in a namespace; what `ipset` then shows is what counts. Each case
// runs twice: with the backend in this process, and in bandd-kernel.
#include <algorithm>
#include <sstream>

#include "kernel/ipset.h"
#include "support/common.h"
#include "support/kernel_process.h"
#include "support/machine.h"

using namespace bandd;

namespace {

struct Fixture {
    std::unique_ptr<Backend> backend;
    Fixture() {
        clean_namespace();
        if (GENERATE(false, true))
            backend = std::move(*ThroughProcess::create(kernel::Served::ipset));
        else
            backend = std::move(*IpsetBackend::create());
    }
    static IpsetAction users(const std::string& set4, const std::string& set6 = "") {
        IpsetAction action;
        action.set4 = set4;
        action.set6 = set6;
        action.ours = action.create = false;
        return action;
    }
    static IpsetAction ours() {
        IpsetAction action;
        action.set4 = "bandd-sshd-4";
        action.set6 = "bandd-sshd-6";
        return action;
    }
    std::string target(IpsetAction action) {
        backend->set_targets({{0, 0, "sshd", action}});
        auto ready = backend->prepare(0);
        return ready ? "ready" : to_line(ready.error());
    }
    std::vector<std::string> apply(const std::vector<Order>& orders) {
        std::vector<Failure> failed;
        backend->apply(orders, failed);
        std::vector<std::string> texts;
        for (const Failure& failure : failed)
            texts.push_back(std::to_string(failure.index) + ": " + to_line(failure.error));
        return texts;
    }
    Order add(const std::string& who, Duration timeout = std::chrono::hours(1)) {
        return {Order::Kind::add, 0, prefix(who), timeout, {}};
    }
    Order gone(const std::string& who) {
        return {Order::Kind::remove, 0, prefix(who), forever, {}};
    }
    std::size_t listed(TargetId target) {
        std::size_t count = 0;
        REQUIRE(backend->list(target, [&](const Present&) { ++count; }));
        return count;
    }
    // What `ipset save` shows of the elements, sorted; a second may have passed of 10 or more.
    std::string members(const std::string& set) {
        std::istringstream words(
            must("ipset save " + set + " | grep ^add | cut -d' ' -f3- | sort"));
        std::string text;
        for (std::string line; std::getline(words, line);) {
            for (auto [almost, full] :
                 {std::pair{"3599", "3600"}, {"2147482", "2147483"}, {"59", "60"}})
                if (line.ends_with(std::string(" timeout ") + almost))
                    line.replace(line.rfind(' ') + 1, std::string::npos, full);
            text += line + "\n";
        }
        return text;
    }
};
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE_METHOD(Fixture, "ipset: sets of our own are made with timeouts, for both families") {
    CHECK(target(ours()) == "ready");
    CHECK(target(ours()) == "ready");  // they exist now
    CHECK(apply({add("203.0.113.9"), add("2001:db8::/64"), add("10.0.0.0/8", forever)}).empty());
    CHECK(members("bandd-sshd-4") == "10.0.0.0/8 timeout 0\n203.0.113.9 timeout 3600\n");
    CHECK(members("bandd-sshd-6") == "2001:db8::/64 timeout 3600\n");
    CHECK(listed(0) == 3);
    CHECK(backend->count(0) == 3);
    CHECK(backend->traits(0).timed);
    backend->clear();
    CHECK(sh("ipset list bandd-sshd-4").code != 0);
}

TEST_CASE_METHOD(
    Fixture, "ipset: the user's set without timeouts, as in `ipset create hmailblock hash:net`") {
    must("ipset create hmailblock hash:net; ipset add hmailblock 192.0.2.77");
    CHECK(target(users("hmailblock")) == "ready");
    CHECK_FALSE(backend->traits(0).timed);
    CHECK_FALSE(backend->traits(0).ours);
    CHECK(apply({add("54.240.13.35"), add("54.240.13.35")}).empty());
    CHECK(members("hmailblock") == "192.0.2.77\n54.240.13.35\n");
    CHECK(apply({gone("54.240.13.35"), gone("54.240.13.35")}).empty());
    backend->clear();
    CHECK(members("hmailblock") == "192.0.2.77\n");  // the user's own element, and set, stay
    CHECK(apply({add("2001:db8::/64")}) ==
          Texts{"0: ipset \"hmailblock\": is for IPv4 only; name a set for IPv6 with \"set6:\""});
}

TEST_CASE_METHOD(Fixture, "ipset: bans beyond its longest timeout get that one; adding renews") {
    CHECK(target(ours()) == "ready");
    CHECK(backend->traits(0).longest == std::chrono::seconds(2147483));
    CHECK(apply({add("203.0.113.9", std::chrono::days(365))}).empty());
    CHECK(members("bandd-sshd-4") == "203.0.113.9 timeout 2147483\n");
    CHECK(apply({{Order::Kind::renew, 0, prefix("203.0.113.9"), std::chrono::minutes(1), {}}})
              .empty());
    CHECK(members("bandd-sshd-4") == "203.0.113.9 timeout 60\n");
    CHECK(apply({add("203.0.113.10", std::chrono::milliseconds(1))})
              .empty());  // never 0: that is for ever
    CHECK(members("bandd-sshd-4").find("203.0.113.10 timeout 1\n") != std::string::npos);
}

TEST_CASE_METHOD(Fixture,
                 "ipset: many at once, with one that the set refuses, named by its place") {
    must("ipset create small hash:net timeout 0 maxelem 50; ipset create other hash:net timeout 0");
    IpsetAction small = users("small");
    backend->set_targets({{0, 0, "a", small}, {1, 1, "b", users("other")}});
    REQUIRE(backend->prepare(0));
    REQUIRE(backend->prepare(1));
    std::vector<Order> orders;
    for (int i = 0; i < 60; ++i) orders.push_back(add("10.0.0." + std::to_string(i)));
    for (int i = 0; i < 60; ++i) {
        orders.push_back(add("10.1.0." + std::to_string(i)));
        orders.back().target = 1;
    }
    auto failed = apply(orders);
    CHECK(failed.size() == 10);
    REQUIRE_FALSE(failed.empty());
    CHECK(failed.front() ==
          "50: ipset \"small\": is full: it holds 50 elements; make the set larger (maxelem), or "
          "bantime shorter");
    std::vector<Failure> failures;
    backend->apply(std::vector{add("10.0.0.99"), add("10.0.0.1")}, failures);
    REQUIRE(failures.size() == 1);  // what is there is renewed
    CHECK(failures[0].index == 0);
    CHECK(failures[0].full);
    CHECK(backend->traits(0).most4 == 50);
    CHECK(backend->traits(0).most6 == UINT64_MAX);
    CHECK(listed(0) == 50);
    CHECK(listed(1) == 60);
    CHECK(backend->count(1) == 60);
}

TEST_CASE_METHOD(Fixture, "ipset: sets that bandd can't use are refused with what to do") {
    CHECK(target(users("nosuch")) ==
          "ipset \"nosuch\": does not exist; make it: ipset create nosuch hash:net family inet "
          "timeout 0 "
          "maxelem 1000000, or set \"create: true\"");
    must(
        "ipset create six hash:net family inet6; ipset create ports bitmap:port range 0-100;"
        "ipset create single hash:ip");
    CHECK(target(users("six")) ==
          "ipset \"six\": holds IPv6, not IPv4; name the IPv4 set with \"set:\" and the IPv6 one "
          "with \"set6:\"");
    CHECK(target(users("ports")) ==
          "ipset \"ports\": is of type bitmap:port; bandd writes to hash:net and hash:ip sets");
    CHECK(target(users("single")) == "ready");
    CHECK(apply({add("192.0.2.1"), add("192.0.2.0/24")}) ==
          Texts{"1: ipset \"single\": is of type hash:ip and can't hold 192.0.2.0/24; make it a "
                "hash:net "
                "set, or set ban_prefix to single addresses"});
}

TEST_CASE_METHOD(Fixture, "ipset: a set that cannot be used does not hold up the other family's") {
    must("ipset create y hash:net timeout 0");
    CHECK(target(users("y", "z")) == "ready");
    auto said = [&] {
        std::string text;
        for (const Error& remark : backend->remarks(0)) text += to_line(remark) + "\n";
        return text;
    };
    CHECK(said().starts_with("ipset \"z\": does not exist; make it: ipset create z"));
    auto failed = apply({add("192.0.2.1"), add("2001:db8::/64")});
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].starts_with("1: ipset \"z\": does not exist"));
    CHECK(members("y") == "192.0.2.1 timeout 3600\n");
    CHECK(listed(0) == 1);
    CHECK(apply({gone("2001:db8::/64")}).empty());
    must("ipset create z hash:net family inet6 timeout 0");
    REQUIRE(backend->prepare(0));
    CHECK(said().empty());
    CHECK(apply({add("2001:db8::/64")}).empty());
    CHECK(listed(0) == 2);
    must("ipset destroy z");
    REQUIRE(backend->prepare(0));
    CHECK(apply({add("192.0.2.2")}).empty());
    CHECK(listed(0) == 2);
    must("ipset destroy y");
    CHECK_FALSE(backend->prepare(0));
}

TEST_CASE_METHOD(Fixture,
                 "ipset: a set that vanished is said to be missing, and works once it is back") {
    must("ipset create hmailblock hash:net");
    CHECK(target(users("hmailblock")) == "ready");
    must("ipset destroy hmailblock");
    auto failed = apply({add("203.0.113.9")});
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].find("does not exist") != std::string::npos);
    CHECK_FALSE(backend->prepare(0));
    must("ipset create hmailblock hash:net timeout 0");
    REQUIRE(backend->prepare(0));
    CHECK(backend->traits(0).timed);  // another kind of set than before
    CHECK(apply({add("203.0.113.9")}).empty());
    CHECK(members("hmailblock") == "203.0.113.9 timeout 3600\n");
}

TEST_CASE_METHOD(Fixture,
                 "ipset: a reload destroys sets of ours that no jail uses, never the user's") {
    must("ipset create hmailblock hash:net");
    backend->set_targets({{0, 0, "sshd", ours()}, {1, 1, "mail", users("hmailblock")}});
    REQUIRE(backend->prepare(0));
    REQUIRE(backend->prepare(1));
    backend->set_targets({});
    CHECK(sh("ipset list bandd-sshd-4").code != 0);
    CHECK(sh("ipset list hmailblock").code == 0);
}

TEST_CASE_METHOD(Fixture, "ipset: a ban after many at once is in the set when it is acknowledged") {
    must("ipset create hmailblock hash:net");
    REQUIRE(target(users("hmailblock")) == "ready");
    std::vector<Order> adds, removes;
    for (int i = 1; i <= 50; ++i) {
        adds.push_back(add("198.51.100." + std::to_string(i)));
        removes.push_back(gone("198.51.100." + std::to_string(i)));
    }
    CHECK(apply(adds).empty());
    CHECK(apply({add("203.0.113.9")}).empty());
    CHECK(members("hmailblock").find("203.0.113.9\n") != std::string::npos);
    CHECK(apply(removes).empty());
    CHECK(apply({gone("203.0.113.9")}).empty());
    CHECK(members("hmailblock").empty());
    CHECK(apply({add("203.0.113.10")}).empty());
    CHECK(members("hmailblock") == "203.0.113.10\n");
}

TEST_CASE_METHOD(Fixture,
                 "ipset: what a set can't hold, or does besides, is said once it is looked at") {
    auto remarks = [&](IpsetAction action) {
        std::string ready = target(action);
        std::string text = ready == "ready" ? "" : ready + "\n";
        for (const Error& remark : backend->remarks(0)) text += to_line(remark) + "\n";
        return text;
    };
    must(
        "ipset create nets hash:net timeout 0; ipset create six hash:net family inet6 timeout 9;"
        "ipset create plain hash:ip timeout 0; ipset create plain6 hash:ip family inet6 timeout 0;"
        "ipset create forgets hash:net timeout 0 forceadd maxelem 1024;"
        "ipset create wide hash:ip netmask 24 timeout 0; ipset create untimed hash:net;"
        "ipset create pairs hash:net,port timeout 0; ipset create bits bitmap:ip range "
        "10.0.0.0/24");
    CHECK(remarks(users("nets", "six")).empty());
    CHECK(remarks(users("plain")).empty());  // IPv4 is banned by single addresses
    CHECK(remarks(ours()).empty());
    IpsetAction blocks = users("plain");
    blocks.widest4 = 24;
    CHECK(
        remarks(blocks) ==
        "ipset \"plain\": is of type hash:ip and can't hold the /24 that the jail bans; make it a "
        "hash:net set, or write \"ban_prefix: {ipv4: 32}\"\n");
    CHECK(remarks(users("nets", "plain6")) ==
          "ipset \"plain6\": is of type hash:ip and can't hold the /64 that the jail bans; make it "
          "a hash:net set, or write \"ban_prefix: {ipv6: 128}\"\n");
    CHECK(
        remarks(users("forgets")) ==
        "ipset \"forgets\": was made with forceadd: beyond 1024 elements the kernel throws others "
        "out, and says nothing; make it without forceadd\n");
    CHECK(remarks(users("wide")) ==
          "ipset \"wide\": was made with netmask 24: each ban stops a whole /24; make it without "
          "netmask, and say with \"ban_prefix\" how much is banned\n");
    CHECK(remarks(users("untimed")) ==
          "ipset \"untimed\": has no timeouts: bandd takes each address out at the end of its ban, "
          "which it must be running for; make it with \"timeout 0\", and bans end by themselves\n");
    for (const char* set : {"pairs", "bits"})
        CHECK(remarks(users(set)).starts_with("ipset \"" + std::string(set) + "\": is of type "));
}
