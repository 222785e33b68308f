// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/make_carrier.h"

#include "action/direct_carrier.h"
#include "action/exec.h"
#include "action/syslog.h"

namespace bandd {
namespace {

Result<std::unique_ptr<Carrier>> carry_directly(Result<std::unique_ptr<Backend>> backend) {
    if (!backend) return std::unexpected(backend.error());
    return std::make_unique<DirectCarrier>(std::move(*backend));
}

// One row a kind of action. If a kind has none, this does not compile.
struct Maker {
    Programs& programs;
    const StartKernel& start;
    using Made = Result<std::unique_ptr<Carrier>>;

    Made operator()(const NftablesAction&) const {
        return KernelCarrier::start(kernel::Served::nftables, start);
    }
    Made operator()(const IpsetAction&) const {
        return KernelCarrier::start(kernel::Served::ipset, start);
    }
    Made operator()(const ExecAction&) const {
        return carry_directly(ExecBackend::create(programs));
    }
    Made operator()(const SyslogAction&) const { return carry_directly(SyslogBackend::create()); }
};

}  // namespace

Result<std::unique_ptr<Carrier>> make_carrier(const ActionConfig& action, Programs& programs,
                                              const StartKernel& start) {
    return std::visit(Maker{programs, start}, action);
}

}  // namespace bandd
