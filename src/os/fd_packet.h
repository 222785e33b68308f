// SPDX-License-Identifier: GPL-2.0-or-later
// Packets between bandd's processes that carry descriptors (SCM_RIGHTS), on SOCK_SEQPACKET.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/fd.h"

namespace bandd {

inline constexpr std::size_t most_packet_fds = 3;

struct FdPacket {
    std::string bytes;
    std::vector<Fd> fds;
};

// `fds` stay the caller's, too; at most `most_packet_fds`. False: errno.
bool send_fd_packet(int socket, std::string_view bytes, std::initializer_list<int> fds = {});

struct FdPacketView {
    std::string_view bytes;  // in the caller's buffer
    std::vector<Fd> fds;
};

// Waits for the next one, if the socket blocks. Nothing: the other end is closed. One that is
// longer than `largest`, or brings more descriptors than it may, comes as an empty packet.
std::optional<FdPacket> receive_fd_packet(int socket, std::size_t largest);
// The same, into a buffer that is kept; the largest packet is as long as that.
std::optional<FdPacketView> receive_fd_packet(int socket, std::string& buffer);

}  // namespace bandd
