// SPDX-License-Identifier: GPL-2.0-or-later
// Carries out what other machines request: bans, their end, and whether an address is banned. Who
// may request what was checked before, by daemon/endpoints.
#pragma once

#include <functional>

#include "protocols/remote.h"

namespace bandd {

class Engine;
class Pipeline;

class RemoteBans {
  public:
    // Engine and pipeline outlive it. `write_soon`: no log has these bans to be read again.
    RemoteBans(Engine& engine, Pipeline& pipeline, std::function<void()> write_soon)
        : engine_(engine), pipeline_(pipeline), write_soon_(std::move(write_soon)) {}

    // In the peer's jail. The kernel has it when this returns.
    RemoteReply carry_out(const PeerConfig& peer, const RemoteRequest& request);

  private:
    Engine& engine_;
    Pipeline& pipeline_;
    std::function<void()> write_soon_;
};

}  // namespace bandd
