// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a program at a ban and at its end.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "action/backend.h"
#include "os/spawner.h"

namespace bandd {

class ExecBackend : public Backend {
  public:
    // Orders that wait for a free place; more are refused (and tried again later).
    static constexpr std::size_t longest_queue = 10'000;

    explicit ExecBackend(Spawner spawner) : spawner_(std::move(spawner)) {}

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId) override { return {}; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return false; }
    bool completes_later() const override { return true; }
    Result<> list(TargetId, const Visit&) override { return {}; }
    int notice_fd() const override { return spawner_.fd(); }
    Notices read_notices() override;

  private:
    struct Job {
        TargetId target = 0;
        BanKey ban;
        Order::Kind kind = Order::Kind::add;
        SpawnRequest request;
    };
    void start_waiting();

    Spawner spawner_;
    std::map<TargetId, TargetSpec> targets_;
    std::deque<Job> waiting_;
    std::map<std::uint64_t, Job> running_;
    std::map<TargetId, int> count_;  // running, by target
    std::vector<Completion> failed_starts_;
    std::uint64_t next_id_ = 1;
};

}  // namespace bandd
