// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/http_helper.h"

#include <algorithm>

#include "os/clock.h"
#include "os/packet.h"

namespace bandd {
namespace {

constexpr std::size_t largest_request = 256 << 10;  // bytes of a packet

}  // namespace

std::optional<HttpPacket> parse_http_packet(std::string_view packet) {
    auto id = take_field(packet);
    auto put_out = take_field(packet);
    auto verdict = take_field(packet);
    auto theirs = take_field(packet);
    auto their_port = take_field(packet);
    auto ours = take_field(packet);
    auto our_port = take_field(packet);
    auto method = take_field(packet);
    auto path = take_field(packet);
    auto query = take_field(packet);
    auto body = take_field(packet);
    HttpPacket parsed;
    HttpRequest& request = parsed.request;
    if (!body || id->size() != sizeof request.id) return {};
    request.id = from_bytes<std::uint64_t>(*id);
    request.verdict = parse_verdict(*verdict);
    parsed.put_out = from_bytes<std::uint32_t>(*put_out);
    request.connection.theirs.bytes = from_bytes<decltype(Address::bytes)>(*theirs);
    request.connection.their_port = from_bytes<std::uint16_t>(*their_port);
    request.connection.ours.bytes = from_bytes<decltype(Address::bytes)>(*ours);
    request.connection.our_port = from_bytes<std::uint16_t>(*our_port);
    request.method = *method;
    request.path = *path;
    request.query = *query;
    request.body = *body;
    while (auto name = take_field(packet))
        request.headers.emplace_back(*name, take_field(packet).value_or(""));
    return parsed;
}

std::string to_packet(std::uint64_t id, const HttpReply& reply) {
    std::string packet;
    append_field(packet, as_bytes(id));
    append_field(packet, std::to_string(reply.status));
    append_field(packet, reply.type);
    append_field(packet, reply.body);
    for (const auto& [name, value] : reply.headers) {
        append_field(packet, name);
        append_field(packet, header_text(value));
    }
    return packet;
}

HttpHelper::HttpHelper(Roles& roles, Loop& loop, Fd listening, std::function<void()> on_ready,
                       std::function<void(const Error&)> on_error)
    : roles_(roles),
      loop_(loop),
      on_error_(std::move(on_error)),
      process_(roles, loop, Role::http, {std::move(on_ready), on_error_, [this] { introduce(); }}) {
    process_.set_extra(std::move(listening));
}

void HttpHelper::set_password_server(const std::optional<PasswordServer>& server) {
    if (!server) passwords_.reset();
    if (!server || (passwords_ && passwords_->server() == *server)) return;
    passwords_ = std::make_unique<PasswordHelper>(
        roles_, loop_, *server, [this] { introduce(); }, on_error_);
}

void HttpHelper::restart_password_check(Instant now) {
    if (passwords_) passwords_->restart(now);
}

void HttpHelper::start(Instant now) {
    [[maybe_unused]] auto said_by_process = process_.start(now);
    if (passwords_) passwords_->start(now);
}

std::optional<Instant> HttpHelper::next_start() const {
    auto next = process_.next_start();
    auto passwords = passwords_ ? passwords_->next_start() : std::nullopt;
    if (next && passwords) return std::min(*next, *passwords);
    return next ? next : passwords;
}

// A process that was started anew knows nobody, and the other one knows only the one before it.
void HttpHelper::introduce() {
    if (!passwords_ || !passwords_->is_running() || !process_.is_running()) return;
    auto pair = make_pair_of_sockets();
    if (!pair) return on_error_(pair.error());
    std::string packet;
    append_field(packet, as_bytes(std::uint64_t{0}));
    // Whoever does not take it is about to end, and is introduced again.
    if (passwords_->give(pair->second.get(), now())) [[maybe_unused]]
        auto sent = process_.send(packet, now(), pair->first.get());
}

std::optional<HttpRequest> HttpHelper::take_request(Instant now) {
    while (auto packet = process_.receive(largest_request, now)) {
        auto parsed = parse_http_packet(*packet);
        if (parsed) {
            put_out_ += parsed->put_out;
            return std::move(parsed->request);
        }
        ++lost_;
    }
    return {};
}

void HttpHelper::reply(std::uint64_t id, const HttpReply& reply, Instant now) {
    std::string packet = to_packet(id, reply);
    if (!process_.is_running() || !process_.send(packet, now)) ++lost_;
}

}  // namespace bandd
