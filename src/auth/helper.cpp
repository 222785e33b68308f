// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/helper.h"

#include "core/base/printable.h"
#include "os/clock.h"
#include "os/packet.h"

namespace bandd {
namespace {

constexpr std::size_t largest_fault = 16 << 10;  // bytes of a packet

}  // namespace

std::string to_packet(const PasswordServer& server) {
    std::string packet;
    append_field(packet, as_bytes(server.kind));
    append_field(packet, as_bytes(server.tls));
    append_field(packet, as_bytes(server.imap.address.bytes));
    append_field(packet, as_bytes(server.imap.port));
    append_field(packet, as_bytes(server.timeout));
    append_field(packet, server.socket);
    append_field(packet, server.tls_name);
    append_field(packet, server.tls_authority);
    return packet;
}

std::optional<PasswordServer> parse_password_server(std::string_view packet) {
    auto kind = take_field(packet);
    auto tls = take_field(packet);
    auto address = take_field(packet);
    auto port = take_field(packet);
    auto timeout = take_field(packet);
    auto socket = take_field(packet);
    auto tls_name = take_field(packet);
    auto tls_authority = take_field(packet);
    if (!tls_authority) return {};
    PasswordServer server;
    server.kind = from_bytes<PasswordServer::Kind>(*kind);
    server.tls = from_bytes<PasswordServer::Tls>(*tls);
    server.imap.address.bytes = from_bytes<decltype(Address::bytes)>(*address);
    server.imap.port = from_bytes<std::uint16_t>(*port);
    server.timeout = from_bytes<Duration>(*timeout);
    server.socket = std::move(*socket);
    server.tls_name = std::move(*tls_name);
    server.tls_authority = std::move(*tls_authority);
    return server;
}

std::string to_packet(const Error& fault) {
    std::string packet;
    append_field(packet, fault.what);
    append_field(packet, fault.reason);
    append_field(packet, fault.hint);
    return packet;
}

std::optional<Error> parse_fault(std::string_view packet) {
    auto what = take_field(packet);
    auto reason = take_field(packet);
    auto hint = take_field(packet);
    if (!hint) return {};
    return Error{printable(*what), printable(*reason), printable(*hint), {}};
}

PasswordHelper::PasswordHelper(Roles& roles, Loop& loop, PasswordServer server,
                               std::function<void()> on_start,
                               std::function<void(const Error&)> on_error)
    : server_(std::move(server)),
      on_error_(std::move(on_error)),
      process_(roles, loop, Role::auth, {[this] { on_fault(); }, on_error_, std::move(on_start)}) {}

void PasswordHelper::start(Instant now) {
    [[maybe_unused]] auto said_by_process = process_.start(now);
}

// bandd-root ends the one before, as there is to be one only.
void PasswordHelper::restart(Instant now) {
    if (restarted_ && now >= *restarted_ && now - *restarted_ < 2 * server_.timeout) return;
    restarted_ = now;
    on_error_({"bandd-auth", "does not answer", "another one takes its place", {}});
    process_.close();
    start(now);
}

bool PasswordHelper::give(int socket, Instant now) {
    return process_.send(to_packet(server_), now, socket).has_value();
}

void PasswordHelper::on_fault() {
    while (auto packet = process_.receive(largest_fault, now())) {
        auto fault = parse_fault(*packet);
        if (!fault) continue;
        std::uint64_t times = said_.happened(now());
        if (times == 0) continue;
        fault->what = "http: auth: " + fault->what;
        fault->reason += since_said(times);
        on_error_(*fault);
    }
}

}  // namespace bandd
