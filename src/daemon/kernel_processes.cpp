// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/kernel_processes.h"

#include <utility>

namespace bandd {
namespace {

Role role_of(kernel::Served served) {
    switch (served) {
        case kernel::Served::nftables:
            return Role::nftables;
        case kernel::Served::ipset:
            return Role::ipset;
        case kernel::Served::geoblocks:
            break;
    }
    return Role::geoblocks;
}

}  // namespace

void KernelProcesses::start_early(const Config& config) {
    auto want = [this](kernel::Served served) {
        if (!early_.contains(served)) early_.emplace(served, roles_.start_role(role_of(served)));
    };
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions) {
            if (std::holds_alternative<NftablesAction>(action)) want(kernel::Served::nftables);
            if (std::holds_alternative<IpsetAction>(action)) want(kernel::Served::ipset);
        }
    // It is asked for geoblocks of another configuration, even if this one has none.
    want(kernel::Served::geoblocks);
}

StartKernel KernelProcesses::starter() {
    return [this](kernel::Served served) { return start(served); };
}

Result<Fd> KernelProcesses::start(kernel::Served served) {
    auto early = early_.extract(served);
    return early ? std::move(early.mapped()) : roles_.start_role(role_of(served));
}

}  // namespace bandd
