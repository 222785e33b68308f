// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/make_carrier.h"

#include "action/direct_carrier.h"
#include "action/exec.h"
#include "action/syslog.h"

namespace bandd {
namespace {

// One row a kind; the compiler misses a row that is not here.
struct Maker {
    Spawner& spawner;
    const StartKernel& start;
    using Made = Result<std::unique_ptr<Carrier>>;

    Made operator()(const NftablesAction&) const {
        return KernelCarrier::start(kernel::Served::nftables, start);
    }
    Made operator()(const IpsetAction&) const {
        return KernelCarrier::start(kernel::Served::ipset, start);
    }
    Made operator()(const ExecAction&) const {
        return std::make_unique<DirectCarrier>(std::make_unique<ExecBackend>(std::move(spawner)));
    }
    Made operator()(const SyslogAction&) const {
        return std::make_unique<DirectCarrier>(std::make_unique<SyslogBackend>());
    }
};

}  // namespace

Result<std::unique_ptr<Carrier>> make_carrier(const ActionConfig& action, Spawner& spawner,
                                              const StartKernel& start) {
    return std::visit(Maker{spawner, start}, action);
}

}  // namespace bandd
