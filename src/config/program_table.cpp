// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/program_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/dump.h"
#include "core/base/hash.h"

namespace bandd {
namespace {

void put_program(std::string& out, const ConfiguredProgram& one) {
    put(out, static_cast<std::int64_t>(one.tags));
    put(out, one.jail);
    put(out, static_cast<std::int64_t>(one.program.argv.size()));
    for (const std::string& word : one.program.argv) put(out, word);
    put(out, one.program.user);
    put(out, one.program.capabilities ? std::to_string(*one.program.capabilities) : "");
    put(out, one.program.timeout.count());
}

ConfiguredProgram of_action(const ExecAction& action, const std::vector<std::string>& argv,
                            const std::string& jail) {
    return {ProgramTags::ban, jail, {argv, action.user, action.capabilities, action.timeout}};
}

void add(ConfiguredProgram program, std::vector<ConfiguredProgram>& programs) {
    if (!program.program.argv.empty()) programs.push_back(std::move(program));
}

}  // namespace

ProgramTable::ProgramTable(std::vector<ConfiguredProgram> programs)
    : programs_(std::move(programs)) {
    std::ranges::sort(programs_);
    auto doubles = std::ranges::unique(programs_);
    programs_.erase(doubles.begin(), doubles.end());
    std::string content;
    for (const ConfiguredProgram& program : programs_) put_program(content, program);
    generation_ = hash64(content);
}

const ConfiguredProgram* ProgramTable::at(std::uint32_t index) const {
    return index < programs_.size() ? &programs_[index] : nullptr;
}

std::optional<std::uint32_t> ProgramTable::find(const ConfiguredProgram& program) const {
    auto found = std::ranges::lower_bound(programs_, program);
    if (found == programs_.end() || *found != program) return {};
    return static_cast<std::uint32_t>(found - programs_.begin());
}

ConfiguredProgram ban_program(const ExecAction& action, const std::string& jail) {
    return of_action(action, action.ban, jail);
}

ConfiguredProgram unban_program(const ExecAction& action, const std::string& jail) {
    return of_action(action, action.unban, jail);
}

ConfiguredProgram ignore_program(const JailConfig& jail) {
    return {ProgramTags::ban, jail.rules.name, jail.ignorecommand};
}

ConfiguredProgram account_program(const AccessConfig& access) {
    return {ProgramTags::account, {}, access.action};
}

void add_programs(const JailConfig& jail, std::vector<ConfiguredProgram>& programs) {
    for (const ActionConfig& action : jail.actions)
        if (const auto* exec = std::get_if<ExecAction>(&action)) {
            add(ban_program(*exec, jail.rules.name), programs);
            add(unban_program(*exec, jail.rules.name), programs);
        }
    add(ignore_program(jail), programs);
}

void add_programs(const AccessConfig& access, std::vector<ConfiguredProgram>& programs) {
    add(account_program(access), programs);
}

bool runs_programs(const Config& config) {
    std::vector<ConfiguredProgram> programs;
    for (const JailConfig& jail : config.jails) add_programs(jail, programs);
    add_programs(config.access, programs);
    return !programs.empty();
}

}  // namespace bandd
