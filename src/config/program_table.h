// SPDX-License-Identifier: GPL-2.0-or-later
// The programs of a configuration, numbered. bandd and bandd-programs each make the table from the
// same files: then a number means the same program to both.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/types.h"

namespace bandd {

class ProgramTable {
  public:
    ProgramTable() = default;
    // In any order; a program that is named twice is one.
    explicit ProgramTable(std::vector<ConfiguredProgram> programs);

    // Follows from all of the content, and from nothing else: a hash.
    std::uint64_t generation() const { return generation_; }
    std::size_t size() const { return programs_.size(); }
    // nullptr: there is no such number.
    const ConfiguredProgram* at(std::uint32_t index) const;
    std::optional<std::uint32_t> find(const ConfiguredProgram& program) const;

  private:
    std::vector<ConfiguredProgram> programs_;  // in order
    std::uint64_t generation_ = 0;
};

// What an action runs at a ban, and at its end. An empty argv: nothing.
ConfiguredProgram ban_program(const ExecAction& action, const std::string& jail);
ConfiguredProgram unban_program(const ExecAction& action, const std::string& jail);
ConfiguredProgram ignore_program(const JailConfig& jail);
ConfiguredProgram account_program(const AccessConfig& access);

// Those that the jail names; also for the jail `manual`.
void add_programs(const JailConfig& jail, std::vector<ConfiguredProgram>& programs);
void add_programs(const AccessConfig& access, std::vector<ConfiguredProgram>& programs);

// There is a program that may have to run: of a jail that is there, or of `accounts`.
bool runs_programs(const Config& config);

}  // namespace bandd
