// SPDX-License-Identifier: GPL-2.0-or-later
// At which ports this machine listens, and whose they are.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "os/fd.h"
#include "os/listening_ports.h"
#include "os/socket_address.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct Bound {
    Fd fd;
    std::uint16_t port = 0;
};
Bound bind_to(const std::string& address, int type) {
    sockaddr_storage at{};
    socklen_t size = to_sockaddr(ip(address), 0, at);
    Bound bound;
    bound.fd = Fd(::socket(at.ss_family, type, 0));
    REQUIRE(::bind(bound.fd.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    if (type == SOCK_STREAM) REQUIRE(::listen(bound.fd.get(), 5) == 0);
    size = sizeof at;
    ::getsockname(bound.fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    bound.port = port_of(at);
    return bound;
}

const ListeningPort* find(const std::vector<ListeningPort>& all, std::uint8_t protocol,
                          std::uint16_t port) {
    auto found = std::ranges::find_if(all, [&](const ListeningPort& one) {
        return one.protocol == protocol && one.port == port;
    });
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("listening ports: TCP and UDP of both families, with their user; not those of loopback") {
    Bound v4 = bind_to("0.0.0.0", SOCK_STREAM);
    Bound v6 = bind_to("::", SOCK_STREAM);
    Bound udp = bind_to("0.0.0.0", SOCK_DGRAM);
    Bound hidden4 = bind_to("127.0.0.1", SOCK_STREAM);
    Bound hidden6 = bind_to("::1", SOCK_STREAM);
    Bound mapped = bind_to("127.0.0.1", SOCK_DGRAM);
    auto all = listening_ports();
    REQUIRE(all);
    for (const Bound* bound : {&v4, &v6}) {
        const ListeningPort* found = find(*all, IPPROTO_TCP, bound->port);
        REQUIRE(found != nullptr);
        CHECK(found->user == geteuid());
    }
    CHECK(find(*all, IPPROTO_UDP, udp.port) != nullptr);
    CHECK(find(*all, IPPROTO_TCP, hidden4.port) == nullptr);
    CHECK(find(*all, IPPROTO_TCP, hidden6.port) == nullptr);
    CHECK(find(*all, IPPROTO_UDP, mapped.port) == nullptr);
    std::uint16_t gone = v4.port;
    v4.fd.reset();
    CHECK(find(*listening_ports(), IPPROTO_TCP, gone) == nullptr);
}

// Where this may make control groups.
TEST_CASE("listening ports: the kernel tells a unit's sockets by its control group") {
    namespace fs = std::filesystem;
    std::error_code fault;
    std::string root =
        fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/unified/";
    std::string slice = root + "system.slice/";
    bool made_slice = fs::create_directory(slice, fault);
    std::string group = slice + "bandd-test.service";
    if (!fs::create_directory(group, fault)) {
        WARN("no control group can be made here");
        return;
    }
    auto move_to = [](const std::string& where) {
        std::ofstream(where + "/cgroup.procs") << getpid() << std::flush;
    };
    move_to(group);
    Bound inside = bind_to("0.0.0.0", SOCK_STREAM);
    move_to(root);
    Bound outside = bind_to("0.0.0.0", SOCK_STREAM);
    auto groups = control_groups_of("bandd-test.service");
    auto all = listening_ports();
    fs::remove(group, fault);
    if (made_slice) fs::remove(slice, fault);
    REQUIRE(groups.size() == 1);
    REQUIRE(all);
    CHECK(find(*all, IPPROTO_TCP, inside.port)->group == groups.front());
    CHECK(find(*all, IPPROTO_TCP, outside.port)->group != groups.front());
    CHECK(control_groups_of("bandd-nothing.service").empty());
}
