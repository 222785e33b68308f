// SPDX-License-Identifier: GPL-2.0-or-later
// `port: auto`, on machines that are told of.
#include <netinet/in.h>

#include "daemon/service_ports.h"
#include "os/log.h"
#include "support/common.h"

using namespace bandd;

namespace {

constexpr uid_t nobody = 65534;
const Instant start{1'700'000'000'000'000};

// A jail "app" of the user nobody's service.
struct Setup {
    TempDirectory dir;
    Log log;
    MachinePorts machine;
    Config config;
    ServicePorts ports{log, [this] { return Result<MachinePorts>(machine); }};
    Instant now = start;

    explicit Setup(std::vector<PortRange> named,
                   std::vector<Protocol> protocols = {Protocol::tcp}) {
        REQUIRE(log.open(dir / "log", Severity::info));
        NftablesAction action;
        action.ports = std::move(named);
        action.auto_ports = true;
        action.protocols = std::move(protocols);
        JailConfig jail;
        jail.rules.name = "app";
        jail.service.users = {"nobody"};
        jail.actions = {action};
        config.jails = {jail};
    }
    void listen(std::uint16_t port, uid_t user = nobody, std::uint8_t protocol = IPPROTO_TCP) {
        machine.listening.push_back({protocol, port, user, 0});
    }
    bool look_again() { return ports.on_time(now = now + ServicePorts::pause); }
    std::vector<PortRange> closed() const {
        return std::get<NftablesAction>(ports.with_ports("app", config.jails[0].actions[0])).ports;
    }
    std::string said() const { return read_file(dir / "log"); }
};
using Ports = std::vector<PortRange>;

}  // namespace

TEST_CASE("port auto: the service's ports are closed besides those that are named") {
    Setup setup({{22, 22}});
    setup.listen(2222);
    setup.listen(8080, 33);  // somebody else's
    setup.listen(5353, nobody, IPPROTO_UDP);
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed() == Ports{{22, 22}, {2222, 2222}});
    CHECK_FALSE(setup.look_again());
}

TEST_CASE("port auto: UDP for jails of UDP, and no port of a question that was asked") {
    Setup setup({}, {Protocol::tcp, Protocol::udp});
    setup.listen(1195, nobody, IPPROTO_UDP);
    setup.listen(50001, nobody, IPPROTO_UDP);
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed() == Ports{{1195, 1195}});
}

TEST_CASE("port auto: a port that comes is closed at the next look, one that goes an hour later") {
    Setup setup({{22, 22}});
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed() == Ports{{22, 22}});
    setup.listen(2222);
    CHECK_FALSE(setup.ports.on_time(setup.now + ServicePorts::pause / 2));
    CHECK(setup.look_again());
    CHECK(setup.closed() == Ports{{22, 22}, {2222, 2222}});
    setup.machine.listening.clear();  // it is started anew
    for (int i = 1; i < ServicePorts::looks_to_forget; ++i) CHECK_FALSE(setup.look_again());
    setup.ports.configure(setup.config, setup.now);  // a reload is a look, too
    CHECK(setup.closed() == Ports{{22, 22}});
}

TEST_CASE("port auto: the ports of data connections, which last a moment, change no rule") {
    Setup setup({{21, 21}});
    setup.listen(21);
    setup.ports.configure(setup.config, start);
    for (std::uint16_t port = 40000; port < 40050; ++port) {
        setup.machine.listening.clear();
        setup.listen(21);
        setup.listen(port);
        CHECK_FALSE(setup.look_again());
    }
    CHECK(setup.look_again());  // the last one is still there
    CHECK(setup.closed() == Ports{{21, 21}, {40049, 40049}});
}

TEST_CASE("port auto: on a machine that forwards for others only named ports are closed") {
    Setup setup({{22, 22}});
    setup.listen(2222);
    setup.machine.forwards = true;
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed() == Ports{{22, 22}});
    CHECK_FALSE(setup.look_again());
    CHECK(setup.said().find("forwards") != std::string::npos);
    CHECK(setup.said().find("forwards") == setup.said().rfind("forwards"));
    setup.machine.forwards = false;
    CHECK(setup.look_again());
    CHECK(setup.closed() == Ports{{22, 22}, {2222, 2222}});
}

TEST_CASE("port auto: that a service has more ports than are closed is said once, and counted") {
    Setup setup({{80, 80}});
    for (std::uint16_t port = 20'000; port < 20'064; ++port) setup.listen(port);
    setup.listen(80);
    setup.listen(5353, nobody, IPPROTO_UDP);
    setup.ports.configure(setup.config, start);
    CHECK(setup.ports.left_open("app") == 0);
    CHECK(setup.said().find("stay open") == std::string::npos);
    setup.listen(30'443);
    setup.listen(30'443);  // IPv6
    for (int i = 0; i < 3; ++i) setup.look_again();
    setup.ports.configure(setup.config, setup.now);
    CHECK(setup.ports.left_open("app") == 1);
    CHECK(setup.closed() == Ports{{80, 80}, {20'000, 20'063}});
    CHECK(setup.said().find("1 stay open") != std::string::npos);
    CHECK(setup.said().find("stay open") == setup.said().rfind("stay open"));
}

TEST_CASE("port auto: without a named port and with none found, a ban closes all") {
    Setup setup({});
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed().empty());
    setup.ports.on_ban("app");
    CHECK(setup.said().empty());
}

TEST_CASE("port auto: that nothing listens on what a ban closes is said once") {
    Setup setup({{22, 22}});
    setup.listen(2222, 0);  // root's: of which service, no user tells
    setup.ports.configure(setup.config, start);
    CHECK(setup.said().find("warning") == std::string::npos);
    for (int i = 0; i < 3; ++i) setup.ports.on_ban("app");
    std::string said = setup.said();
    CHECK(said.find("jail app: bans close ports 22, on which nothing listens here") !=
          std::string::npos);
    CHECK(said.find("nothing listens") == said.rfind("nothing listens"));
}

TEST_CASE("port auto: a service with more ports than have a place") {
    Setup setup({});
    for (std::uint16_t port = 1000; port < 2000; ++port) setup.listen(port);
    setup.ports.configure(setup.config, start);
    CHECK(setup.closed() == Ports{{1000, 1000 + most_ports_of_service - 1}});
}
