// SPDX-License-Identifier: GPL-2.0-or-later
// A node's connection to its fleet's server: NATS with JetStream, by libnats, whose threads end at
// this class. It connects for ever, publishes until the server says that it has stored it, fetches
// from the streams, and on a counting node keeps streams and consumers. Nothing here waits for the
// network but the thread that connects.
//
// What comes in is believed by the way it came (a subject of ours with a random part, a consumer of
// ours), never by what it says.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "fleet/packets.h"

namespace bandd {

class FleetConnection {
  public:
    using Clock = std::chrono::steady_clock;

    explicit FleetConnection(FleetAccess access);
    ~FleetConnection();
    FleetConnection(const FleetConnection&) = delete;
    FleetConnection& operator=(const FleetConnection&) = delete;

    // Readable: `turn` has something. It is also to be called every `most_pause`.
    int wake_fd() const;
    static constexpr std::chrono::milliseconds most_pause{1000};

    // What has come since the last call; and does what is due: sends again, fetches.
    std::vector<FromFleet> turn(Clock::time_point now);

    // What may become of it is in what `turn` gives: published, or refused.
    void publish(FleetPublish message);
    void settle(FleetSettled settled);
    void keep(const FleetKeep& keep);

  private:
    class Wire;  // libnats
    class Work;  // what is under way
    FleetAccess access_;
    std::unique_ptr<Wire> wire_;
    std::unique_ptr<Work> work_;
};

}  // namespace bandd
