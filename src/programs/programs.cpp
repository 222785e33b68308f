// SPDX-License-Identifier: GPL-2.0-or-later
#include "programs/programs.h"

#include <string_view>
#include <utility>

#include "os/clock.h"

namespace bandd {
namespace {

constexpr std::size_t largest_answer = 4096;

Error other_configuration() {
    return {"bandd-programs",
            "has read another configuration than bandd: it was just changed",
            "run bandctl reload",
            {}};
}

}  // namespace

Programs::Programs(Roles& roles, Loop& loop, OnError on_error)
    : on_error_(std::move(on_error)),
      process_(roles, loop, Role::programs,
               {[this] { take_answers(); }, on_error_, [this] { on_start(); }}) {}

// A process that was started again reads what is there now.
void Programs::on_start() {
    if (preparing_) return;
    reading_ = next_id_++;
    if (auto asked = process_.send(to_packet(ReadRequest{reading_}), now()); !asked)
        on_error_(asked.error());
}

void Programs::close_if_idle() {
    if (!wanted_ && !preparing_ && running_.empty()) process_.close();
}

Result<> Programs::prepare(const Config& fresh) {
    if (!runs_programs(fresh)) return {};
    auto read = read_again();
    if (read && *read != ProgramTable(fresh.programs).generation())
        read = std::unexpected(other_configuration());
    if (read) return {};
    close_if_idle();
    return std::unexpected(read.error());
}

// Of what it has read then.
Result<std::uint64_t> Programs::read_again() {
    preparing_ = true;
    read_.reset();
    reading_ = next_id_++;
    auto asked = process_.send(to_packet(ReadRequest{reading_}), now());
    auto answer = asked ? wait_for_reading() : std::unexpected(asked.error());
    preparing_ = false;
    if (!answer) return std::unexpected(answer.error());
    if (answer->outcome != ProgramAnswer::Outcome::done) return fail(answer->message);
    return answer->generation;
}

// The loop stands still meanwhile, as it does while bandd itself reads the configuration.
Result<ProgramAnswer> Programs::wait_for_reading() {
    Instant end = now() + longest_reading;
    for (Instant at = now(); process_.is_running() && !read_ && at < end; at = now()) {
        process_.wait(end - at);
        take_answers();
    }
    if (!read_) return fail("bandd-programs", "it did not read the configuration");
    return std::move(*std::exchange(read_, {}));
}

void Programs::take(const Config& config) {
    table_ = ProgramTable(config.programs);
    wanted_ = runs_programs(config);
    close_if_idle();
}

std::optional<Programs::Number> Programs::number_of(const ConfiguredProgram& program) const {
    auto index = table_.find(program);
    if (!index) return {};
    return Number{table_.generation(), *index};
}

Result<> Programs::run(Number number, TagValues values, OnEnd on_end) {
    RunRequest request{next_id_++, number.generation, number.index, std::move(values)};
    std::string packet = to_packet(request);
    if (packet.size() > largest_program_request)
        return fail("bandd-programs", "the arguments are over 128 KiB");
    if (auto asked = process_.send(packet, now()); !asked) return asked;
    running_.emplace(request.id, std::move(on_end));
    return {};
}

Result<> Programs::run(const ConfiguredProgram& program, TagValues values, OnEnd on_end) {
    auto number = number_of(program);
    if (!number)
        return fail("run " + program.program.argv.front(), "is not in the table of programs");
    return run(*number, std::move(values), std::move(on_end));
}

std::optional<Instant> Programs::next_deadline() const {
    return wanted_ ? process_.next_start() : std::nullopt;
}

void Programs::on_time(Instant at) {
    auto due = next_deadline();
    if (!due || *due > at) return;
    [[maybe_unused]] auto said_already = process_.start(at);
}

void Programs::take_answers() {
    Instant at = now();
    while (auto packet = process_.receive(largest_answer, at))
        if (auto answer = parse_program_answer(*packet)) take_answer(std::move(*answer));
    if (!process_.is_running()) fail_all(at);
    close_if_idle();
}

void Programs::take_answer(ProgramAnswer answer) {
    if (answer.outcome == ProgramAnswer::Outcome::refused) ++refused_;
    if (answer.id == reading_) return on_reading(std::move(answer));
    auto ended = running_.extract(answer.id);
    if (!ended) return;
    bool ok = answer.outcome == ProgramAnswer::Outcome::done;
    ended.mapped()({ok, std::move(answer.message)}, now());
}

void Programs::on_reading(ProgramAnswer answer) {
    if (preparing_)
        read_ = std::move(answer);
    else if (answer.outcome != ProgramAnswer::Outcome::done)
        on_error_({answer.message, {}, {}, {}});
    else if (answer.generation != table_.generation())
        on_error_(other_configuration());
}

void Programs::fail_all(Instant at) {
    for (auto& [id, on_end] : std::exchange(running_, {}))
        on_end({false, "bandd-programs ended while it ran"}, at);
}

}  // namespace bandd
