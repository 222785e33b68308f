// SPDX-License-Identifier: GPL-2.0-or-later
// Answers the engine's questions: by the resolver (host names), and by programs (ignorecommand).
// Nothing here waits: a question goes to a helper process, its answer comes by a later turn. (What
// others want to know of bandd are requests: see endpoints.h and commands.h.)
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/types.h"
#include "core/decide/question.h"
#include "os/resolver.h"
#include "programs/programs.h"

namespace bandd {

struct AnswererCounts {
    std::uint64_t look_ups = 0;
    std::uint64_t unanswered = 0;  // names that have no address, or whose servers kept silent
    std::uint64_t programs = 0;
    std::uint64_t from_memory = 0;
};

class Answerer {
  public:
    // How long an answer is taken for true; fail2ban's cache holds names as long.
    static constexpr Duration name_memory = std::chrono::minutes(5);
    static constexpr Duration failure_memory = std::chrono::minutes(1);
    static constexpr Duration verdict_memory = std::chrono::minutes(1);
    // Names and verdicts remembered; then the oldest answers are asked for anew.
    static constexpr std::size_t most_remembered = 10'000;
    static constexpr std::size_t most_look_ups = 64;  // under way at one time
    static constexpr std::size_t most_programs = 4;   // the same
    // Names that wait for a resolver that has ended to be started again; more have no answer.
    static constexpr std::size_t most_waiting = 1000;

    using OnError = std::function<void(const Error&)>;
    Answerer(Roles& roles, Loop& loop, const std::string& dns_servers, Programs& programs,
             OnError on_error);

    // What exempts addresses, by jail. Forgets what was under way: the engine asks again
    // (`Engine::questions`).
    void configure(const Config& config);
    void ask(const Question& question, Instant now);

    // A resolver that has ended may be started again then, for what waits for it.
    std::optional<Instant> next_deadline() const;
    void on_time(Instant now) { start_look_ups(now); }

    std::optional<Answer> next_answer();
    bool has_answers() const { return !answers_.empty(); }
    const AnswererCounts& counts() const { return counts_; }

  private:
    struct Name {  // a host's, or "@" and an address whose name is asked for
        std::vector<Address> addresses;
        std::string hostname;  // of the address
        bool old = false;      // of the time before the servers fell silent
        Instant until;         // before, it is not asked again
        std::uint64_t look_up = 0;
        std::set<Question> waiting;
    };
    struct Verdict {
        bool exempt = false;
        Instant until;
    };
    struct Exemptions {
        std::vector<std::string> names;
        ConfiguredProgram program;
    };
    // If it is known; else `question` goes on when it is.
    const Name* find_name(const std::string& name, const Question& question, Instant now);
    void go_on(const Question& question, Instant now);
    void on_resolver(Instant now);
    void start_look_ups(Instant now);
    void give_up(std::vector<std::string> names, Instant now);
    void start_programs(Instant now);
    void on_program_end(const Question& question, const ProgramResult& result, Instant now);
    void learn(LookUpResult result, const std::string& name, Instant now);
    void answer(const Question& question, std::vector<Address> addresses, bool exempt,
                std::string hostname = {});

    Resolver resolver_;
    std::uint64_t resolver_ends_ = 0;  // seen
    Programs& programs_;
    OnError on_error_;
    std::vector<Exemptions> jails_;
    std::map<std::string, Name> names_;
    std::map<std::uint64_t, std::string> looking_up_;
    std::deque<std::string> to_look_up_;
    std::map<Question, Verdict> verdicts_;
    std::set<Question> to_run_or_running_;
    std::deque<Question> to_run_;
    std::deque<Answer> answers_;
    std::set<std::string> said_;  // programs whose failure was told
    std::uint64_t next_look_up_ = 1;
    std::size_t running_ = 0;          // programs of this configuration
    std::uint64_t configuration_ = 0;  // counts them; what an earlier one asked for is not wanted
    AnswererCounts counts_;
};

}  // namespace bandd
