// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-fleet: speaks to the fleet's NATS server for the daemon, which started it. A process
// without rights: what a server or another node makes of it reaches neither the firewall nor the
// state, nor the key by which names are hashed. Each message goes on as one packet
// (fleet/packets.h).
//
// Descriptor 3: the daemon (SOCK_SEQPACKET).
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <memory>
#include <string>

#include "fleet/connection.h"
#include "os/rights.h"
#include "os/roles.h"

namespace bandd {
namespace {

class Helper {
  public:
    // Until the daemon has gone.
    void run() {
        while (true) {
            // While the daemon is behind, nothing is taken from the connection, which has bounds of
            // its own.
            bool behind = !to_daemon_.empty();
            short wanted = behind ? POLLIN | POLLOUT : POLLIN;
            std::array<pollfd, 2> ready{
                pollfd{role_socket, wanted, 0},
                pollfd{connection_ && !behind ? connection_->wake_fd() : -1, POLLIN, 0}};
            int pause = connection_ ? static_cast<int>(FleetConnection::most_pause.count()) : -1;
            ::poll(ready.data(), ready.size(), pause);
            if ((ready[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_daemon()) return;
            if (to_daemon_.empty() && connection_)
                for (const FromFleet& said : connection_->turn(FleetConnection::Clock::now()))
                    to_daemon_.push_back(to_packet(said));
            if (!write_daemon()) return;
        }
    }

  private:
    // At most some at a time, so that what comes by the network has its turn. False: it has ended.
    bool read_daemon() {
        constexpr int most_at_a_time = 256;
        for (int i = 0; i < most_at_a_time; ++i) {
            ssize_t got =
                ::recv(role_socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
            if (got < 0) return errno == EAGAIN || errno == EINTR;
            if (got == 0) return false;
            auto size = static_cast<std::size_t>(got);
            if (size > buffer_.size()) continue;
            if (auto said = parse_to_fleet({buffer_.data(), size}))
                std::visit([this](auto& what) { on(std::move(what)); }, *said);
        }
        return true;
    }

    void on(FleetAccess access) {
        connection_.reset();
        connection_ = std::make_unique<FleetConnection>(std::move(access));
    }
    void on(FleetPublish message) {
        if (connection_) connection_->publish(std::move(message));
    }
    void on(FleetSettled settled) {
        if (connection_) connection_->settle(settled);
    }
    void on(FleetKeep keep) {
        if (connection_) connection_->keep(keep);
    }

    bool write_daemon() {
        while (!to_daemon_.empty()) {
            const std::string& packet = to_daemon_.front();
            if (::send(role_socket, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
            to_daemon_.pop_front();
        }
        return true;
    }

    std::unique_ptr<FleetConnection> connection_;
    std::deque<std::string> to_daemon_;
    std::string buffer_ = std::string(largest_fleet_packet, '\0');
};

}  // namespace
}  // namespace bandd

int main() {
    if (!bandd::enters_role(bandd::Role::fleet)) return 1;
    bandd::Helper().run();
    // libnats' threads end with the process.
    _exit(0);
}
