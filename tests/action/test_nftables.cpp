// SPDX-License-Identifier: GPL-2.0-or-later
// Against the kernel's own nf_tables, in a namespace. Each case runs twice: with the backend in
// this process, and in bandd-kernel.
#include <algorithm>

#include "kernel/nftables.h"
#include "support/common.h"
#include "support/kernel_process.h"
#include "support/machine.h"

using namespace bandd;

namespace {

TargetSpec target(TargetId id, const std::string& jail, NftablesAction action = {}) {
    return {id, static_cast<JailIndex>(id), jail, action};
}
Order add(const std::string& who, Duration timeout = std::chrono::hours(1), TargetId id = 0) {
    return {Order::Kind::add, id, prefix(who), timeout, {}};
}
Order renew(const std::string& who, Duration timeout) {
    return {Order::Kind::renew, 0, prefix(who), timeout, {}};
}
Order gone(const std::string& who) { return {Order::Kind::remove, 0, prefix(who), forever, {}}; }

struct Fixture {
    bool through_process = GENERATE(false, true);
    std::unique_ptr<Backend> backend;
    Fixture() {
        clean_namespace();
        make_backend();
    }
    void make_backend() {
        if (through_process)
            backend = std::move(*ThroughProcess::create(kernel::Served::nftables));
        else
            backend = std::move(*NftablesBackend::create());
    }
    void targets(std::vector<TargetSpec> specs) {
        backend->set_targets(specs);
        for (const TargetSpec& spec : specs) {
            auto ready = backend->prepare(spec.id);
            if (!ready) FAIL(to_line(ready.error()));
        }
    }
    std::vector<std::string> apply(const std::vector<Order>& orders) {
        std::vector<Failure> failed;
        backend->apply(orders, failed);
        std::vector<std::string> texts;
        for (const Failure& failure : failed)
            texts.push_back(std::to_string(failure.index) + ": " + to_line(failure.error));
        return texts;
    }
    // "203.0.113.9 3600" of every element, by address; seconds rounded up.
    std::vector<std::string> elements(TargetId id = 0) {
        std::vector<Present> list;
        REQUIRE(backend->list(id, [&](const Present& present) { list.push_back(present); }));
        std::ranges::sort(list, {}, &Present::prefix);
        std::vector<std::string> texts;
        for (const Present& present : list)
            texts.push_back(
                to_string(present.prefix) + " " +
                (present.remaining
                     ? std::to_string((present.remaining->count() + 999'999) / 1'000'000)
                     : "forever"));
        return texts;
    }
};
using Texts = std::vector<std::string>;
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "nftables: a ban is an element with a timeout, in the form nft shows") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9"), add("2001:db8:1:2::/64", std::chrono::minutes(10)),
                 add("198.51.100.7", forever)})
              .empty());
    CHECK(elements() == Texts{"198.51.100.7 forever", "203.0.113.9 3600", "2001:db8:1:2::/64 600"});
    std::string rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK(has(rules, "set sshd-ipv4 {\n\t\ttype ipv4_addr\n"));
    CHECK(has(rules, "203.0.113.9 timeout 1h expires "));
    CHECK(has(rules, "type filter hook prerouting priority raw; policy accept;"));
    CHECK(has(rules, "ip saddr @sshd-ipv4 counter packets 0 bytes 0 drop"));
    CHECK(has(rules,
              "ip6 saddr & ffff:ffff:ffff:ffff:: == @sshd-ipv6-64 counter packets 0 bytes 0 drop"));
}

TEST_CASE_METHOD(
    Fixture,
    "nftables: adding twice is no error, renewing moves the end, removing twice is no error") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9", std::chrono::minutes(10))}).empty());
    CHECK(apply({add("203.0.113.9", std::chrono::minutes(20))}).empty());
    CHECK(elements().size() == 1);  // with the old or the new end: that differs between kernels
    CHECK(apply({renew("203.0.113.9", std::chrono::minutes(30)),
                 renew("203.0.113.10", std::chrono::minutes(40))})
              .empty());
    CHECK(elements() == Texts{"203.0.113.9 1800", "203.0.113.10 2400"});
    CHECK(apply({gone("203.0.113.9"), gone("203.0.113.9"), gone("192.0.2.1")}).empty());
    CHECK(elements() == Texts{"203.0.113.10 2400"});
    // Within one transaction, in order.
    CHECK(
        apply({add("192.0.2.1"), gone("192.0.2.1"), gone("192.0.2.2"), add("192.0.2.2")}).empty());
    CHECK(elements() == Texts{"192.0.2.2 3600", "203.0.113.10 2400"});
}

TEST_CASE_METHOD(Fixture, "nftables: prefixes of other lengths get sets of their own") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.0/24"), add("2001:db8::1/128"), add("10.0.0.0/8")}).empty());
    CHECK(elements() == Texts{"10.0.0.0/8 3600", "203.0.113.0/24 3600", "2001:db8::1 3600"});
    std::string rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK(has(rules, "ip saddr & 255.255.255.0 == @sshd-ipv4-24"));
    CHECK(has(rules, "ip saddr & 255.0.0.0 == @sshd-ipv4-8"));
    CHECK(has(rules, "ip6 saddr @sshd-ipv6 "));
}

TEST_CASE_METHOD(Fixture, "nftables: hooks, ports, reject and log prefix stand in the rules") {
    NftablesAction action;
    action.hooks = {Hook::input, Hook::forward};
    action.verdict = Verdict::reject;
    action.log_prefix = "SPAM_BLOCK: ";
    action.ports = {{25, 25}, {587, 588}};
    action.protocols = {Protocol::tcp};
    targets({target(0, "mail", action)});
    std::string rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK(has(rules, "hook input priority raw"));
    CHECK(has(rules, "hook forward priority raw"));
    CHECK_FALSE(has(rules, "prerouting"));
    CHECK(has(rules,
              "tcp dport 25 ip saddr @mail-ipv4 limit rate 10/second burst 10 packets log "
              "prefix \"SPAM_BLOCK: \""));
    CHECK(has(rules, "tcp dport 587-588 ip saddr @mail-ipv4 counter packets 0 bytes 0 reject"));
    action.interfaces = {"ppp*", "eth0.100"};
    targets({target(0, "mail", action)});
    rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK(has(rules, "iifname \"ppp*\" tcp dport 25 ip saddr @mail-ipv4 counter"));
    CHECK(has(rules, "iifname \"eth0.100\" tcp dport 25 ip saddr @mail-ipv4 counter"));
    CHECK_FALSE(has(rules, "\t\ttcp dport"));
    NftablesAction early;
    early.verdict = Verdict::reject;
    early.priority = -150;
    targets({target(0, "mail", early)});
    rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK_FALSE(has(rules, "hook input"));
    CHECK(has(rules, "hook prerouting priority mangle"));
}

TEST_CASE_METHOD(Fixture, "nftables: ten thousand bans in one call, those that exist among them") {
    targets({target(0, "sshd")});
    std::vector<Order> orders;
    for (int i = 0; i < 10'000; ++i)
        orders.push_back(add("10." + std::to_string(i / 65536) + "." +
                             std::to_string(i / 256 % 256) + "." + std::to_string(i % 256)));
    CHECK(apply(orders).empty());
    CHECK(apply(orders).empty());
    CHECK(elements().size() == 10'000);
}

TEST_CASE_METHOD(Fixture,
                 "nftables: one refused element is named, and the rest of its batch holds") {
    targets({target(0, "full"), target(1, "sshd")});
    // A set of our name, made by somebody else with room for two.
    must(
        "nft delete table inet bandd; nft add table inet bandd;"
        "nft 'add set inet bandd full-ipv4 { type ipv4_addr; flags timeout; size 2; }'");
    [[maybe_unused]] auto notices = backend->read_notices();
    targets({target(0, "full"), target(1, "sshd")});
    std::vector<Order> orders{add("192.0.2.1"), add("192.0.2.2"),
                              add("192.0.2.3"), add("203.0.113.1", std::chrono::hours(1), 1),
                              add("192.0.2.4"), add("203.0.113.2", std::chrono::hours(1), 1)};
    auto failed = apply(orders);
    INFO(must("nft list table inet bandd"));
    REQUIRE(failed.size() == 2);
    for (const std::string& text : failed) CHECK(has(text, "nftables: set full-ipv4: "));
    CHECK(elements(0).size() == 2);
    CHECK(elements(1) == Texts{"203.0.113.1 3600", "203.0.113.2 3600"});
}

TEST_CASE_METHOD(Fixture, "nftables: a set to which somebody gave a size is said to be full") {
    must(
        "nft add table inet bandd; nft 'add set inet bandd sshd-ipv4 { type ipv4_addr; flags "
        "timeout; size 2; }'");
    targets({target(0, "sshd")});
    std::vector<Failure> failed;
    std::vector<Order> orders{add("10.0.0.1"), add("10.0.0.2"), add("10.0.0.3")};
    backend->apply(orders, failed);
    // A kernel that compares sizes makes the set anew, without one.
    if (must("nft list set inet bandd sshd-ipv4").find("size 2") == std::string::npos) {
        CHECK(failed.empty());
        return;
    }
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].full);
    CHECK(to_line(failed[0].error) ==
          "nftables: set sshd-ipv4: is full; somebody gave it a size: nft delete table inet bandd, "
          "and bandd makes it anew");
    CHECK(elements().size() == 2);
}

TEST_CASE_METHOD(Fixture, "nftables: the end of a ban is the kernel's") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9", std::chrono::milliseconds(300))}).empty());
    CHECK(elements() == Texts{"203.0.113.9 1"});
    CHECK(wait_for([&] { return elements().empty(); }, 5));
}

TEST_CASE_METHOD(Fixture, "nftables: whoever touches our table is noticed, others and we are not") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9")}).empty());
    CHECK_FALSE(backend->read_notices().touched);
    must("nft add table inet other; nft add chain inet other c");
    CHECK_FALSE(backend->read_notices().touched);
    SECTION("the whole rule set is flushed") { must("nft flush ruleset"); }
    SECTION("our table is deleted") { must("nft delete table inet bandd"); }
    SECTION("an element is deleted") {
        must("nft 'delete element inet bandd sshd-ipv4 { 203.0.113.9 }'");
    }
    SECTION("a chain is flushed") { must("nft flush chain inet bandd prerouting"); }
    SECTION("our table is put to sleep") {
        must("nft 'add table inet bandd { flags dormant; }'");
        REQUIRE(has(must("nft list table inet bandd"), "dormant"));
    }
    CHECK(backend->read_notices().touched);
    REQUIRE(backend->prepare(0));
    CHECK(apply({renew("203.0.113.9", std::chrono::hours(1))}).empty());
    CHECK(elements() == Texts{"203.0.113.9 3600"});
    CHECK(has(must("nft list chain inet bandd prerouting"), "@sshd-ipv4"));
    CHECK_FALSE(has(must("nft list table inet bandd"), "dormant"));
}

TEST_CASE_METHOD(Fixture, "nftables: lost notifications count as a touch") {
    targets({target(0, "sshd")});
    // More than the socket's buffer holds, in a table that is none of ours.
    std::string elements;
    for (int i = 0; i < 300'000; ++i)
        elements += (i > 0 ? "," : "") + std::string("10.") + std::to_string(i / 65536) + "." +
                    std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
    TempDirectory dir;
    write_file(dir / "rules",
               "add table inet other\nadd set inet other s { type ipv4_addr; }\n"
               "add element inet other s { " +
                   elements + " }\n");
    // bandd-kernel reads meanwhile, unless it is held up.
    if (through_process) kill(kernel_processes().back(), SIGSTOP);
    must("nft -f " + dir / "rules");
    if (through_process) kill(kernel_processes().back(), SIGCONT);
    CHECK(backend->read_notices().touched);
}

TEST_CASE_METHOD(Fixture,
                 "nftables: a reload keeps bans of jails that stay and clears away the others") {
    targets({target(0, "sshd"), target(1, "postfix")});
    CHECK(apply({add("203.0.113.9"), add("203.0.113.0/24"),
                 add("192.0.2.1", std::chrono::hours(1), 1)})
              .empty());
    targets({target(0, "dovecot"), target(1, "sshd")});
    CHECK(elements(1) == Texts{"203.0.113.0/24 3600", "203.0.113.9 3600"});
    CHECK(elements(0).empty());
    std::string rules = must("nft list table inet bandd");
    INFO(rules);
    CHECK_FALSE(has(rules, "postfix"));
    CHECK(has(rules, "@sshd-ipv4-24"));
}

TEST_CASE_METHOD(Fixture, "nftables: a new daemon finds the bans of the one before it") {
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9"), add("203.0.113.0/24")}).empty());
    make_backend();
    targets({target(0, "sshd")});
    CHECK(elements().size() == 2);
    backend->clear();
    CHECK(sh("nft list table inet bandd").code != 0);
}

TEST_CASE_METHOD(Fixture, "nftables: other tables are never touched") {
    must(
        "nft add table inet other; nft 'add set inet other sshd-ipv4 { type ipv4_addr; }';"
        "nft 'add element inet other sshd-ipv4 { 192.0.2.9 }'");
    std::string before = must("nft list table inet other");
    targets({target(0, "sshd")});
    CHECK(apply({add("203.0.113.9"), gone("192.0.2.9")}).empty());
    targets({});
    backend->clear();
    CHECK(must("nft list table inet other") == before);
}

TEST_CASE_METHOD(Fixture, "nftables: without the right to, it says what is missing") {
    Ran ran =
        sh("setpriv --bounding-set=-net_admin --inh-caps=-net_admin --reuid=65534 --clear-groups "
           "/proc/" +
           std::to_string(getpid()) + "/exe '[unprivileged]' 2>&1");
    INFO(ran.out);
    CHECK(has(ran.out, "bandd needs"));
    CHECK(has(ran.out, "CAP_NET_ADMIN"));
}

// Run by the test above, as another user.
TEST_CASE("nftables without rights", "[.][unprivileged]") {
    auto backend = NftablesBackend::create();
    if (!backend) FAIL(to_line(backend.error()));
    (*backend)->set_targets({target(0, "sshd")});
    auto ready = (*backend)->prepare(0);
    REQUIRE_FALSE(ready);
    FAIL(to_line(ready.error()));
}
