// SPDX-License-Identifier: GPL-2.0-or-later
// Starts bandd-kernel, which has a process for each kind of sets.
#pragma once

#include <map>

#include "action/kernel_carrier.h"
#include "config/types.h"
#include "os/roles.h"

namespace bandd {

class KernelProcesses {
  public:
    explicit KernelProcesses(Roles& roles) : roles_(roles) {}

    // Those that this configuration needs get ready while bandd does something else.
    void start_early(const Config& config);
    // The one that was started early, once; later a new one. `this` outlives what is returned.
    StartKernel starter();

  private:
    Result<Fd> start(kernel::Served served);

    Roles& roles_;
    std::map<kernel::Served, Result<Fd>> early_;
};

}  // namespace bandd
