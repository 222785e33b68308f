// SPDX-License-Identifier: GPL-2.0-or-later
// bandd and bandd-kernel, of which neither believes the other; and what becomes of bans when one of
// them stops or dies. In a namespace.
#include <sys/epoll.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <thread>

#include "action/dispatch.h"
#include "action/kernel_geoblocks.h"
#include "core/decide/engine.h"
#include "support/common.h"
#include "support/kernel_process.h"
#include "support/machine.h"

using namespace bandd;
using kernel::Served;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TargetSpec nftables_target(const std::string& jail = "sshd") {
    return {0, 0, jail, NftablesAction{}};
}
TargetSpec ipset_target(const std::string& set4, bool ours) {
    IpsetAction action;
    action.set4 = set4;
    action.ours = action.create = ours;
    return {0, 0, "sshd", action};
}
Order add(const std::string& who) {
    return {Order::Kind::add, 0, prefix(who), std::chrono::hours(1), {}};
}

// A bandd-kernel that is sent packets by hand. Ends with its exit code.
struct ByHand {
    Fd socket = std::move(*start_kernel_process(Served::nftables));
    pid_t pid = kernel_processes().back();

    void send(const std::string& packet) {
        ::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    }
    void send(const kernel::Request& request) { send(kernel::encode(request)); }
    std::optional<kernel::Answer> answer() {
        std::string packet(kernel::largest_packet, '\0');
        ssize_t got = ::recv(socket.get(), packet.data(), packet.size(), 0);
        if (got <= 0) return {};
        return kernel::decode_answer({packet.data(), static_cast<std::size_t>(got)});
    }
    int exit_code() {
        int status = 0;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
};

// A bandd-kernel that says what it is told to.
struct Liar {
    std::deque<std::pair<Fd, Fd>> sockets;  // ours, theirs
    std::unique_ptr<KernelCarrier> carrier;

    Liar() {
        auto made = KernelCarrier::start(Served::nftables, [this](Served) -> Result<Fd> {
            std::array<int, 2> ends{};
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
            sockets.emplace_back(Fd(ends[0]), Fd());
            say(kernel::Opened{{}, true, 1000});
            return Fd(ends[1]);
        });
        REQUIRE(made);
        carrier = std::move(*made);
        carrier->set_targets({nftables_target()});
        say(kernel::Done{});
        carrier->read();
    }
    void say(const std::string& packet) {
        ::send(sockets.back().first.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    }
    void say(const kernel::Answer& answer) { say(kernel::encode(answer)); }
    // What the carrier makes of it: why the liar is given up; empty if it is not.
    std::string lost() {
        carrier->read();
        for (const Notice& notice : carrier->take_notices())
            if (auto* lost = std::get_if<Lost>(&notice)) return to_line(lost->error);
        return "";
    }
};
const std::string nonsense = "bandd-kernel: says what makes no sense; it is started again in 1s";

// Bans of one jail, decided and put into sets of that kind.
struct Bans {
    ActionConfig action = NftablesAction{};
    Engine engine;
    std::unique_ptr<Dispatch> dispatch;
    std::vector<std::string> in_force, troubles;
    int number = 0;

    Bans(Served served, StartKernel start) {
        if (served == Served::ipset) action = ipset_target("bandd-sshd-4", true).action;
        Outcome outcome;
        JailRules rules;
        rules.name = "sshd";
        rules.bantime.base = std::chrono::hours(1);
        engine.set_rules({rules}, at(0), outcome);
        Dispatch::Carriers carriers;
        auto made = KernelCarrier::start(served, std::move(start));
        REQUIRE(made);
        carriers[action.index()] = std::move(*made);
        dispatch = std::make_unique<Dispatch>(engine.bans(), std::move(carriers));
        dispatch->set_targets({{engine.jails()[0], "sshd", {action}}});
        Report first;
        dispatch->make_right(at(0), first, std::chrono::milliseconds(200));
    }
    void turn() {
        Report report;
        dispatch->on_notice(action.index(), at(0), report);
        for (const Acknowledged& one : report.acknowledged) engine.on_acknowledged(one);
        for (const Ban& ban : report.in_force) in_force.push_back(to_string(ban.key.prefix));
        for (const auto& trouble : report.troubles)
            troubles.push_back((trouble.recovered ? "over: " : "") + to_line(trouble.error));
    }
    void ban() {
        std::string who = "203.0.113." + std::to_string(++number);
        Outcome banned;
        REQUIRE(engine.ban_by_hand({0, prefix(who), {}, "test", true}, at(0), banned));
        dispatch->on_events(banned.events, at(0));
        turn();
    }
    bool all_in_force() {
        turn();
        return std::ranges::all_of(engine.bans(),
                                   [](const Ban& one) { return one.state == BanState::active; });
    }
    // Each was told once, and is in the kernel.
    void check_all_stand() {
        std::ranges::sort(in_force);
        CHECK(std::unique(in_force.begin(), in_force.end()) == in_force.end());
        CHECK(in_force.size() == static_cast<std::size_t>(number));
        bool of_ipset = std::holds_alternative<IpsetAction>(action);
        std::string sets =
            of_ipset ? must("ipset save bandd-sshd-4 | grep -c ^add")
                     : must("nft list set inet bandd sshd-ipv4 | grep -o expires | wc -l");
        CHECK(sets == std::to_string(number) + "\n");
    }
};

void say(const Fd& socket, const kernel::Answer& answer) {
    std::string packet = kernel::encode(answer);
    ::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

}  // namespace

TEST_CASE("looks at targets that a reload has replaced are not asked for any more") {
    Liar liar;
    auto asked = [&] {
        std::size_t looks = 0;
        char packet[4096];
        for (;;) {
            ssize_t got =
                ::recv(liar.sockets.back().first.get(), packet, sizeof packet, MSG_DONTWAIT);
            if (got <= 0) return looks;
            auto request =
                kernel::decode_request(std::string_view(packet, static_cast<std::size_t>(got)));
            REQUIRE(request);
            looks += std::holds_alternative<kernel::LookAt>(*request);
        }
    };
    asked();
    for (RequestId reload = 1; reload <= 50; ++reload) {
        liar.carrier->set_targets({nftables_target()});
        liar.carrier->look(reload, 0, Look::list);
    }
    std::size_t looks = asked();
    CHECK(looks <= KernelCarrier::most_owed);
    for (RequestId reload = 1; reload <= looks; ++reload) {
        liar.say(kernel::Done{});
        liar.say(kernel::Looked{.id = reload});
    }
    // The rest: fifty lists of targets, and the last look.
    for (std::size_t i = looks; i < 50; ++i) {
        liar.carrier->read();
        liar.say(kernel::Done{});
    }
    CHECK(liar.lost() == "");
    CHECK(asked() == 1);
}

TEST_CASE("kernel: what is written is read again") {
    NftablesAction packets;
    packets.hooks = {Hook::input, Hook::forward};
    packets.interfaces = {"ppp0", "eth*"};
    packets.log_prefix = "x: ";
    packets.ports = {{25, 25}, {1000, 2000}};
    packets.protocols = {Protocol::tcp, Protocol::udp};
    kernel::Targets targets{{{7, 3, "sshd", packets}, ipset_target("bandd-sshd-4", true)}, true};
    auto read = kernel::decode_request(kernel::encode(targets));
    REQUIRE(read);
    const auto& got = std::get<kernel::Targets>(*read);
    REQUIRE(got.targets.size() == 2);
    CHECK(got.more);
    CHECK(got.targets[0].id == 7);
    CHECK(got.targets[0].jail_name == "sshd");
    CHECK(got.targets[0].action == ActionConfig(packets));
    CHECK(got.targets[1].action == targets.targets[1].action);

    std::vector<Order> orders;
    for (int i = 0; i < 32768; ++i) orders.push_back(add("192.0.2.1"));
    std::size_t count = 0;
    auto packets_of_orders = kernel::encode_orders(9, orders);
    for (const std::string& packet : packets_of_orders) {
        CHECK(packet.size() <= kernel::largest_packet);
        auto part = kernel::decode_request(packet);
        REQUIRE(part);
        count += std::get<kernel::Apply>(*part).orders.size();
        CHECK(std::get<kernel::Apply>(*part).more == (&packet != &packets_of_orders.back()));
    }
    CHECK(count == orders.size());

    kernel::Looked looked{5,
                          {.timed = false, .most4 = 65536},
                          Error{"a\x1b[2J", "b", "c", {}},
                          77,
                          {Error{"set", "small", "", {}}}};
    auto answer = kernel::decode_answer(kernel::encode(looked));
    REQUIRE(answer);
    const auto& seen = std::get<kernel::Looked>(*answer);
    CHECK(seen.error->what == "a\\x1b[2J");  // fit for a terminal
    CHECK(seen.count == 77);
    CHECK_FALSE(seen.traits.timed);
    CHECK(seen.traits.most4 == 65536);
    REQUIRE(seen.remarks.size() == 1);
    CHECK(to_line(seen.remarks[0]) == "set: small");
    kernel::Applied applied{5, {{3, Error{"set", "is full", "", {}}, true}}, false};
    auto failures = kernel::decode_answer(kernel::encode(applied));
    REQUIRE(failures);
    CHECK(std::get<kernel::Applied>(*failures).failed[0].full);
}

TEST_CASE("kernel: what breaks the rules of the configuration is not read") {
    auto refused = [](const kernel::Request& request) {
        return !kernel::decode_request(kernel::encode(request));
    };
    auto target = [&](const TargetSpec& spec) { return refused(kernel::Targets{{spec}, false}); };
    CHECK_FALSE(target(nftables_target()));
    CHECK(target(nftables_target("../x")));
    CHECK(target(nftables_target("")));
    CHECK(target(nftables_target("9")));
    CHECK_FALSE(target(ipset_target("bandd-sshd-4", true)));
    CHECK_FALSE(target(ipset_target("hmailblock", false)));
    CHECK(target(ipset_target("hmailblock", true)));  // it would be destroyed
    CHECK(target(ipset_target("x\nflush y", false)));
    CHECK(target(ipset_target("-exist", false)));
    TargetSpec bad = nftables_target();
    std::get<NftablesAction>(bad.action).ports = {{2, 1}};
    CHECK(target(bad));
    std::get<NftablesAction>(bad.action) = {};
    std::get<NftablesAction>(bad.action).hooks = {static_cast<Hook>(3)};
    CHECK(target(bad));
    for (const char* name : {"", "*", "p*p", "a/b", "a b", "..", "a\nb"}) {
        std::get<NftablesAction>(bad.action) = {};
        std::get<NftablesAction>(bad.action).interfaces = {name};
        INFO(name);
        CHECK(target(bad));
    }
    bad = ipset_target("hmailblock", false);
    std::get<IpsetAction>(bad.action).widest4 = 33;
    CHECK(target(bad));
    auto order = [&](Order one) { return refused(kernel::Apply{1, {one}, false}); };
    CHECK_FALSE(order(add("192.0.2.0/24")));
    Order wide = add("192.0.2.0/24");
    wide.prefix.length = 33;
    CHECK(order(wide));
    wide.prefix.length = 8;  // with bits behind it
    CHECK(order(wide));
    CHECK_FALSE(kernel::decode_request(""));
    CHECK_FALSE(kernel::decode_request(kernel::encode(kernel::Request(kernel::Clear{})) + "x"));
}

TEST_CASE(
    "kernel: bandd-kernel ends when the daemon says what makes no sense, and has done nothing") {
    clean_namespace();
    std::string before = must("nft list ruleset; ipset list -n");
    ByHand process;
    SECTION("noise") { process.send(std::string(1000, '\xff')); }
    SECTION("nothing") { process.send(std::string()); }
    SECTION("an order before it is open") {
        process.send(kernel::Apply{1, {add("192.0.2.1")}, false});
    }
    SECTION("a set of ipset's for nftables") {
        process.send(kernel::Open{.served = Served::nftables});
        process.send(kernel::Targets{{ipset_target("bandd-x-4", true)}, false});
    }
    SECTION("geoblocks for ipset") {
        process.send(kernel::Open{.served = Served::ipset});
        process.send(kernel::PutGeoblocks{});
    }
    SECTION("it is opened twice") {
        process.send(kernel::Open{.served = Served::ipset});
        process.send(kernel::Open{.served = Served::nftables});
    }
    SECTION("more orders than there may be") {
        process.send(kernel::Open{.served = Served::nftables});
        std::vector<Order> orders(1000, add("192.0.2.1"));
        for (int i = 0; i < 40; ++i) process.send(kernel::Apply{1, orders, true});
    }
    CHECK(process.exit_code() <= 1);
    CHECK(must("nft list ruleset; ipset list -n") == before);
}

TEST_CASE("kernel: a bandd-kernel of another version says so, whatever else that version sends") {
    clean_namespace();
    ByHand process;
    std::string packet = kernel::encode(kernel::Request(kernel::Open{.version = "99.1"}));
    SECTION("the same") {}
    SECTION("more") { packet += "and what is new"; }
    process.send(packet);
    auto answer = process.answer();
    REQUIRE(answer);
    auto error = std::get<kernel::Opened>(*answer).error;
    REQUIRE(error);
    CHECK(to_line(*error) == "bandd-kernel: is version " BANDD_VERSION
                             ", and bandd 99.1; restart bandd");
    process.send(kernel::Targets{{nftables_target()}, false});
    CHECK(process.exit_code() <= 1);
}

TEST_CASE("kernel: orders for targets that were not named are refused") {
    clean_namespace();
    ByHand process;
    process.send(kernel::Open{.served = Served::nftables});
    process.send(kernel::Targets{{nftables_target()}, false});
    process.answer();
    process.answer();
    Order order = add("192.0.2.1");
    order.target = 9;
    process.send(kernel::Apply{4, {order}, false});
    auto answer = process.answer();
    REQUIRE(answer);
    CHECK(std::get<kernel::Applied>(*answer).failed.size() == 1);
    process.send(kernel::LookAt{5, 9, Look::list});
    answer = process.answer();
    REQUIRE(answer);
    CHECK(std::get<kernel::Looked>(*answer).error);
}

TEST_CASE("kernel: what was ordered before the daemon went is not done afterwards") {
    clean_namespace();
    must("ipset create x hash:net");
    ByHand process;
    process.send(kernel::Open{.served = Served::ipset});
    process.send(kernel::Targets{{ipset_target("x", false)}, false});
    process.answer();
    process.answer();
    process.send(kernel::LookAt{1, 0, Look::prepare});
    process.answer();
    kill(process.pid, SIGSTOP);
    // It may be about to read: what it took before it stopped it may do.
    REQUIRE(wait_for([&] {
        return read_file("/proc/" + std::to_string(process.pid) + "/stat").contains(") T ");
    }));
    process.send(kernel::Apply{2, {add("192.0.2.1")}, false});
    process.socket.reset();
    kill(process.pid, SIGCONT);
    CHECK(process.exit_code() == 0);
    CHECK_FALSE(has(must("ipset save x"), "192.0.2.1"));
}

TEST_CASE("kernel: a bandd-kernel that says what makes no sense is given up") {
    Liar liar;
    liar.carrier->apply(7, std::array{add("192.0.2.1"), add("192.0.2.2")});
    Failure failure{0, {"set", "full", {}, {}}};
    SECTION("noise") { liar.say(std::string(100, '\xff')); }
    SECTION("too long a packet") { liar.say(std::string(kernel::largest_packet + 100, '\0')); }
    SECTION("an answer that is not owed") { liar.say(kernel::Looked{7, {}, {}, {}}); }
    SECTION("an answer to something else") { liar.say(kernel::Applied{8, {}, false}); }
    SECTION("a failure of an order that was not given") {
        failure.index = 2;
        liar.say(kernel::Applied{7, {failure}, false});
    }
    SECTION("more failures than orders") {
        liar.say(kernel::Applied{7, {failure, failure}, true});
        liar.say(kernel::Applied{7, {failure}, false});
    }
    SECTION("elements that nobody asked for") {
        liar.say(kernel::Elements{7, {}, {{prefix("192.0.2.1"), {}}}});
    }
    SECTION("an element that ends before now") {
        liar.carrier->look(8, 0, Look::list);
        liar.say(kernel::Applied{7, {}, false});
        liar.say(kernel::Elements{8, {}, {{prefix("192.0.2.1"), std::chrono::seconds(-1)}}});
    }
    SECTION("a list without elements") {
        liar.carrier->look(8, 0, Look::list);
        liar.say(kernel::Applied{7, {}, false});
        liar.say(kernel::Elements{8, {}, {}});
    }
    SECTION("it opens once more") { liar.say(kernel::Opened{}); }
    CHECK(liar.lost() == nonsense);
    CHECK(liar.carrier->notice_fd() >= 0);
    // Another one is started after a pause.
    CHECK(liar.sockets.size() == 1);
    CHECK(wait_for([&] {
        liar.carrier->read();
        return liar.sockets.size() == 2;
    }));
}

TEST_CASE(
    "kernel: a bandd-kernel that only tells of touches does not answer, and nothing waits for it") {
    Liar liar;
    liar.carrier->apply(7, std::array{add("192.0.2.1")});
    std::jthread talk([fd = liar.sockets.front().first.get()](const std::stop_token& stop) {
        std::string packet = kernel::encode(kernel::Answer(kernel::Touched{}));
        while (!stop.stop_requested()) ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL);
    });
    auto begin = std::chrono::steady_clock::now();
    auto took = [&] { return std::chrono::steady_clock::now() - begin; };
    liar.carrier->wait(std::chrono::milliseconds(100));
    CHECK(took() < std::chrono::milliseconds(500));
    CHECK(wait_for([&] { return has(liar.lost(), "has not answered for 10s"); }, 15));
}

TEST_CASE("kernel: a list of 100,000 elements comes through, of both kinds") {
    clean_namespace();
    bool of_ipset = GENERATE(false, true);
    CAPTURE(of_ipset);
    auto backend = std::move(*ThroughProcess::create(of_ipset ? Served::ipset : Served::nftables));
    backend->set_targets({of_ipset ? ipset_target("bandd-sshd-4", true) : nftables_target()});
    REQUIRE(backend->prepare(0));
    constexpr int wanted = 100'000;
    std::vector<Order> orders;
    std::vector<Failure> failed;
    for (int i = 0; i < wanted; ++i) {
        orders.push_back(add("10." + std::to_string(i / 65536) + "." +
                             std::to_string(i / 256 % 256) + "." + std::to_string(i % 256)));
        if (orders.size() < Dispatch::most_in_a_request && i < wanted - 1) continue;
        backend->apply(orders, failed);
        orders.clear();
    }
    CHECK(failed.empty());
    // While the kernel makes its table larger, which it does later, a list of it has gaps.
    CHECK(wait_for(
        [&] {
            std::set<Prefix> found;
            auto listed =
                backend->list(0, [&](const Present& present) { found.insert(present.prefix); });
            UNSCOPED_INFO(found.size());
            return listed && found.size() == wanted;
        },
        20));
}

TEST_CASE("kernel: a bandd-kernel that is killed or stopped while bans are decided") {
    clean_namespace();
    Bans bans(GENERATE(Served::nftables, Served::ipset), start_kernel_process);
    pid_t pid = kernel_processes().back();
    for (int i = 0; i < 50; ++i) bans.ban();
    kill(pid, SIGSTOP);
    for (int i = 0; i < 50; ++i) bans.ban();
    CHECK_FALSE(bans.all_in_force());
    SECTION("it goes on") {
        kill(pid, SIGCONT);
        CHECK(wait_for([&] { return bans.all_in_force(); }));
        CHECK(bans.troubles.empty());
    }
    SECTION("it is killed") {
        kill(pid, SIGKILL);
        for (int i = 0; i < 50; ++i) bans.ban();
        CHECK(wait_for([&] { return bans.all_in_force(); }));
        CHECK(kernel_processes().back() != pid);
        CHECK(bans.troubles ==
              std::vector<std::string>{"bandd-kernel: has ended; it is started again in 1s",
                                       "over: bandd-kernel: has ended; it is started again in 1s"});
    }
    SECTION("it stays so: another one takes its place") {
        CHECK(wait_for([&] { return bans.all_in_force(); }, 20));
        REQUIRE_FALSE(bans.troubles.empty());
        CHECK(has(bans.troubles.front(), "bandd-kernel: has not answered for 10s"));
        kill(pid, SIGCONT);
        waitpid(pid, nullptr, 0);
    }
    bans.check_all_stand();
}

TEST_CASE(
    "kernel: whatever a bandd-kernel says, nothing waits for it, and the next one has all bans") {
    clean_namespace();
    std::mt19937 random(GENERATE(range(1U, 9U)));
    std::vector<Fd> liars;
    auto start = [&](Served served) -> Result<Fd> {
        if (liars.size() == 2) return start_kernel_process(served);
        std::array<int, 2> ends{};
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
        liars.emplace_back(ends[0]);
        say(liars.back(), kernel::Opened{{}, true, 1000});
        return Fd(ends[1]);
    };
    Bans bans(Served::nftables, start);
    for (int turn = 0; turn < 200 && liars.size() < 3; ++turn) {
        // What it might owe, some of it spoilt.
        auto id = static_cast<RequestId>(random() % 5);
        const std::array<kernel::Answer, 6> answers{
            kernel::Done{},
            kernel::Touched{},
            kernel::Looked{id, {}, {}, {}},
            kernel::Applied{id, {{random() % 3, {"set", "full", {}, {}}}}, random() % 2 == 0},
            kernel::Elements{id, {}, {{prefix("203.0.113.1"), std::chrono::seconds(random())}}},
            kernel::Elements{id, {}, {{prefix("192.0.2.0/24"), {}}}}};
        std::string packet = kernel::encode(answers[random() % answers.size()]);
        if (random() % 8 == 0) packet[random() % packet.size()] ^= static_cast<char>(random());
        if (random() % 16 == 0) packet.resize(random() % packet.size());
        ::send(liars.back().get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        auto begin = std::chrono::steady_clock::now();
        if (turn % 10 == 0)
            bans.ban();
        else
            bans.turn();
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(500));
    }
    liars.resize(2);
    for (Fd& liar : liars) liar.reset();
    CHECK(wait_for(
        [&] {
            bans.turn();
            return !kernel_processes().empty() && bans.all_in_force();
        },
        20));
    bans.check_all_stand();
}

TEST_CASE("kernel: geoblocks of many packets stand, and whoever takes them away is noticed") {
    clean_namespace();
    KernelGeoblocks kernel(start_kernel_process);
    REQUIRE(kernel.start());
    CHECK(kernel.stand() == false);
    Geoblock block;
    block.config.name = "x";
    block.config.packets.ports = {{25, 25}};
    block.config.packets.protocols = {Protocol::tcp};
    for (std::uint32_t i = 0; i < 20'000; ++i)
        block.ranges.push_back(range_of(prefix("10." + std::to_string(i >> 8 & 0x7f) + "." +
                                               std::to_string(i & 0xff) + ".0/25")));
    block.ranges = merge_ranges(block.ranges);
    REQUIRE(block.ranges.size() > 4000);
    REQUIRE(kernel.put({block}));
    CHECK(kernel.stand() == true);
    CHECK(must("nft list set inet bandd-geoblock x-ipv4 | grep -o /25 | wc -l") ==
          std::to_string(block.ranges.size()) + "\n");
    CHECK_FALSE(kernel.was_touched());
    must("nft delete table inet bandd-geoblock");
    CHECK(wait_for([&] { return kernel.was_touched(); }));
    kill(kernel_processes().back(), SIGKILL);
    CHECK(wait_for([&] { return kernel.was_touched(); }));
    CHECK(kernel.fd() < 0);
    REQUIRE(kernel.start());
    REQUIRE(kernel.put({}));
    CHECK(kernel.stand() == false);
}
