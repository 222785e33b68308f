// SPDX-License-Identifier: GPL-2.0-or-later
// Whose a connection is. tests/daemon/test_requests.cpp tries to be taken for somebody else.
#include <sys/socket.h>
#include <unistd.h>

#include "os/socket_address.h"
#include "os/tcp_owner.h"
#include "support/common.h"

using namespace bandd;

namespace {

Fd listen_to(const std::string& address) {
    sockaddr_storage at{};
    socklen_t size = to_sockaddr(ip(address), 0, at);
    Fd fd(::socket(at.ss_family, SOCK_STREAM, 0));
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd.get(), 5) == 0);
    return fd;
}

struct Pair {
    Fd client, server;
    TcpConnection connection;
};
Pair connect_to(const Fd& listening) {
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size);
    Pair pair;
    pair.client = Fd(::socket(at.ss_family, SOCK_STREAM, 0));
    REQUIRE(::connect(pair.client.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    pair.server = Fd(::accept(listening.get(), nullptr, nullptr));
    auto connection = connection_of(pair.server.get());
    REQUIRE(connection);
    pair.connection = *connection;
    return pair;
}

}  // namespace

TEST_CASE("tcp owner: whose a connection is, as long as both ends are there") {
    auto owners = TcpOwners::open();
    REQUIRE(owners);
    for (const char* address : {"127.0.0.1", "::1"}) {
        INFO(address);
        Fd listening = listen_to(address);
        Pair pair = connect_to(listening);
        CHECK(to_string(pair.connection.theirs) == address);
        auto owner = owners->owner_of(pair.connection);
        REQUIRE(owner);
        CHECK(*owner == std::optional(geteuid()));
        // A client that has said all still has its socket.
        ::shutdown(pair.client.get(), SHUT_WR);
        REQUIRE(owners->owner_of(pair.connection));
        // The kernel says of a closed one that it is root's.
        pair.client.reset();
        CHECK_FALSE(owners->owner_of(pair.connection));
        // Where our own end is gone, somebody else may have the port.
        Pair left = connect_to(listening);
        left.server.reset();
        CHECK_FALSE(owners->owner_of(left.connection));
        // A socket that listens is none that is connected.
        Fd other = listen_to(address);
        Pair made = connect_to(listening);
        sockaddr_storage at{};
        socklen_t size = sizeof at;
        ::getsockname(other.get(), reinterpret_cast<sockaddr*>(&at), &size);
        made.connection.their_port = port_of(at);
        CHECK_FALSE(owners->owner_of(made.connection));
    }
}

TEST_CASE("tcp owner: other machines have no users here") {
    auto owners = TcpOwners::open();
    REQUIRE(owners);
    TcpConnection connection{ip("198.51.100.7"), ip("127.0.0.1"), 12345, 10040};
    auto owner = owners->owner_of(connection);
    REQUIRE(owner);
    CHECK_FALSE(*owner);
}
