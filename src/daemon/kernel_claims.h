// SPDX-License-Identifier: GPL-2.0-or-later
// What of the kernel is one daemon's in its network namespace: our nftables table, and each ipset
// that its jails fill. Two daemons on one of these would take each other's bans out of it.
//
// On the loop; nothing here waits.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "config/types.h"
#include "os/fd.h"

namespace bandd {

class KernelClaims {
  public:
    // Claims what `config` needs and is not claimed yet. An error: another bandd, of root or of
    // `our_user`, has it; what was claimed before stays so.
    Result<> take(const Config& config, uid_t our_user);
    // Gives back what `config` does not need.
    void keep_only(const Config& config);

  private:
    std::map<std::string, Fd> held_;  // by name; empty where a stranger holds that name
};

}  // namespace bandd
