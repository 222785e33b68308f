// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/answerer.h"

#include <algorithm>

#include "action/tags.h"
#include "os/clock.h"

namespace bandd {
namespace {

// What is no longer true goes; if that is not enough, everything does.
template <class Map, class Spare>
void make_room(Map& map, std::size_t most, Instant now, Spare&& spare) {
    if (map.size() < most) return;
    std::erase_if(map,
                  [&](const auto& entry) { return entry.second.until <= now && !spare(entry); });
    if (map.size() >= most) std::erase_if(map, [&](const auto& entry) { return !spare(entry); });
}

}  // namespace

Answerer::Answerer(Roles& roles, Loop& loop, const std::string& dns_servers, Programs& programs,
                   OnError on_error)
    : resolver_(
          roles, loop, dns_servers, [this] { on_resolver(now()); }, on_error),
      programs_(programs),
      on_error_(std::move(on_error)) {}

void Answerer::configure(const Config& config) {
    jails_.clear();
    for (const JailConfig& jail : config.jails)
        jails_.push_back({jail.ignore_names, ignore_program(jail)});
    ++configuration_;
    verdicts_.clear();
    running_ = 0;
    to_run_or_running_.clear();
    to_run_.clear();
    answers_.clear();
    for (auto& [name, entry] : names_) entry.waiting.clear();
}

void Answerer::answer(const Question& question, std::vector<Address> addresses, bool exempt,
                      std::string hostname) {
    answers_.push_back({question, std::move(addresses), exempt, std::move(hostname)});
}

std::optional<Answer> Answerer::next_answer() {
    if (answers_.empty()) return {};
    Answer next = std::move(answers_.front());
    answers_.pop_front();
    return next;
}

void Answerer::ask(const Question& question, Instant now) { go_on(question, now); }

const Answerer::Name* Answerer::find_name(const std::string& name, const Question& question,
                                          Instant now) {
    auto known = names_.find(name);
    if (known != names_.end() && known->second.look_up == 0 && known->second.until > now) {
        ++counts_.from_memory;
        return &known->second;
    }
    if (known == names_.end()) {
        make_room(names_, most_remembered, now,
                  [](const auto& entry) { return entry.second.look_up != 0; });
        known = names_.emplace(name, Name{}).first;
    }
    Name& entry = known->second;
    entry.waiting.insert(question);
    if (entry.look_up == 0) {
        entry.look_up = next_look_up_++;
        to_look_up_.push_back(name);
        start_look_ups(now);
    }
    return nullptr;
}

void Answerer::start_look_ups(Instant now) {
    while (!to_look_up_.empty() && looking_up_.size() < most_look_ups) {
        const std::string& name = to_look_up_.front();
        std::uint64_t id = names_.at(name).look_up;
        auto asked = name.starts_with('@')
                         ? resolver_.look_up(id, parse_address(name.substr(1)).value(), now)
                         : resolver_.look_up(id, name, now);
        if (!asked) break;
        ++counts_.look_ups;
        looking_up_.emplace(id, name);
        to_look_up_.pop_front();
    }
    if (to_look_up_.size() <= most_waiting + most_look_ups) return;
    auto waiting = std::exchange(to_look_up_, {});
    give_up({waiting.begin(), waiting.end()}, now);
}

std::optional<Instant> Answerer::next_deadline() const {
    return to_look_up_.empty() ? std::nullopt : resolver_.next_start();
}

// These have no answer.
void Answerer::give_up(std::vector<std::string> names, Instant now) {
    for (const std::string& name : names) learn({}, name, now);
}

void Answerer::learn(LookUpResult result, const std::string& name, Instant now) {
    auto known = names_.find(name);
    if (known == names_.end()) return;
    Name& entry = known->second;
    entry.look_up = 0;
    bool nothing = result.addresses.empty() && result.name.empty();
    entry.until = now + (nothing ? failure_memory : name_memory);
    if (nothing) ++counts_.unanswered;
    // A name server that is away makes nobody's exemption end.
    entry.old = nothing;
    if (!nothing) {
        entry.addresses = std::move(result.addresses);
        entry.hostname = std::move(result.name);
    }
    for (const Question& question : std::exchange(entry.waiting, {})) go_on(question, now);
}

void Answerer::on_resolver(Instant now) {
    while (auto result = resolver_.take_result(now)) {
        auto asked = looking_up_.find(result->id);
        if (asked == looking_up_.end()) continue;
        std::string name = asked->second;
        looking_up_.erase(asked);
        learn(std::move(*result), name, now);
    }
    if (std::exchange(resolver_ends_, resolver_.ends()) != resolver_.ends()) {
        std::vector<std::string> names;
        for (const auto& [id, name] : std::exchange(looking_up_, {})) names.push_back(name);
        give_up(std::move(names), now);
    }
    start_look_ups(now);
}

void Answerer::go_on(const Question& question, Instant now) {
    if (question.kind != Question::Kind::exempt) {
        bool of_address = question.kind == Question::Kind::hostname;
        std::string name = of_address ? "@" + to_string(question.address) : question.name;
        const Name* found = find_name(name, question, now);
        if (found == nullptr) return;
        if (found->old) return answer(question, {}, false);
        return answer(question, found->addresses, false, found->hostname);
    }
    const Exemptions& exemptions = jails_[question.jail];
    bool all_known = true;
    std::vector<Address> exempt;
    for (const std::string& name : exemptions.names) {
        const Name* found = find_name(name, question, now);
        all_known = all_known && found != nullptr;
        if (found != nullptr &&
            std::ranges::find(found->addresses, question.address) != found->addresses.end())
            return answer(question, {}, true);
        if (found != nullptr)
            exempt.insert(exempt.end(), found->addresses.begin(), found->addresses.end());
    }
    if (!all_known) return;
    if (exemptions.program.program.argv.empty()) return answer(question, std::move(exempt), false);
    auto verdict = verdicts_.find(question);
    if (verdict != verdicts_.end() && verdict->second.until > now) {
        ++counts_.from_memory;
        return answer(question, {}, verdict->second.exempt);
    }
    if (!to_run_or_running_.insert(question).second) return;
    to_run_.push_back(question);
    start_programs(now);
}

void Answerer::start_programs(Instant now) {
    while (!to_run_.empty() && running_ < most_programs) {
        Question question = to_run_.front();
        to_run_.pop_front();
        const ConfiguredProgram& program = jails_[question.jail].program;
        Ban subject;
        subject.key.prefix = make_prefix(question.address, question.address.bits());
        subject.from = now;
        auto on_end = [this, question, asked_by = configuration_](const ProgramResult& result,
                                                                  Instant at) {
            if (asked_by == configuration_) on_program_end(question, result, at);
        };
        auto started = programs_.run(program, tag_values(program, subject), on_end);
        if (!started) {
            on_error_(started.error());
            to_run_or_running_.erase(question);
            answer(question, {}, false);
            continue;
        }
        ++counts_.programs;
        ++running_;
    }
}

void Answerer::on_program_end(const Question& question, const ProgramResult& result, Instant now) {
    --running_;
    to_run_or_running_.erase(question);
    const std::string& program = jails_[question.jail].program.program.argv.front();
    // "exit code 1" is an answer; what did not run, or not to its end, is none.
    bool answered = result.ok || (result.message.starts_with("exit code") &&
                                  !result.message.starts_with("exit code 127"));
    if (!answered && said_.insert(program).second)
        on_error_({"ignorecommand " + program,
                   result.message,
                   "until it answers, addresses are banned without asking it",
                   {}});
    if (answered) said_.erase(program);
    make_room(verdicts_, most_remembered, now, [](const auto&) { return false; });
    if (answered) verdicts_.insert_or_assign(question, Verdict{result.ok, now + verdict_memory});
    answer(question, {}, result.ok);
    start_programs(now);
}

}  // namespace bandd
