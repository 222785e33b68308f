// SPDX-License-Identifier: GPL-2.0-or-later
// Every key of the configuration with its help text. The keys are declared in tables beside what
// reads them: bandd.yaml's in root.cpp, a jail's in jail.cpp, a filter's in filter_file.cpp, …
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bandd {

struct KeyHelp {
    std::string_view section;  // "bandd.yaml", "jail", "filter", "action nftables", …
    std::string_view name;
    std::string values;         // what it takes: "duration", "1 to 1000"
    std::string default_value;  // empty: there is none
    std::string_view help;
};
std::vector<KeyHelp> all_keys();

// The reference as Markdown (docs/configuration.md), and as the section KEYS of bandd.yaml(5).
std::string keys_markdown();
std::string keys_man();

}  // namespace bandd
