// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's definitions as bandd's configuration files.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "import/fail2ban_reader.h"
#include "import/notes.h"

namespace bandd::fail2ban {

// A YAML scalar that is read as this very text.
std::string yaml_text(std::string_view text);
// The same, a text of several lines as such, each after `indent`.
std::string yaml_block(std::string_view text, std::string_view indent);

// What fail2ban's jails are called here. No two become one: a name that bandd takes is kept, and
// whose name would be that of another one gets a number.
using JailNames = std::map<std::string, std::string, std::less<>>;
JailNames bandd_names(std::vector<std::string> jails);

// filters/NAME.yaml. `origin`: where it came from, for the comment.
std::string filter_to_yaml(const FilterDefinition& filter, const std::string& origin);

struct Imported {
    std::map<std::string, std::string> files;  // name below the output directory -> content
    std::set<std::string> secret;              // of them: made of what not everybody could read
    Notes notes;
    std::size_t jails = 0, enabled = 0, filters = 0;
    std::size_t left_out = 0;  // jails that are not enabled
};
Imported to_yaml(const Definitions& definitions, const std::string& origin);

}  // namespace bandd::fail2ban
