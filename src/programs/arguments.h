// SPDX-License-Identifier: GPL-2.0-or-later
// A program's arguments, with the values of their tags. This is where bandd-programs refuses what
// bandd may not ask for.
#pragma once

#include <string>
#include <vector>

#include "config/program_tags.h"
#include "config/types.h"
#include "core/base/result.h"
#include "programs/request.h"

namespace bandd {

// A value is what its tag may hold: an address, a number …; text without control characters (but
// line ends in <matches>) and of at most `longest_value` bytes.
bool is_value(TagKind kind, std::string_view value);

// Any text as a value of that kind: control characters are shown by number, the end is cut off.
std::string as_value(TagKind kind, std::string_view text);

// The arguments. Refused: values that are no values of their tags, that are missing, or that no tag
// of the program wants; a word that begins with "-" only because of a value, where the program
// could take it for an option (`first_operand`). <bantime> may be -1.
Result<std::vector<std::string>> arguments_of(const ConfiguredProgram& program,
                                              const TagValues& values);

}  // namespace bandd
