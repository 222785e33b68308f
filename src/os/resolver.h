// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's end of bandd-resolver, which looks host names up: a process of its own, without
// rights. It is started by the first question, as most machines never have one.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/address.h"
#include "os/packet.h"
#include "os/role_process.h"

namespace bandd {

struct LookUpResult {
    std::uint64_t id = 0;
    std::vector<Address> addresses;  // empty if there are none, or nobody answered in time
    std::string name;                // of an address, if it leads back to it
};
// An answer of bandd-resolver; nothing if it is none.
std::optional<LookUpResult> parse_look_up(std::string_view packet);

class Resolver {
  public:
    // Of a name; a longer one is none.
    static constexpr std::size_t longest_name = 253;
    // Of the addresses of one name that are handed on: a name is free to have thousands.
    static constexpr std::size_t most_addresses = 64;
    // A server has this long, and is asked twice; then the next one is.
    static constexpr int timeout_ms = 2000;

    // `servers`: addresses, with ports if need be, separated by commas; empty: the machine's.
    // `on_ready`: `take_result` has something, or the process has ended.
    Resolver(Roles& roles, Loop& loop, std::string servers, std::function<void()> on_ready,
             std::function<void(const Error&)> on_error);

    // Of a name. An error: it is not looked up, as the resolver does not run now.
    Result<> look_up(std::uint64_t id, const std::string& name, Instant now);
    // The name of an address. Whoever owns the address can write any name there, so it counts only
    // if the name has that address, too.
    Result<> look_up(std::uint64_t id, const Address& address, Instant now);
    std::optional<LookUpResult> take_result(Instant now);
    // How often it has ended; what it was asked by then is never answered.
    std::uint64_t ends() const { return process_.ends(); }
    // It has ended, and is started again by a question from then on.
    std::optional<Instant> next_start() const { return process_.next_start(); }

  private:
    Result<> send(std::uint64_t id, std::string_view kind, std::string_view what, Instant now);

    std::string servers_;
    RoleProcess process_;
};

// A question: number, kind, name or bytes of an address. An answer: the number, then the bytes of
// addresses; or, of an address, an empty field and its name. Before the first question: no number,
// `of_servers`, the servers.
namespace resolver_packets {

inline constexpr std::string_view of_name = "name";
inline constexpr std::string_view of_address = "address";
inline constexpr std::string_view of_servers = "servers";

inline std::string_view bytes_of(const Address& address) {
    return {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()};
}
inline std::optional<Address> address_of(std::string_view bytes) {
    Address address;
    if (bytes.size() != address.bytes.size()) return {};
    std::memcpy(address.bytes.data(), bytes.data(), bytes.size());
    return address;
}
inline std::optional<std::string> servers_of(std::string_view packet) {
    auto id = take_field(packet);
    auto kind = take_field(packet);
    if (!kind || *kind != of_servers) return {};
    return take_field(packet);
}

}  // namespace resolver_packets

}  // namespace bandd
