// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/fd_packet.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "support/common.h"

using namespace bandd;

namespace {

struct Pair {
    Fd one, other;
};
Pair make_pair_of_sockets() {
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

}  // namespace

TEST_CASE("descriptors come with their packet") {
    Pair pair = make_pair_of_sockets();
    Pair given = make_pair_of_sockets();
    REQUIRE(send_fd_packet(pair.one.get(), "name", {given.one.get(), given.other.get()}));
    REQUIRE(send_fd_packet(pair.one.get(), "none"));
    auto packet = receive_fd_packet(pair.other.get(), 100);
    REQUIRE(packet);
    CHECK(packet->bytes == "name");
    REQUIRE(packet->fds.size() == 2);
    REQUIRE(::send(packet->fds[0].get(), "x", 1, 0) == 1);
    char got = 0;
    CHECK((::recv(given.other.get(), &got, 1, 0) == 1 && got == 'x'));
    CHECK((fcntl(packet->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    auto none = receive_fd_packet(pair.other.get(), 100);
    REQUIRE(none);
    CHECK((none->bytes == "none" && none->fds.empty()));
    pair.one.reset();
    CHECK_FALSE(receive_fd_packet(pair.other.get(), 100));
}

TEST_CASE(
    "a packet that is too long, or brings too many descriptors, brings nothing, and leaks none") {
    Pair pair = make_pair_of_sockets();
    std::size_t before = open_descriptors();
    SECTION("too long") { REQUIRE(send_fd_packet(pair.one.get(), "name", {0, 1})); }
    SECTION("too many") {
        // Not by send_fd_packet, which does not.
        std::array<int, most_packet_fds + 5> fds{};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
        char byte = 'x';
        iovec data{&byte, 1};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fds);
        std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
        REQUIRE(::sendmsg(pair.one.get(), &message, 0) == 1);
    }
    {
        auto packet = receive_fd_packet(pair.other.get(), 3);
        REQUIRE(packet);
        CHECK((packet->bytes.empty() && packet->fds.empty()));
    }
    CHECK(open_descriptors() == before);
}
