// SPDX-License-Identifier: GPL-2.0-or-later
// Files to Config. All faults of a configuration are found at once, and nothing of it is used if
// there is one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/document.h"
#include "config/filter_file.h"
#include "config/types.h"

namespace bandd {

// A zone by name ("" is the machine's own). Given by the caller, as reading zone files is `os/`.
using ZoneReader = std::function<Result<Zone>(const std::string& name)>;

struct Loaded {
    Config config;
    std::vector<Error> errors;    // the configuration can't be used
    std::vector<Error> warnings;  // it can, but: patterns through which hosts can be forged, …
};

// Jails with `enabled: auto` that have nothing to read on this machine.
enum class IdleJails : std::uint8_t { leave_out, keep };

// `path` is a directory with bandd.yaml (optional) and jails/, or a file in place of bandd.yaml.
// Filters and actions are looked for beside it, then in `data_directories`.
Loaded load_config(const std::string& path, const std::vector<std::string>& data_directories,
                   const ZoneReader& read_zone, Samples samples = Samples::skip,
                   IdleJails idle = IdleJails::leave_out);

// A file that is to be put into the configuration: in place of bandd.yaml, or jails in place of
// those of the same names.
struct Candidate {
    enum class For : std::uint8_t { configuration, jails };
    For place = For::configuration;
    std::string file;
};
// What the configuration would be with it. That need not exist yet.
Loaded load_config_with(const Candidate& candidate, const std::string& path,
                        const std::vector<std::string>& data_directories,
                        const ZoneReader& read_zone, Samples samples);

// Only what bandd.yaml and jails/ say: no filter is read, no zone, no database. For the parts of
// bandd that stay root, which need no more: programs, sockets. `read` gives the text of each file.
std::expected<Config, std::vector<Error>> load_keys(
    const std::string& path, const std::vector<std::string>& data_directories,
    const TextReader& read);

// Installed data, $BANDD_DATA, and the source tree that the program was built in.
std::vector<std::string> data_directories();

}  // namespace bandd
