// SPDX-License-Identifier: GPL-2.0-or-later
// Dispatch over a kernel that fails when told to: an in-memory twin of a backend. The real ones are
// tested beside this file.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>

#include "action/direct_carrier.h"
#include "action/dispatch.h"
#include "action/ipset_fitness.h"
#include "core/decide/engine.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct Memory : Backend {
    std::map<TargetId, std::map<Prefix, Duration>> sets;
    std::map<TargetId, SetTraits> set_traits;
    std::map<TargetId, std::string> broken;  // prepare fails
    std::map<Prefix, std::string> refused;   // apply fails
    std::size_t size = SIZE_MAX;             // of each set
    std::size_t tried = 0;                   // orders
    std::vector<std::string> told;
    bool telling = false;
    int notice = 77;
    Notices pending;

    void set_targets(std::vector<TargetSpec>) override {}
    Result<> prepare(TargetId target) override {
        if (broken.contains(target)) return fail("set", broken[target]);
        return {};
    }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override {
        for (std::size_t i = 0; i < orders.size(); ++i) {
            const Order& order = orders[i];
            ++tried;
            if (order.kind != Order::Kind::remove && !sets[order.target].contains(order.prefix) &&
                sets[order.target].size() >= size) {
                failed.push_back({i, full_ipset("set", size), true});
                continue;
            }
            if (auto bad = refused.find(order.prefix); bad != refused.end()) {
                failed.push_back({i, {"set", bad->second, {}, {}}});
                continue;
            }
            if (telling) {
                told.push_back((order.kind == Order::Kind::add ? "add " : "remove ") +
                               to_string(order.prefix));
            } else if (order.kind == Order::Kind::remove) {
                sets[order.target].erase(order.prefix);
            } else {
                sets[order.target][order.prefix] =
                    std::min(order.timeout, traits(order.target).longest);
            }
        }
    }
    bool enforces() const override { return !telling; }
    SetTraits traits(TargetId target) const override {
        auto found = set_traits.find(target);
        SetTraits traits = found == set_traits.end() ? SetTraits{} : found->second;
        if (knows_size) traits.most4 = size;
        return traits;
    }
    bool knows_size = false;
    Result<> list(TargetId target, const Visit& visit) override {
        for (auto [prefix, left] : sets[target])
            visit({prefix, left == forever ? std::nullopt : std::optional(left)});
        return {};
    }
    int notice_fd() const override { return telling ? -1 : notice; }
    Notices read_notices() override { return std::exchange(pending, {}); }
};

// Carries out what it was asked for only when it is told to, as another process does.
struct Later : Carrier {
    DirectCarrier direct;
    std::deque<std::function<void()>> asked;
    explicit Later(std::unique_ptr<Backend> backend) : direct(std::move(backend)) {}

    bool enforces() const override { return true; }
    bool completes_later() const override { return false; }
    SetTraits traits(TargetId target) const override { return direct.traits(target); }
    std::size_t most_listed() const override { return direct.most_listed(); }
    bool sees_touches() const override { return true; }
    void set_targets(std::vector<TargetSpec>) override {}
    void look(RequestId request, TargetId target, Look what) override {
        asked.push_back([=, this] { direct.look(request, target, what); });
    }
    void apply(RequestId request, std::span<const Order> orders) override {
        std::vector<Order> kept(orders.begin(), orders.end());
        asked.push_back([=, this] { direct.apply(request, kept); });
    }
    void clear() override {}
    int notice_fd() const override { return 77; }
    void read() override {}
    void wait(Duration) override {}
    // The next of them, or all.
    void answer(std::size_t count = SIZE_MAX) {
        for (; count > 0 && !asked.empty(); --count, asked.pop_front()) asked.front()();
        for (Notice& notice : direct.take_notices())
            std::visit([this](auto& one) { tell(std::move(one)); }, notice);
    }
    void lose() {
        asked.clear();
        tell(Lost{{"bandd-kernel", "has ended", {}, {}}});
    }
    void regain() { tell(Regained{}); }
    void touch() { tell(Touched{}); }
};

constexpr std::size_t nftables_kind = 0;
constexpr std::size_t ipset_kind = 1;
constexpr std::size_t syslog_kind = 3;

struct Machine {
    Engine engine;
    Memory *nftables = nullptr, *ipset = nullptr, *syslog = nullptr;
    Later* later = nullptr;  // to nftables
    std::unique_ptr<Dispatch> dispatch;
    std::vector<std::string> heard;
    Instant now = at(0);

    Machine(const std::vector<std::string>& jails,
            const std::vector<std::vector<ActionConfig>>& actions, bool answers_later = false) {
        set_jails(jails);
        Dispatch::Carriers carriers;
        auto make = [&](std::size_t kind, bool telling) {
            auto made = std::make_unique<Memory>();
            made->telling = telling;
            Memory* raw = made.get();
            carriers[kind] = std::make_unique<DirectCarrier>(std::move(made));
            return raw;
        };
        nftables = make(nftables_kind, false);
        ipset = make(ipset_kind, false);
        syslog = make(syslog_kind, true);
        ipset->notice = -1;
        if (answers_later) {
            auto memory = std::make_unique<Memory>();
            nftables = memory.get();
            auto made = std::make_unique<Later>(std::move(memory));
            later = made.get();
            carriers[nftables_kind] = std::move(made);
        }
        dispatch = std::make_unique<Dispatch>(engine.bans(), std::move(carriers));
        set_targets(actions);
    }
    // Of the jails, in their order.
    void set_targets(const std::vector<std::vector<ActionConfig>>& actions) {
        std::vector<JailActions> jails;
        for (std::size_t i = 0; i < actions.size(); ++i) {
            JailIndex jail = engine.jails()[i];
            jails.push_back({jail, engine.rules(jail).name, actions[i]});
        }
        dispatch->set_targets(std::move(jails));
        Report report;
        dispatch->make_right(now, report);
        hear(report);
    }
    void set_jails(const std::vector<std::string>& jails) {
        std::vector<JailRules> rules;
        for (const std::string& name : jails) {
            JailRules one;
            one.name = name;
            one.bantime.base = std::chrono::hours(1);
            rules.push_back(one);
        }
        Outcome outcome;
        engine.set_rules(rules, now, outcome);
    }
    void hear(const Report& report) {
        for (const Acknowledged& one : report.acknowledged) engine.on_acknowledged(one);
        for (const Ban& ban : report.in_force)
            heard.push_back("in force " + to_string(ban.key.prefix) + " " +
                            engine.rules(ban.key.jail).name);
        for (const auto& trouble : report.troubles)
            heard.push_back(std::string(trouble.recovered ? "recovered: " : "trouble: ") +
                            to_line(trouble.error));
        for (TargetId target : report.repaired)
            heard.push_back("repaired " + std::to_string(target));
    }
    void turn(double seconds) {
        now = at(seconds);
        Outcome outcome;
        engine.on_time(now, outcome);
        finish(outcome);
    }
    void finish(Outcome& outcome) {
        dispatch->on_events(outcome.events, now);
        Report report;
        dispatch->flush(now, report);
        if (auto due = dispatch->next_deadline(); due && *due <= now)
            dispatch->on_time(now, report);
        hear(report);
    }
    void ban(const std::string& who, JailIndex jail = 0, std::optional<Duration> time = {}) {
        Outcome outcome;
        REQUIRE(engine.ban_by_hand({jail, prefix(who), time, "test", true}, now, outcome));
        finish(outcome);
    }
    void unban(const std::string& who) {
        Outcome outcome;
        engine.unban({}, prefix(who), now, outcome);
        finish(outcome);
    }
    void touched() {
        nftables->pending.touched = true;
        Report report;
        dispatch->on_notice(nftables_kind, now, report);
        hear(report);
    }
    // What the backend was asked for is done, and what follows from it.
    void answered(std::size_t count = SIZE_MAX) {
        later->answer(count);
        Report report;
        dispatch->on_notice(nftables_kind, now, report);
        hear(report);
    }
    void settle() {
        while (!later->asked.empty()) answered();
    }
    BanState state(const std::string& who, JailIndex jail = 0) {
        return engine.bans().find({jail, prefix(who)})->state;
    }
    std::vector<std::string> take() { return std::exchange(heard, {}); }
};
using Texts = std::vector<std::string>;
IpsetAction set_named(const std::string& name) {
    IpsetAction action;
    action.set4 = name;
    return action;
}

}  // namespace

TEST_CASE("a ban is in force only when every set has acknowledged it; only then is it announced") {
    Machine m({"sshd"}, {{NftablesAction{}, set_named("x"), SyslogAction{}}});
    m.ipset->refused[prefix("203.0.113.9")] = "busy";
    m.ban("203.0.113.9");
    CHECK(m.state("203.0.113.9") == BanState::pending);
    CHECK(m.nftables->sets[0].size() == 1);
    CHECK(m.syslog->told.empty());
    CHECK(m.take() == Texts{"trouble: set: busy"});
    m.ipset->refused.clear();
    m.turn(0.5);
    CHECK(m.state("203.0.113.9") == BanState::pending);  // not yet tried again
    m.turn(1);
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.take() == Texts{"in force 203.0.113.9 sshd", "recovered: set: busy"});
    CHECK(m.syslog->told == Texts{"add 203.0.113.9"});
    m.turn(3600);
    CHECK(m.syslog->told == Texts{"add 203.0.113.9", "remove 203.0.113.9"});
}

TEST_CASE("a set that fails is tried again with growing pauses, said once, and other bans go on") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.nftables->refused[prefix("203.0.113.9")] = "set is full";
    m.ban("203.0.113.9");
    m.ban("203.0.113.10");
    CHECK(m.state("203.0.113.10") == BanState::active);
    std::vector<double> tries;
    std::uint64_t before = m.dispatch->targets()[0].failures;
    for (double second = 0; second < 200; second += 0.5) {
        m.turn(second);
        if (m.dispatch->targets()[0].failures != before) tries.push_back(second);
        before = m.dispatch->targets()[0].failures;
    }
    CHECK(tries == std::vector<double>{1, 3, 7, 15, 31, 63, 123, 183});
    CHECK(m.take() == Texts{"trouble: set: set is full", "in force 203.0.113.10 sshd"});
    CHECK(m.state("203.0.113.9") == BanState::pending);
}

TEST_CASE("a jail whose set cannot be made does not stop the others, and catches up") {
    Machine m({"mail", "sshd"}, {{set_named("hmailblock")}, {NftablesAction{}}});
    m.ipset->broken[0] = "does not exist";
    m.set_targets({{set_named("hmailblock")}, {NftablesAction{}}});
    m.ban("203.0.113.1", 0);
    m.ban("203.0.113.2", 1);
    CHECK(m.state("203.0.113.1", 0) == BanState::pending);
    CHECK(m.state("203.0.113.2", 1) == BanState::active);
    m.ipset->broken.clear();
    for (double second = 1; second < 5; ++second) m.turn(second);
    CHECK(m.state("203.0.113.1", 0) == BanState::active);
    CHECK(m.ipset->sets[0].size() == 1);
}

TEST_CASE("a flushed set is filled again, with the time that is left") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.ban("203.0.113.9");
    m.ban("203.0.113.10", 0, forever);
    m.take();
    m.turn(600);
    m.nftables->sets.clear();
    m.touched();
    CHECK(m.nftables->sets[0].at(prefix("203.0.113.9")) == std::chrono::seconds(3000));
    CHECK(m.nftables->sets[0].at(prefix("203.0.113.10")) == forever);
    CHECK(m.take() == Texts{"repaired 0"});
    // An element that we did not put into our set goes.
    m.nftables->sets[0][prefix("192.0.2.1")] = forever;
    m.touched();
    CHECK(m.nftables->sets[0].size() == 2);
    CHECK(m.take().empty());
}

TEST_CASE("two programs that fight over the sets: repairs wait for each other, and it is said") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.ban("203.0.113.9");
    m.take();
    for (int i = 0; i < Dispatch::most_quick_repairs; ++i) {
        m.nftables->sets.clear();
        m.touched();
        CHECK(m.nftables->sets[0].size() == 1);
    }
    m.take();
    for (int i = 0; i < 100; ++i) {
        m.nftables->sets.clear();
        m.touched();
    }
    CHECK(m.nftables->sets[0].empty());
    CHECK(m.take() ==
          Texts{"trouble: nftables: somebody keeps changing bandd's sets; they are made "
                "right again in 1s; look for a second bandd, or a script that changes "
                "them"});
    m.turn(1.1);
    CHECK(m.nftables->sets[0].size() == 1);
    // Once it is over, repairs are prompt again.
    m.turn(30);
    m.nftables->sets.clear();
    m.touched();
    CHECK(m.nftables->sets[0].size() == 1);
}

TEST_CASE(
    "the clock is set forward or back: the kernel is told the time that is left by the clock") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.ban("203.0.113.9");
    m.ban("203.0.113.10", 0, std::chrono::hours(24));
    auto change_clock = [&](double seconds) {
        m.turn(seconds);
        Report report;
        m.dispatch->on_clock_change(m.now, report);
    };
    SECTION("three hours forward: what is over by the clock is let in, the rest ends earlier") {
        change_clock(3 * 3600);
        CHECK_FALSE(m.nftables->sets[0].contains(prefix("203.0.113.9")));
        CHECK(m.nftables->sets[0].at(prefix("203.0.113.10")) == std::chrono::hours(21));
    }
    SECTION("three hours back: bans last until the time that was said") {
        change_clock(-3 * 3600);
        CHECK(m.nftables->sets[0].at(prefix("203.0.113.9")) == std::chrono::hours(4));
        CHECK(m.state("203.0.113.9") == BanState::active);
    }
}

TEST_CASE("a set that cannot tell is looked at every 30 seconds while it should hold bans") {
    Machine m({"sshd"}, {{set_named("x")}});
    CHECK_FALSE(m.dispatch->next_deadline());
    m.ban("203.0.113.9");
    CHECK(m.dispatch->next_deadline() == at(30));
    m.ipset->sets.clear();
    m.turn(30);
    CHECK(m.ipset->sets[0].size() == 1);
    CHECK(m.take() == Texts{"in force 203.0.113.9 sshd", "repaired 0"});
    m.unban("203.0.113.9");
    CHECK_FALSE(m.dispatch->next_deadline());
}

TEST_CASE("where a set has no timeouts, the end of a ban takes the element out") {
    Machine m({"sshd"}, {{set_named("hmailblock")}});
    m.ipset->set_traits[0] = {false, false, forever};
    m.ipset->sets[0][prefix("192.0.2.1")] = forever;  // the user's own
    m.ban("203.0.113.9");
    CHECK(m.ipset->sets[0].size() == 2);
    m.turn(3600);
    CHECK(m.ipset->sets[0].size() == 1);
    m.turn(3700);
    CHECK(m.ipset->sets[0].contains(prefix("192.0.2.1")));
}

TEST_CASE("two jails that write to one set: the element stays until the last ban is over") {
    Machine m({"a", "b"}, {{set_named("x")}, {set_named("x")}});
    for (TargetId target : {TargetId{0}, TargetId{1}})
        m.ipset->set_traits[target] = {false, true, forever};
    m.ban("203.0.113.9", 0);
    m.turn(600);
    m.ban("203.0.113.9", 1);
    m.turn(3600);
    // The twin keeps a set for each target; both stand for the same one.
    CHECK(m.ipset->sets[0].contains(prefix("203.0.113.9")));
    m.turn(4200);
    CHECK_FALSE(m.ipset->sets[1].contains(prefix("203.0.113.9")));
}

TEST_CASE("a ban longer than the set can hold is renewed before the kernel forgets it") {
    Machine m({"sshd"}, {{set_named("x")}});
    Duration longest = std::chrono::seconds(2147483);
    m.ipset->set_traits[0] = {true, true, longest};
    m.ban("203.0.113.9", 0, std::chrono::days(60));
    CHECK(m.ipset->sets[0].at(prefix("203.0.113.9")) == longest);
    m.ipset->sets[0][prefix("203.0.113.9")] = std::chrono::hours(1);
    m.turn(2147483 - 3600);
    CHECK(m.ipset->sets[0].at(prefix("203.0.113.9")) == longest);
}

TEST_CASE("an order that fails is not sent any more once its ban is over") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.nftables->refused[prefix("203.0.113.9")] = "no";
    m.ban("203.0.113.9");
    m.unban("203.0.113.9");
    m.nftables->refused.clear();
    for (double second = 1; second < 100; ++second) m.turn(second);
    CHECK(m.nftables->sets[0].empty());
}

TEST_CASE("a hundred thousand bans and their end take no longer than their number") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    Outcome outcome;
    for (int i = 0; i < 100'000; ++i) {
        Address address = ip("10.0.0.0");
        address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[15] = static_cast<std::uint8_t>(i);
        REQUIRE(m.engine.ban_by_hand({0, make_prefix(address, 32), {}, "", true}, m.now, outcome));
    }
    m.finish(outcome);
    CHECK(m.nftables->sets[0].size() == 100'000);
    outcome.events.clear();
    m.engine.unban_all({}, Unbanned::Why::by_hand, m.now, outcome);
    m.finish(outcome);  // quadratic here would be minutes
    CHECK(m.nftables->sets[0].empty());
}

TEST_CASE("a reload sets aside what was acknowledged, and asks the sets again") {
    Machine m({"mail", "sshd"}, {{SyslogAction{}}, {NftablesAction{}, set_named("x")}});
    m.ban("203.0.113.1", 0);
    m.ban("203.0.113.2", 1);
    m.ban("203.0.113.3", 1);
    m.take();
    m.nftables->sets[1].erase(prefix("203.0.113.3"));
    m.nftables->refused[prefix("203.0.113.3")] = "busy";
    // The first jail goes, another comes; sshd keeps its number.
    m.set_jails({"dovecot", "sshd"});
    m.set_targets({{SyslogAction{}}, {NftablesAction{}, set_named("x")}});
    CHECK(m.state("203.0.113.2", 1) == BanState::active);
    CHECK(m.state("203.0.113.3", 1) == BanState::pending);
    CHECK(m.take() == Texts{"trouble: set: busy"});
    m.nftables->refused.clear();
    for (double second = 1; second < 5; ++second) m.turn(second);
    CHECK(m.state("203.0.113.3", 1) == BanState::active);
    CHECK(m.take() == Texts{"recovered: set: busy"});
}

TEST_CASE("a reload that changes no action leaves bans and what is under way as they are") {
    Machine m({"sshd", "mail"}, {{NftablesAction{}}, {NftablesAction{}}}, true);
    m.settle();
    m.ban("203.0.113.9");
    m.settle();
    m.ban("203.0.113.10");  // not answered yet
    for (int i = 0; i < 50; ++i) m.set_targets({{NftablesAction{}}, {NftablesAction{}}});
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.later->asked.size() == 1);  // the second ban
    m.answered(1);
    CHECK(m.state("203.0.113.10") == BanState::active);
    CHECK(m.take() == Texts{"in force 203.0.113.9 sshd", "in force 203.0.113.10 sshd"});
}

TEST_CASE("a reload tries again at once what could not be made") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.nftables->broken[0] = "no table";
    m.touched();
    m.ban("203.0.113.9");
    CHECK(m.state("203.0.113.9") == BanState::pending);
    m.nftables->broken.clear();
    m.set_targets({{NftablesAction{}}});
    CHECK(m.state("203.0.113.9") == BanState::active);
}

TEST_CASE("a reload looks at a set that cannot tell that somebody touched it") {
    Machine m({"sshd"}, {{set_named("x")}});
    m.ban("203.0.113.9");
    m.ipset->sets[0].clear();
    m.set_targets({{set_named("x")}});
    CHECK(m.ipset->sets[0].size() == 1);
}

TEST_CASE(
    "a reload that adds an action reads the sets of those jails only whose bans are not sure") {
    NftablesAction web;
    web.ports = {{443, 443}};
    Machine m({"sshd", "mail", "web"}, {{NftablesAction{}}, {NftablesAction{}}, {}}, true);
    m.settle();
    m.ban("203.0.113.9");
    m.settle();
    m.ban("203.0.113.10", 1);  // not answered when the reload comes
    m.set_targets({{NftablesAction{}}, {NftablesAction{}}, {web}});
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.state("203.0.113.10", 1) == BanState::pending);
    m.ban("203.0.113.11");
    m.settle();
    CHECK(m.state("203.0.113.10", 1) == BanState::active);
    CHECK(m.state("203.0.113.11") == BanState::active);
    CHECK(m.nftables->sets[0].size() == 2);
    // And its ends are taken out as ever.
    m.unban("203.0.113.9");
    m.settle();
    CHECK(m.nftables->sets[0].size() == 1);
    // Touched by somebody: made right, too.
    m.nftables->sets[0].clear();
    m.later->touch();
    m.answered();
    m.settle();
    CHECK(m.nftables->sets[0].size() == 1);
}

TEST_CASE("what a user's own set held of a jail that a reload takes away is taken out of it") {
    Machine m({"sshd", "mail"}, {{set_named("x")}, {NftablesAction{}}});
    m.ipset->set_traits[0].ours = false;
    for (int i = 0; i < 2000; ++i)
        m.ban("203.0." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    Outcome outcome;
    JailRules mail;
    mail.name = "mail";
    m.engine.set_rules({mail}, m.now, outcome);
    m.dispatch->on_events(outcome.events, m.now);
    m.dispatch->set_targets({{1, "mail", {NftablesAction{}}}});
    CHECK(m.ipset->sets[0].empty());
}

TEST_CASE("after a lost state, what our own sets hold becomes bans again") {
    Machine m({"sshd"}, {{NftablesAction{}, SyslogAction{}}});
    m.nftables->sets[0] = {{prefix("203.0.113.1"), std::chrono::hours(1)},
                           {prefix("203.0.113.2"), forever}};
    Report report;
    std::vector<Ban> found = m.dispatch->bans_in_sets(m.now, report);
    REQUIRE(found.size() == 2);
    CHECK(found[0].until == m.now + std::chrono::hours(1));
    CHECK(found[1].until == never);
    for (Ban& ban : found) m.engine.restore_ban(std::move(ban));
    m.dispatch->make_right(m.now, report);
    m.hear(report);
    CHECK(m.state("203.0.113.1") == BanState::active);
    CHECK(m.take().empty());
    CHECK(m.syslog->told.empty());
}

TEST_CASE("a backend that answers later: a ban is pending until it has, and nothing waits for it") {
    Machine m({"sshd"}, {{NftablesAction{}, SyslogAction{}}}, true);
    m.settle();
    m.ban("203.0.113.9");
    m.turn(0.1);
    CHECK(m.state("203.0.113.9") == BanState::pending);
    CHECK(m.syslog->told.empty());
    m.ban("203.0.113.10");
    m.answered(1);
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.state("203.0.113.10") == BanState::pending);
    m.settle();
    CHECK(m.state("203.0.113.10") == BanState::active);
    CHECK(m.take() == Texts{"in force 203.0.113.9 sshd", "in force 203.0.113.10 sshd"});
    CHECK(m.syslog->told == Texts{"add 203.0.113.9", "add 203.0.113.10"});
}

TEST_CASE("a backend is lost with orders under way: all is right once there is another one") {
    Machine m({"sshd", "mail"}, {{NftablesAction{}, SyslogAction{}}, {NftablesAction{}}}, true);
    m.nftables->set_traits[0] = {true, false,
                                 forever};  // nothing but an order takes an element out
    m.settle();
    m.ban("203.0.113.1");
    m.ban("203.0.113.2");
    m.ban("203.0.113.3", 1);
    m.settle();
    m.take();
    m.ban("203.0.113.4");
    m.unban("203.0.113.2");
    m.later->lose();
    m.turn(1);
    m.ban("203.0.113.5");
    m.unban("203.0.113.1");
    m.turn(30);
    CHECK(m.later->asked.empty());
    CHECK(m.take() == Texts{"trouble: bandd-kernel: has ended"});  // of one jail
    CHECK_FALSE(m.dispatch->targets()[2].prepared);
    CHECK(m.dispatch->losses() == 1);
    CHECK(m.state("203.0.113.4") == BanState::pending);
    m.later->regain();
    m.turn(31);
    m.settle();
    CHECK(m.state("203.0.113.4") == BanState::active);
    CHECK(m.state("203.0.113.5") == BanState::active);
    CHECK(m.nftables->sets[0].size() == 2);
    CHECK(m.nftables->sets[2].size() == 1);
    CHECK(m.take() == Texts{"recovered: bandd-kernel: has ended", "in force 203.0.113.4 sshd",
                            "in force 203.0.113.5 sshd"});
    CHECK(m.syslog->told == Texts{"add 203.0.113.1", "add 203.0.113.2", "remove 203.0.113.2",
                                  "remove 203.0.113.1", "add 203.0.113.4", "add 203.0.113.5"});
}

TEST_CASE("an answer says nothing of a later ban of the same address") {
    Machine m({"sshd"}, {{NftablesAction{}}}, true);
    m.settle();
    m.ban("203.0.113.9");
    m.unban("203.0.113.9");
    m.ban("203.0.113.9");
    m.answered(1);
    CHECK(m.state("203.0.113.9") == BanState::pending);
    m.answered(1);
    CHECK(m.state("203.0.113.9") == BanState::pending);
    m.answered(1);
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.nftables->sets[0].size() == 1);
}

TEST_CASE("a removal that failed is not tried again once the address is banned anew") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.ban("203.0.113.9");
    m.nftables->refused[prefix("203.0.113.9")] = "busy";
    m.unban("203.0.113.9");
    m.nftables->refused.clear();
    m.ban("203.0.113.9");
    for (double second = 1; second < 10; ++second) m.turn(second);
    CHECK(m.nftables->sets[0].size() == 1);
}

TEST_CASE("bans that come while a set is read are not said to have been missing") {
    Machine m({"sshd"}, {{NftablesAction{}}}, true);
    m.settle();
    m.ban("203.0.113.9");
    m.settle();
    m.nftables->pending.touched = true;
    m.later->direct.read();
    m.answered();  // the touch
    REQUIRE(m.later->asked.size() == 1);
    m.ban("203.0.113.10");
    m.take();
    m.settle();
    CHECK(m.take() == Texts{"in force 203.0.113.10 sshd"});
    CHECK(m.nftables->sets[0].size() == 2);
}

TEST_CASE("more orders than are kept for a backend that does not answer: the rest comes later") {
    Machine m({"sshd"}, {{NftablesAction{}}}, true);
    m.settle();
    constexpr int bans = 200'000;
    for (int i = 0; i < bans; ++i) {
        Address address = ip("10.0.0.0");
        address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[15] = static_cast<std::uint8_t>(i);
        Outcome outcome;
        REQUIRE(m.engine.ban_by_hand({0, make_prefix(address, 32), {}, "", true}, m.now, outcome));
        m.dispatch->on_events(outcome.events, m.now);
        if (i % 1000 == 0) m.turn(0);
    }
    CHECK(m.dispatch->overflows() > 0);
    for (int turn = 0; turn < 1000; ++turn) {
        m.turn(0), m.answered();
        // What is not there is never said to be in force.
        CHECK(m.engine.bans().count(0, BanState::active) <= m.nftables->sets[0].size());
    }
    CHECK(m.nftables->sets[0].size() == bans);
    // Each once: those that were sent are not sent again.
    CHECK(m.dispatch->targets()[0].applied == bans);
    CHECK(std::ranges::all_of(m.engine.bans(),
                              [](const Ban& ban) { return ban.state == BanState::active; }));
}

TEST_CASE("a ban does not wait for a hundred thousand others of another jail") {
    Machine m({"many", "few"}, {{NftablesAction{}}, {NftablesAction{}}}, true);
    m.settle();
    Outcome many;
    for (int i = 0; i < 100'000; ++i) {
        Address address = ip("10.0.0.0");
        address.bytes[13] = static_cast<std::uint8_t>(i >> 16);
        address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
        address.bytes[15] = static_cast<std::uint8_t>(i);
        REQUIRE(m.engine.ban_by_hand({0, make_prefix(address, 32), {}, "test", true}, m.now, many));
    }
    m.finish(many);
    CHECK(m.later->asked.size() == Dispatch::most_requests);
    m.ban("203.0.113.1", 1);
    CHECK(m.later->asked.size() == Dispatch::most_requests);
    // Those that were under way, and the one that it is in.
    m.answered(Dispatch::most_requests);
    CHECK(m.nftables->sets[0].size() == Dispatch::most_requests * Dispatch::most_in_a_request);
    m.answered(1);
    CHECK(m.nftables->sets[1].size() == 1);
    CHECK(m.state("203.0.113.1", 1) == BanState::active);
    // While sets are made right, one of the same jail does not either.
    m.settle();
    CHECK(m.nftables->sets[0].size() == 100'000);
    m.nftables->sets.clear();
    m.later->touch();
    m.turn(0);
    m.answered(2);  // both looks
    m.turn(0);
    REQUIRE(m.later->asked.size() == Dispatch::most_requests);
    m.ban("203.0.113.2", 0);
    m.answered(Dispatch::most_requests);
    CHECK(m.state("203.0.113.2", 0) == BanState::pending);
    m.answered(1);
    CHECK(m.state("203.0.113.2", 0) == BanState::active);
    CHECK(m.nftables->sets[0].size() < 50'000);
    for (int turn = 0; turn < 1000; ++turn) m.turn(0), m.answered();
    CHECK(m.nftables->sets[0].size() == 100'001);
}

TEST_CASE("orders of one set stay in their order, whichever jail they are of") {
    IpsetAction shared;
    shared.set4 = "x";
    shared.ours = false;
    Machine m({"a", "b", "c"}, {{NftablesAction{}, shared}, {shared}, {NftablesAction{}}});
    for (int round = 0; round < 50; ++round) {
        Outcome all;
        REQUIRE(m.engine.ban_by_hand({1, prefix("203.0.113.1"), {}, "test", true}, m.now, all));
        m.engine.unban({}, prefix("203.0.113.1"), m.now, all);
        REQUIRE(m.engine.ban_by_hand({0, prefix("203.0.113.1"), {}, "test", true}, m.now, all));
        m.finish(all);
        CHECK(m.ipset->sets[1].size() + m.ipset->sets[2].size() >= 1);
        m.unban("203.0.113.1");
    }
}

TEST_CASE("a full set: one line and a count, bans wait by set, and are added once there is room") {
    Machine m({"sshd"}, {{set_named("set"), SyslogAction{}}});
    m.ipset->size = 100;
    m.ipset->knows_size = true;
    Outcome outcome;
    for (int i = 0; i < 5000; ++i)
        REQUIRE(m.engine.ban_by_hand(
            {0, prefix("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)), forever,
             "test", true},
            m.now, outcome));
    m.finish(outcome);
    CHECK(m.dispatch->missing(0) == 4900);
    std::size_t in_force = 0;
    std::size_t troubles = 0;
    auto hear = [&] {
        for (const std::string& line : m.take()) {
            if (line.starts_with("in force"))
                ++in_force;
            else if (line ==
                     "trouble: ipset \"set\": is full: it holds 100 elements; make the set "
                     "larger (maxelem), or bantime shorter")
                ++troubles;
            else
                FAIL(line);
        }
    };
    hear();
    CHECK(in_force == 100);
    CHECK(troubles == 1);
    CHECK(m.syslog->told.size() == 100);
    // What was under way when the set filled is refused one by one, nothing after it.
    CHECK(m.ipset->tried <= Dispatch::most_requests * Dispatch::most_in_a_request);
    std::size_t tried = m.ipset->tried;
    for (double second = 1; second < 300; ++second) m.turn(second);
    CHECK(m.ipset->tried == tried);
    m.ban("192.0.2.1", 0, forever);
    CHECK(m.state("192.0.2.1") == BanState::pending);
    CHECK(m.dispatch->missing(0) == 4901);
    for (int i = 0; i < 10; ++i) m.unban("10.0.0." + std::to_string(i));
    for (double second = 300; second < 365; ++second) m.turn(second);
    CHECK(m.dispatch->missing(0) == 4891);
    CHECK(m.ipset->sets[0].size() == 100);
    hear();
    CHECK(in_force == 110);
    CHECK(troubles == 1);
    m.ipset->size = SIZE_MAX;
    for (double second = 365; second < 430; ++second) m.turn(second);
    CHECK(m.dispatch->missing(0) == 0);
    CHECK(m.ipset->sets[0].size() == 4991);
    CHECK(m.state("192.0.2.1") == BanState::active);
    Texts last = m.take();
    REQUIRE_FALSE(last.empty());
    CHECK(std::ranges::count_if(last, [](const std::string& line) {
              return line.starts_with("recovered: ipset \"set\": is full");
          }) == 1);
    CHECK(last.size() == 4892);
}

TEST_CASE("a full set of which no size is known is tried again with growing pauses") {
    Machine m({"sshd"}, {{NftablesAction{}}});
    m.nftables->size = 3;
    Outcome outcome;
    for (int i = 0; i < 10; ++i)
        REQUIRE(m.engine.ban_by_hand({0, prefix("10.0.0." + std::to_string(i)), {}, "test", true},
                                     m.now, outcome));
    m.finish(outcome);
    CHECK(m.dispatch->missing(0) == 7);
    std::vector<double> tries;
    std::size_t before = m.nftables->tried;
    for (double second = 0; second < 100; second += 0.5) {
        m.turn(second);
        if (std::exchange(before, m.nftables->tried) != m.nftables->tried) tries.push_back(second);
    }
    CHECK(tries == std::vector<double>{1, 3, 7, 15, 31, 63});
    CHECK(m.dispatch->missing(0) == 7);
    Texts lines = m.take();
    CHECK(std::ranges::count_if(
              lines, [](const std::string& line) { return line.starts_with("trouble:"); }) == 1);
    m.nftables->size = SIZE_MAX;
    for (double second = 100; second < 200; ++second) m.turn(second);
    CHECK(m.dispatch->missing(0) == 0);
    CHECK(m.nftables->sets[0].size() == 10);
}

TEST_CASE("what a full set does not hold any more is not active") {
    Machine m({"sshd"}, {{set_named("set")}});
    m.ban("10.0.0.1");
    m.ban("10.0.0.2");
    m.take();
    m.ipset->knows_size = true;
    m.ipset->size = 1;  // of which somebody else's element takes the only place
    m.ipset->sets[0].erase(prefix("10.0.0.1"));
    m.ipset->sets[0].erase(prefix("10.0.0.2"));
    m.ipset->sets[0][prefix("192.0.2.1")] = forever;
    m.ipset->set_traits[0].ours = false;
    for (double second = 1; second < 700; ++second) m.turn(second);
    CHECK(m.state("10.0.0.1") == BanState::pending);
    CHECK(m.state("10.0.0.2") == BanState::pending);
    CHECK(m.dispatch->missing(0) == 2);
    CHECK(m.take().size() == 1);
    m.ipset->size = 3;
    for (double second = 700; second < 800; ++second) m.turn(second);
    CHECK(m.state("10.0.0.1") == BanState::active);
    CHECK(m.state("10.0.0.2") == BanState::active);
}

TEST_CASE("what a set held that is gone is not active, until it is in one that took its place") {
    Machine m({"sshd"}, {{set_named("x")}});
    m.ban("203.0.113.9");
    CHECK(m.take() == Texts{"in force 203.0.113.9 sshd"});
    m.ipset->sets.clear();
    m.ipset->broken[0] = "does not exist";
    for (double second = 1; second < 100; ++second) m.turn(second);
    CHECK(m.state("203.0.113.9") == BanState::pending);
    CHECK(m.take() == Texts{"trouble: set: does not exist"});
    m.ipset->broken.clear();
    for (double second = 100; second < 300; ++second) m.turn(second);
    CHECK(m.state("203.0.113.9") == BanState::active);
    CHECK(m.ipset->sets[0].size() == 1);
    // Who was told of the ban is not told again.
    for (const std::string& heard : m.take()) CHECK_FALSE(heard.starts_with("in force"));
}

TEST_CASE("two faults of a set by turns are said once each, and again once it worked") {
    Machine m({"sshd"}, {{set_named("x")}});
    m.ipset->refused[prefix("203.0.113.9")] = "is full";
    m.ipset->refused[prefix("2001:db8::/64")] = "does not exist";
    m.ban("203.0.113.9");
    m.ban("2001:db8::/64");
    for (double second = 1; second < 1000; ++second) m.turn(second);
    CHECK(m.take() == Texts{"trouble: set: is full", "trouble: set: does not exist"});
    m.ipset->refused.clear();
    for (double second = 1000; second < 1100; ++second) m.turn(second);
    CHECK(m.state("203.0.113.9") == BanState::active);
    m.take();
    m.ipset->refused[prefix("203.0.113.10")] = "is full";
    m.ban("203.0.113.10");
    CHECK(m.take() == Texts{"trouble: set: is full"});
}
