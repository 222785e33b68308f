// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses with ports, as the configuration writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// "192.0.2.1", "192.0.2.1:514", "2001:db8::1", "[2001:db8::1]:514"; without one, `port`.
std::optional<std::pair<Address, std::uint16_t>> parse_host_and_port(std::string_view text,
                                                                     std::uint16_t port);
std::string to_string_with_port(const Address& address, std::uint16_t port);

// certificate, key and clients.
std::vector<Key<TlsFiles>> tls_keys();
// mode and group.
std::vector<Key<SocketFile>> socket_file_keys();

// "udp://192.0.2.1:514", "tcp://[::]:601", "unix:/run/x.sock", "unix:///run/x.sock" (a datagram
// socket). Ports that are not given are `port`, and `tls_port` for tls.
std::optional<ListenAddress> parse_listen_address(std::string_view text, std::uint16_t port,
                                                  std::uint16_t tls_port);

}  // namespace bandd
