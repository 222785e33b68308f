// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-resolver: looks host names up for the daemon, as the machine is set up (resolv.conf,
// hosts). c-ares does the asking; here are only its sockets and its clock. A process without
// rights: what a name server makes of it reaches neither the firewall nor the state.
//
// Descriptor 3: the daemon. One packet a question, one an answer; see os/resolver.h.
#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "os/packet.h"
#include "os/resolver.h"
#include "os/rights.h"

namespace bandd {
namespace {

using namespace resolver_packets;

struct Pending {
    std::uint64_t id = 0;
    int socket = -1;
    ares_channel channel = nullptr;
    // Of a look-up of an address's name:
    std::optional<Address> address;
    std::string name;  // that it is said to have
};

// Addresses; or an empty field, then the name.
void answer(const Pending& pending, const std::vector<Address>& addresses) {
    std::string packet;
    append_field(packet, as_bytes(pending.id));
    if (!pending.address) {
        for (const Address& address : addresses) append_field(packet, bytes_of(address));
    } else if (std::ranges::find(addresses, *pending.address) != addresses.end()) {
        append_field(packet, {});
        append_field(packet, pending.name);
    }
    [[maybe_unused]] auto ignored =
        ::send(pending.socket, packet.data(), packet.size(), MSG_NOSIGNAL);
}

void on_addresses(void* argument, int, int, ares_addrinfo* found) {
    std::unique_ptr<Pending> pending(static_cast<Pending*>(argument));
    std::vector<Address> addresses;
    for (auto* node = found == nullptr ? nullptr : found->nodes; node != nullptr;
         node = node->ai_next) {
        Address address;
        if (node->ai_family == AF_INET6) {
            const auto* six = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
            std::memcpy(address.bytes.data(), &six->sin6_addr, 16);
        } else if (node->ai_family == AF_INET) {
            const auto* four = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
            address.bytes[10] = address.bytes[11] = 0xff;
            std::memcpy(address.bytes.data() + 12, &four->sin_addr, 4);
        } else {
            continue;
        }
        if (std::ranges::find(addresses, address) == addresses.end() &&
            addresses.size() < Resolver::most_addresses)
            addresses.push_back(address);
    }
    if (found != nullptr) ares_freeaddrinfo(found);
    answer(*pending, addresses);
}

void look_up_addresses(std::unique_ptr<Pending> pending) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_flags = ARES_AI_NOSORT;
    ares_channel channel = pending->channel;
    std::string name = pending->name;
    ares_getaddrinfo(channel, name.c_str(), nullptr, &hints, on_addresses, pending.release());
}

void on_name(void* argument, int status, int, hostent* found) {
    std::unique_ptr<Pending> pending(static_cast<Pending*>(argument));
    // While c-ares ends it must not be asked again.
    bool ending = status == ARES_EDESTRUCTION || status == ARES_ECANCELLED;
    if (found == nullptr || found->h_name == nullptr || ending ||
        std::strlen(found->h_name) > Resolver::longest_name)
        return answer(*pending, {});
    pending->name = found->h_name;
    look_up_addresses(std::move(pending));
}

void look_up_name(std::unique_ptr<Pending> pending) {
    const Address address = *pending->address;
    ares_channel channel = pending->channel;
    if (address.is_v4())
        ares_gethostbyaddr(channel, address.bytes.data() + 12, 4, AF_INET, on_name,
                           pending.release());
    else
        ares_gethostbyaddr(channel, address.bytes.data(), 16, AF_INET6, on_name, pending.release());
}

// Empty if c-ares cannot be used.
ares_channel open_channel(const std::string& servers) {
    ares_channel channel = nullptr;
    ares_options options{};
    options.timeout = Resolver::timeout_ms;
    options.tries = 2;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ||
        ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) != ARES_SUCCESS)
        return nullptr;
    if (servers.empty() || ares_set_servers_ports_csv(channel, servers.c_str()) == ARES_SUCCESS)
        return channel;
    ares_destroy(channel);
    return nullptr;
}

// On 32 bits our times have 64, and c-ares may have been built with others (Debian 12's armhf):
// what it writes is not our struct then.
constexpr bool has_our_timeval = sizeof(void*) == 8;
constexpr int look_again = 100;  // ms

enum class Woken { failed, by_answers, by_request };

// Waits for a request at `socket`, or until c-ares has something to do, which is done.
Woken wait_for(int socket, ares_channel channel) {
    std::vector<pollfd> polled{{socket, POLLIN, 0}};
    int wait = -1;
    if (channel != nullptr) {
        std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
        int used = ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM);
        for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
            short events = 0;
            if (ARES_GETSOCK_READABLE(used, i)) events |= POLLIN;
            if (ARES_GETSOCK_WRITABLE(used, i)) events |= POLLOUT;
            if (events != 0) polled.push_back({sockets[static_cast<std::size_t>(i)], events, 0});
        }
        timeval left{};
        if (!has_our_timeval)
            wait = used != 0 ? look_again : -1;
        else if (const timeval* next = ares_timeout(channel, nullptr, &left); next != nullptr)
            wait = static_cast<int>(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
    }
    if (poll(polled.data(), polled.size(), wait) < 0 && errno != EINTR) return Woken::failed;
    for (std::size_t i = 1; i < polled.size(); ++i) {
        auto fd = [&](int events) {
            return (polled[i].revents & events) != 0 ? polled[i].fd : ARES_SOCKET_BAD;
        };
        ares_process_fd(channel, fd(POLLIN | POLLERR | POLLHUP), fd(POLLOUT));
    }
    if (channel != nullptr) ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return polled[0].revents == 0 ? Woken::by_answers : Woken::by_request;
}

// What a packet asks; empty if it is no request.
std::unique_ptr<Pending> take_request(std::string_view packet, int socket) {
    auto id = take_field(packet);
    auto kind = take_field(packet);
    auto what = take_field(packet);
    if (!id || !kind || !what) return nullptr;
    auto pending = std::make_unique<Pending>();
    pending->id = from_bytes<std::uint64_t>(*id);
    pending->socket = socket;
    if (*kind == of_address)
        pending->address = address_of(*what);
    else
        pending->name = *what;
    return pending;
}

// Until the other end is closed.
void serve(int socket) {
    ares_channel channel = nullptr;
    std::string servers;
    while (true) {
        Woken woken = wait_for(socket, channel);
        if (woken == Woken::failed) return;
        if (woken == Woken::by_answers) continue;
        std::array<char, 1024> packet{};
        ssize_t got = ::recv(socket, packet.data(), packet.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
        if (got < 0) continue;
        std::string_view bytes(packet.data(), static_cast<std::size_t>(got));
        if (auto named = servers_of(bytes)) {
            servers = std::move(*named);
            continue;
        }
        auto pending = take_request(bytes, socket);
        if (!pending) continue;
        if (channel == nullptr) channel = open_channel(servers);
        if (channel == nullptr) {
            answer(*pending, {});
            continue;
        }
        pending->channel = channel;
        if (pending->address)
            look_up_name(std::move(pending));
        else
            look_up_addresses(std::move(pending));
    }
}

}  // namespace
}  // namespace bandd

int main() {
    if (!bandd::enters_role(bandd::Role::resolver)) return 1;
    bandd::serve(bandd::role_socket);
}
