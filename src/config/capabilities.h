// SPDX-License-Identifier: GPL-2.0-or-later
// Linux's capabilities by name.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"

namespace bandd {

// By number, as in linux/capability.h: CAP_NET_ADMIN is "net_admin".
inline constexpr std::array<std::string_view, 41> capability_names{"chown",
                                                                   "dac_override",
                                                                   "dac_read_search",
                                                                   "fowner",
                                                                   "fsetid",
                                                                   "kill",
                                                                   "setgid",
                                                                   "setuid",
                                                                   "setpcap",
                                                                   "linux_immutable",
                                                                   "net_bind_service",
                                                                   "net_broadcast",
                                                                   "net_admin",
                                                                   "net_raw",
                                                                   "ipc_lock",
                                                                   "ipc_owner",
                                                                   "sys_module",
                                                                   "sys_rawio",
                                                                   "sys_chroot",
                                                                   "sys_ptrace",
                                                                   "sys_pacct",
                                                                   "sys_admin",
                                                                   "sys_boot",
                                                                   "sys_nice",
                                                                   "sys_resource",
                                                                   "sys_time",
                                                                   "sys_tty_config",
                                                                   "mknod",
                                                                   "lease",
                                                                   "audit_write",
                                                                   "audit_control",
                                                                   "setfcap",
                                                                   "mac_override",
                                                                   "mac_admin",
                                                                   "syslog",
                                                                   "wake_alarm",
                                                                   "block_suspend",
                                                                   "audit_read",
                                                                   "perfmon",
                                                                   "bpf",
                                                                   "checkpoint_restore"};

// "net_admin", "CAP_NET_ADMIN".
std::optional<unsigned> capability_number(std::string_view name);

// "net_admin, net_raw"; "none".
std::string capabilities_text(Capabilities capabilities);

}  // namespace bandd
