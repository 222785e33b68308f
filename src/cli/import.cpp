// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's configuration to bandd's.
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/command.h"
#include "cli/output.h"
#include "core/base/printable.h"
#include "import/to_yaml.h"

namespace bandd {
namespace fs = std::filesystem;

int run_import(const CommonOptions& common, const ImportOptions& options) {
    auto definitions = fail2ban::read_definitions(options.from, options.all);
    if (!definitions) {
        print_error(definitions.error());
        return exit_usage;
    }
    fail2ban::Imported imported = fail2ban::to_yaml(*definitions, options.from);
    if (imported.jails == 0) {
        for (const std::string& note : imported.notes) fmt::print("note: {}\n", printable(note));
        print_error({"\"" + options.from + "\"",
                     "has no jail that could be carried over",
                     "take those that are not enabled with --all",
                     {}});
        return exit_said_no;
    }
    std::error_code fault;
    if (!options.force && fs::exists(options.to, fault) && !fs::is_empty(options.to, fault)) {
        print_error({"\"" + options.to + "\"",
                     "is there and not empty",
                     "name another directory with --to DIR, or write over it with --force",
                     {}});
        return exit_usage;
    }
    for (const auto& [name, text] : imported.files) {
        fs::path path = fs::path(options.to) / name;
        fs::create_directories(path.parent_path(), fault);
        std::ofstream out(path, std::ios::binary);
        out << text;
        out.close();
        if (!out) {
            print_error({"cannot write \"" + path.string() + "\"", std::strerror(errno), {}, {}});
            return exit_said_no;
        }
    }
    if (common.json) {
        print_json({{"to", options.to},
                    {"jails", imported.jails},
                    {"enabled", imported.enabled},
                    {"filters", imported.filters},
                    {"notes", imported.notes}});
        return exit_done;
    }
    for (const std::string& note : imported.notes) fmt::print("note: {}\n", printable(note));
    fmt::print("{} ({} enabled) and {} written to {}\n", count_of(imported.jails, "jail"),
               imported.enabled, count_of(imported.filters, "filter"), printable(options.to));
    fmt::print("next: bandctl check {0}; then bandd --config {0}, or move it to /etc/bandd\n",
               printable(options.to));
    return exit_done;
}

}  // namespace bandd
