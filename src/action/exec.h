// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a program at a ban and at its end.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "action/backend.h"
#include "os/fd.h"
#include "programs/programs.h"

namespace bandd {

class ExecBackend : public Backend {
  public:
    // Orders that wait for a free place; more are refused (and tried again later).
    static constexpr std::size_t longest_queue = 10'000;

    // `programs` outlives it.
    static Result<std::unique_ptr<Backend>> create(Programs& programs);

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId) override { return {}; }
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return false; }
    bool completes_later() const override { return true; }
    Result<> list(TargetId, const Visit&) override { return {}; }
    int notice_fd() const override { return ended_.get(); }
    Notices read_notices() override;

  private:
    struct Job {
        TargetId target = 0;
        BanKey ban;
        Order::Kind kind = Order::Kind::add;
        std::string name;  // of the program
        Programs::Number number;
        TagValues values;
    };
    ExecBackend(Programs& programs, Fd ended) : programs_(programs), ended_(std::move(ended)) {}
    Result<Job> make_job(const Order& order, const ConfiguredProgram& program);
    void start_waiting();
    void on_end(std::uint64_t id, const ProgramResult& result);
    void complete(const Job& job, std::optional<Error> error);

    Programs& programs_;
    Fd ended_;  // readable: there are completions
    std::map<TargetId, TargetSpec> targets_;
    std::deque<Job> waiting_;
    std::map<std::uint64_t, Job> running_;
    std::map<TargetId, int> count_;  // running, by target
    std::vector<Completion> completions_;
    std::uint64_t next_id_ = 1;
    // A callback that comes when this is gone does nothing.
    std::shared_ptr<ExecBackend*> self_ = std::make_shared<ExecBackend*>(this);
};

}  // namespace bandd
