// SPDX-License-Identifier: GPL-2.0-or-later
// <ip>, <jail>, <bantime> … in texts and arguments of actions.
#pragma once

#include <string>
#include <string_view>

#include "config/types.h"
#include "core/decide/decision.h"
#include "programs/request.h"

namespace bandd {

// Replaces: <ip> <prefix> <family> <jail> <bantime> (seconds, -1 for ever) <failures> <time>
// (epoch) <bancount> <reason> <matches> (lines, joined by newlines) and <F-NAME> for every field
// captured. Names as in fail2ban's actions. An unknown tag stays as it is. Hostile text is put in
// as it is: the result is one log line.
std::string replace_tags(std::string_view text, const Ban& ban, std::string_view jail);

// What the tags of a program stand for, at this ban. Text of strangers is made printable.
TagValues tag_values(const ConfiguredProgram& program, const Ban& ban);

}  // namespace bandd
