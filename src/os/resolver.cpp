// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/resolver.h"

namespace bandd {

using namespace resolver_packets;

namespace {

constexpr std::size_t largest_answer = 4096;  // bytes: the number and `most_addresses`

std::string question(std::string_view id, std::string_view kind, std::string_view what) {
    std::string packet;
    append_field(packet, id);
    append_field(packet, kind);
    append_field(packet, what);
    return packet;
}

}  // namespace

std::optional<LookUpResult> parse_look_up(std::string_view packet) {
    LookUpResult result;
    auto id = take_field(packet);
    if (!id || id->size() != sizeof result.id) return {};
    result.id = from_bytes<std::uint64_t>(*id);
    while (auto bytes = take_field(packet)) {
        if (bytes->empty()) {
            auto name = take_field(packet);
            if (name && name->size() <= Resolver::longest_name) result.name = std::move(*name);
            break;
        }
        auto address = address_of(*bytes);
        if (address && result.addresses.size() < Resolver::most_addresses)
            result.addresses.push_back(*address);
    }
    return result;
}

Resolver::Resolver(Roles& roles, Loop& loop, std::string servers, std::function<void()> on_ready,
                   std::function<void(const Error&)> on_error)
    : servers_(std::move(servers)),
      process_(roles, loop, Role::resolver, {std::move(on_ready), std::move(on_error), {}}) {}

Result<> Resolver::send(std::uint64_t id, std::string_view kind, std::string_view what,
                        Instant now) {
    if (!process_.is_running()) {
        auto told = process_.send(question({}, of_servers, servers_), now);
        if (!told) return told;
    }
    return process_.send(question(as_bytes(id), kind, what), now);
}

Result<> Resolver::look_up(std::uint64_t id, const std::string& name, Instant now) {
    return send(id, of_name, name, now);
}

Result<> Resolver::look_up(std::uint64_t id, const Address& address, Instant now) {
    return send(id, of_address, bytes_of(address), now);
}

std::optional<LookUpResult> Resolver::take_result(Instant now) {
    while (auto packet = process_.receive(largest_answer, now))
        if (auto result = parse_look_up(*packet)) return result;
    return {};
}

}  // namespace bandd
