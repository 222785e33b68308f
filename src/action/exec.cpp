// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/exec.h"

#include "action/tags.h"

namespace bandd {

void ExecBackend::set_targets(std::vector<TargetSpec> targets) {
    // Jobs carry their whole command, so that a ban's "unban" runs even if its jail is gone. Whom
    // their end should be told nobody knows any more.
    constexpr TargetId nobody = UINT16_MAX;
    for (Job& job : waiting_) job.target = nobody;
    for (auto& [id, job] : running_) job.target = nobody;
    targets_.clear();
    count_.clear();
    for (TargetSpec& target : targets) targets_.emplace(target.id, std::move(target));
}

void ExecBackend::apply(std::span<const Order> orders, std::vector<Failure>& failed) {
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const Order& order = orders[i];
        if (order.kind == Order::Kind::renew) continue;
        const TargetSpec& target = targets_.at(order.target);
        const auto& action = std::get<ExecAction>(target.action);
        const auto& argv = order.kind == Order::Kind::add ? action.ban : action.unban;
        if (argv.empty()) continue;
        if (waiting_.size() >= longest_queue) {
            failed.push_back({i, Error{"exec " + argv.front(),
                                       "too many programs are waiting",
                                       "raise \"parallel\" or make the program faster",
                                       {}}});
            continue;
        }
        Job job{order.target, order.ban->key, order.kind,
                SpawnRequest{next_id_++, {argv.front()}, action.user, action.timeout}};
        for (std::size_t word = 1; word < argv.size(); ++word)
            job.request.argv.push_back(replace_tags(argv[word], *order.ban, target.jail_name));
        waiting_.push_back(std::move(job));
    }
    start_waiting();
}

void ExecBackend::start_waiting() {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        auto target = targets_.find(it->target);
        int most =
            target == targets_.end() ? 1 : std::get<ExecAction>(target->second.action).parallel;
        if (count_[it->target] >= most) {
            ++it;
            continue;
        }
        if (auto started = spawner_.run(it->request); !started)
            failed_starts_.push_back({it->target, it->ban, it->kind, started.error()});
        else {
            ++count_[it->target];
            running_.emplace(it->request.id, std::move(*it));
        }
        it = waiting_.erase(it);
    }
}

Backend::Notices ExecBackend::read_notices() {
    Notices notices;
    notices.completions = std::exchange(failed_starts_, {});
    while (auto result = spawner_.take_result()) {
        auto job = running_.find(result->id);
        if (job == running_.end()) continue;
        --count_[job->second.target];
        Completion completion{job->second.target, job->second.ban, job->second.kind, {}};
        if (!result->ok)
            completion.error =
                Error{"exec " + job->second.request.argv.front(), result->message, {}, {}};
        notices.completions.push_back(std::move(completion));
        running_.erase(job);
    }
    start_waiting();
    return notices;
}

}  // namespace bandd
