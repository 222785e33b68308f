// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/exec.h"

#include <sys/eventfd.h>

#include "action/tags.h"

namespace bandd {

Result<std::unique_ptr<Backend>> ExecBackend::create(Programs& programs) {
    Fd ended(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!ended) return fail_errno("eventfd");
    return std::unique_ptr<Backend>(new ExecBackend(programs, std::move(ended)));
}

void ExecBackend::set_targets(std::vector<TargetSpec> targets) {
    // Jobs carry all that they need, so that a ban's "unban" runs even if its jail is gone. Whom
    // their end should be told nobody knows any more.
    constexpr TargetId nobody = UINT16_MAX;
    for (Job& job : waiting_) job.target = nobody;
    for (auto& [id, job] : running_) job.target = nobody;
    targets_.clear();
    count_.clear();
    count_[nobody] = static_cast<int>(running_.size());
    for (TargetSpec& target : targets) targets_.emplace(target.id, std::move(target));
}

Result<ExecBackend::Job> ExecBackend::make_job(const Order& order,
                                               const ConfiguredProgram& program) {
    const std::string& name = program.program.argv.front();
    if (waiting_.size() >= longest_queue)
        return fail("exec " + name, "too many programs are waiting",
                    "raise \"parallel\" or make the program faster");
    auto number = programs_.number_of(program);
    if (!number) return fail("exec " + name, "is not in the table of programs");
    return Job{order.target, order.ban->key, order.kind,
               name,         *number,        tag_values(program, *order.ban)};
}

void ExecBackend::apply(std::span<const Order> orders, std::vector<Failure>& failed) {
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const Order& order = orders[i];
        if (order.kind == Order::Kind::renew) continue;
        const TargetSpec& target = targets_.at(order.target);
        const auto& action = std::get<ExecAction>(target.action);
        ConfiguredProgram program = order.kind == Order::Kind::add
                                        ? ban_program(action, target.jail_name)
                                        : unban_program(action, target.jail_name);
        if (program.program.argv.empty()) continue;
        if (auto job = make_job(order, program))
            waiting_.push_back(std::move(*job));
        else
            failed.push_back({i, job.error()});
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
        Job job = std::move(*it);
        it = waiting_.erase(it);
        std::uint64_t id = next_id_++;
        auto on_program_end = [self = std::weak_ptr(self_), id](const ProgramResult& result,
                                                                Instant) {
            if (auto backend = self.lock()) (*backend)->on_end(id, result);
        };
        if (auto started = programs_.run(job.number, job.values, on_program_end); !started) {
            complete(job, started.error());
            continue;
        }
        job.values.clear();
        ++count_[job.target];
        running_.emplace(id, std::move(job));
    }
}

void ExecBackend::on_end(std::uint64_t id, const ProgramResult& result) {
    auto job = running_.extract(id);
    if (!job) return;
    --count_[job.mapped().target];
    std::optional<Error> error;
    if (!result.ok) error = Error{"exec " + job.mapped().name, result.message, {}, {}};
    complete(job.mapped(), std::move(error));
    start_waiting();
}

void ExecBackend::complete(const Job& job, std::optional<Error> error) {
    completions_.push_back({job.target, job.ban, job.kind, std::move(error)});
    std::uint64_t one = 1;
    [[maybe_unused]] auto ignored = ::write(ended_.get(), &one, sizeof one);
}

Backend::Notices ExecBackend::read_notices() {
    std::uint64_t count = 0;
    [[maybe_unused]] auto ignored = ::read(ended_.get(), &count, sizeof count);
    Notices notices;
    notices.completions = std::exchange(completions_, {});
    return notices;
}

}  // namespace bandd
