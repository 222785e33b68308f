// SPDX-License-Identifier: GPL-2.0-or-later
// The <tags> that the arguments of a program may hold, and what each stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/types.h"

namespace bandd {

enum class TagKind : std::uint8_t {
    jail,     // the jail's name, which the configuration tells
    address,  // 203.0.113.9
    prefix,   // 203.0.113.9/32
    family,   // inet4, inet6
    number,   // whole, 0 or more; -1 for <bantime>: for ever
    country,  // two letters, or nothing
    text,     // one line that a stranger may have chosen
    lines,    // several of them
};

// Nothing: no tag, and the text stays as it is. Names as in fail2ban's actions.
std::optional<TagKind> tag_kind(ProgramTags tags, std::string_view name);

// Names of all tags; those of what a filter captures (<F-…>) are not among them.
std::vector<std::string_view> tag_names(ProgramTags tags);

// The tags whose values must be known to run it, each once. <jail> is not among them.
std::vector<std::string> tags_of(const ConfiguredProgram& program);

// The first argument that can't be an option to the program, whatever it begins with: one after
// "--", or after the text that a shell runs (`sh -c TEXT NAME …`, POSIX sh). The number of
// arguments if there is none.
std::size_t first_operand(const std::vector<std::string>& argv);

// Where the text is that an interpreter runs: the 2 of `perl -e TEXT`, the 3 of `env sh -c TEXT`.
// Nothing for other programs.
std::optional<std::size_t> script_text(const std::vector<std::string>& argv);

// The tag in such a text whose value a stranger may have chosen, and which would be run with it.
std::optional<std::string> tag_that_is_run(const std::vector<std::string>& argv);

// Where the text is that a shell runs: the 2 of `/bin/sh -c TEXT`. Nothing for other programs.
std::optional<std::size_t> shell_text(const std::vector<std::string>& argv);

}  // namespace bandd
