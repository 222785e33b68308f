// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-auth: asks a mail server whether a password is right, for bandd-http. One thread a
// question: a mail server takes its time, above all over wrong passwords. Nothing of a question is
// kept, written or logged.
//
// Descriptor 3: the daemon (SOCK_SEQPACKET), which says by a packet which server is to be asked,
// and sends with it the socket that questions come from.
#include <poll.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "auth/helper.h"
#include "auth/places.h"
#include "auth/question.h"
#include "auth/wire.h"
#include "core/base/address.h"
#include "os/fd_packet.h"
#include "os/rights.h"

namespace bandd {
namespace {

constexpr int daemon_fd = role_socket;
constexpr std::size_t largest_packet = 256 << 10;  // of the daemon: certificates are in it
// At a time, of bandd-http's 240 places. Wrong passwords take a mail server seconds, so whoever
// guesses from many addresses has all of these; some are for those who logged in from there before.
constexpr std::size_t stack_size = 256 << 10;

// One socket of questions, and the server that they are about.
struct Desk {
    MailServer server;
    Fd questions;
};

std::atomic<std::uint32_t> next_connection{1};
// Real clients of Dovecot are known by their process number, which is never as large.
constexpr std::uint32_t no_process = 1U << 30U;

std::string unguessable_tag() {
    std::array<unsigned char, 20> bytes;
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) _exit(1);
    std::string tag = "b";
    for (unsigned char byte : bytes) tag += "0123456789abcdef"[byte & 15U];
    return tag;
}

Checked check(const MailServer& server, const PasswordQuestion& question) {
    if (!can_be_right(question)) return {PasswordVerdict::wrong, {}};
    auto wire = SocketWire::connect(server);
    if (!wire) return unknown(wire.error());
    if (server.config().kind == PasswordServer::Kind::imap)
        return check_by_imap(**wire, server.config(), question, unguessable_tag());
    return check_by_dovecot(**wire, question, no_process + next_connection++);
}

void tell(const Error& fault) {
    std::string packet = to_packet(fault);
    ::send(daemon_fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void answer(const Desk& desk, std::uint64_t id, const Checked& checked) {
    if (checked.verdict == PasswordVerdict::unknown) tell(checked.error);
    std::string packet = to_packet(PasswordAnswer{id, checked.verdict});
    ::send(desk.questions.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

std::mutex mutex;  // of the places
Places places;

std::optional<Places::Place> take_place(const PasswordQuestion& question) {
    std::lock_guard hold(mutex);
    return places.take(parse_address(question.client).value_or(Address{}), question.user);
}
void give_back(const Places::Place& place, bool was_right) {
    std::lock_guard hold(mutex);
    places.give_back(place, was_right);
}

void begin(const std::shared_ptr<const Desk>& desk, PasswordQuestion question) {
    std::uint64_t id = question.id;
    auto place = take_place(question);
    if (!place)
        return answer(*desk, id,
                      unknown({"a password",
                               "is not checked: too many are being checked",
                               "have who guesses banned: see the jail refused-logons",
                               {}}));
    try {
        std::thread([desk, place, question = std::move(question)] {
            Checked checked = check(desk->server, question);
            give_back(*place, checked.verdict == PasswordVerdict::right);
            answer(*desk, question.id, checked);
        }).detach();
    } catch (const std::system_error& fault) {
        give_back(*place, false);
        answer(*desk, id, unknown({"a thread", fault.what(), "", {}}));
    }
}

// The desk that the daemon's packet sets up; the one before, if it does not.
std::shared_ptr<const Desk> take_packet(FdPacket packet, std::shared_ptr<const Desk> before) {
    auto config = parse_password_server(packet.bytes);
    if (!config || packet.fds.size() != 1) return before;
    auto server = MailServer::make(*config);
    if (!server) {
        tell(server.error());
        return {};
    }
    return std::make_shared<const Desk>(Desk{std::move(*server), std::move(packet.fds.front())});
}

// False: no more will come from there.
bool take_question(const std::shared_ptr<const Desk>& desk, std::string& packet) {
    ssize_t got = ::recv(desk->questions.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    auto question = parse_question({packet.data(), static_cast<std::size_t>(got)});
    explicit_bzero(packet.data(), static_cast<std::size_t>(got));
    if (question) begin(desk, std::move(*question));
    return true;
}

int run() {
    if (!enters_role(Role::auth)) return 1;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    pthread_setattr_default_np(&attributes);
    std::shared_ptr<const Desk> desk;
    std::string packet(largest_question, '\0');
    while (true) {
        // A negative descriptor is one that is not waited for.
        std::array<pollfd, 2> ready{pollfd{daemon_fd, POLLIN, 0},
                                    pollfd{desk ? desk->questions.get() : -1, POLLIN, 0}};
        if (::poll(ready.data(), ready.size(), -1) < 0) continue;
        if (ready[0].revents != 0) {
            auto from_daemon = receive_fd_packet(daemon_fd, largest_packet);
            if (!from_daemon) _exit(0);  // it has ended
            desk = take_packet(std::move(*from_daemon), std::move(desk));
        } else if (ready[1].revents != 0 && !take_question(desk, packet)) {
            desk.reset();
        }
    }
}

}  // namespace
}  // namespace bandd

int main() { return bandd::run(); }
