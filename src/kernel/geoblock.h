// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's side of geoblock: a table of its own with an interval set for each block and family,
// replaced as a whole in one transaction, so that no packet sees half of it.
#pragma once

#include <string>
#include <vector>

#include "action/kernel_protocol.h"
#include "core/base/result.h"
#include "os/netlink.h"

namespace bandd {

inline constexpr const char* geoblock_table = "bandd-geoblock";

// Puts these in place of whatever stands there; none: nothing stands there any more. Blocks while
// the kernel works, which takes a second for 100,000 networks: for a thread of its own.
Result<> put_geoblocks(const std::vector<Geoblock>& blocks);

// Whether such a table stands, of a daemon before us perhaps.
bool geoblocks_stand();

// Tells when somebody else changed the table.
class GeoblockWatch {
  public:
    static Result<GeoblockWatch> open();
    int fd() const { return notices_.fd(); }
    // Our own transactions are heard, too, and the kernel tells each element: not meanwhile.
    void pause() { notices_.leave(group); }
    Result<> resume() { return notices_.join(group); }
    bool was_changed();

  private:
    static const int group;
    explicit GeoblockWatch(Netlink notices) : notices_(std::move(notices)) {}
    Netlink notices_;
};

}  // namespace bandd
