// SPDX-License-Identifier: GPL-2.0-or-later
// What programs and other machines ask of bandd: access, accounts, policy, http, remote; and
// geoblock, by which nobody needs to ask.
#pragma once

#include <functional>
#include <string>

#include "config/section.h"
#include "config/types.h"

namespace bandd {

// Paths in the configuration may be relative to it.
using Absolute = std::function<std::string(const std::string& path)>;
void read_endpoints(const Section& root, const Absolute& absolute, Config& config);

// A key that names a program: a list, or a map of run, user and timeout, which are the keys of
// `table`.
AskedProgram read_program(const Section& section, std::string_view key, std::string_view table,
                          const Value& value);

// The users of `access: users_file`, and those of the configuration. Lines that mean nothing are
// reported, and left out.
Result<UsersPlaces> read_users(const AccessConfig& access, std::vector<Error>& bad_lines);

}  // namespace bandd
