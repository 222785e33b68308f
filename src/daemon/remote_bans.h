// SPDX-License-Identifier: GPL-2.0-or-later
// Carries out what other machines request: bans, their end, and whether an address is banned. Who
// may request what was checked before, by daemon/endpoints.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "protocols/remote.h"

namespace bandd {

class Engine;
class Pipeline;

class RemoteBans {
  public:
    // All of it outlives it. `write_soon`: no log has these bans to be read again.
    RemoteBans(const RemoteConfig& config, Engine& engine, Pipeline& pipeline,
               std::function<void()> write_soon)
        : config_(config),
          engine_(engine),
          pipeline_(pipeline),
          write_soon_(std::move(write_soon)) {}

    // In the peer's jail. The kernel has it when this returns. `asker`: where the peer is.
    RemoteReply carry_out(const PeerConfig& peer, const RemoteRequest& request,
                          const Address& asker);

    // Entries of `from` that are wider say who may connect from anywhere, not who is ours.
    static constexpr int widest_own_v4 = 16;
    static constexpr int widest_own_v6 = 32;

  private:
    // Nothing: a peer may have it banned.
    std::optional<Error> refuse(const Prefix& prefix, const Address& asker) const;

    const RemoteConfig& config_;
    std::map<std::string, Address> seen_;  // where each peer was, by name
    Engine& engine_;
    Pipeline& pipeline_;
    std::function<void()> write_soon_;
};

}  // namespace bandd
