// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets that a supervisor opened and handed on to us, as systemd does for a .socket unit
// (sd_listen_fds(3)): LISTEN_PID is our process, LISTEN_FDS says how many, from descriptor 3 on.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"
#include "os/fd.h"

namespace bandd {

class InheritedSockets {
  public:
    // To be called before any other descriptor is opened. The environment has them no longer.
    static InheritedSockets find();

    // The one that is bound to `address`; none: -1. "tls" takes one of TCP, and any "all
    // addresses" is as good as another: systemd binds [::] for both families.
    Fd take(const ListenAddress& address);
    // What nobody took: "tcp://127.0.0.1:80", "unix:/run/x".
    std::vector<std::string> names() const;

  private:
    std::vector<Fd> sockets_;
};

}  // namespace bandd
