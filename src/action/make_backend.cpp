// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/make_backend.h"

#include "action/exec.h"
#include "action/ipset.h"
#include "action/nftables.h"
#include "action/syslog.h"

namespace bandd {
namespace {

// One row a kind of action. If a kind has none, this does not compile.
struct Maker {
    Programs& programs;
    using Made = Result<std::unique_ptr<Backend>>;

    Made operator()(const NftablesAction&) const { return NftablesBackend::create(); }
    Made operator()(const IpsetAction&) const { return IpsetBackend::create(); }
    Made operator()(const ExecAction&) const { return ExecBackend::create(programs); }
    Made operator()(const SyslogAction&) const { return std::make_unique<SyslogBackend>(); }
};

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const ActionConfig& action, Programs& programs) {
    return std::visit(Maker{programs}, action);
}

}  // namespace bandd
