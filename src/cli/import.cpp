// SPDX-License-Identifier: GPL-2.0-or-later
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

namespace {

struct Options {
    std::string from = "/etc/fail2ban", to = "/etc/bandd";
    bool all = false, force = false;
};

void print_notes(const std::vector<std::string>& notes) {
    for (const std::string& note : notes) fmt::print("note: {}\n", printable(note));
}

Result<> write_files(const std::map<std::string, std::string>& files, const fs::path& directory) {
    for (const auto& [name, text] : files) {
        fs::path path = directory / name;
        std::error_code fault;
        fs::create_directories(path.parent_path(), fault);
        std::ofstream out(path, std::ios::binary);
        out << text;
        out.close();
        if (!out) return fail("cannot write \"" + path.string() + "\"", std::strerror(errno));
    }
    return {};
}

int import_fail2ban(const CommonOptions& common, const Options& options) {
    auto definitions = fail2ban::read_definitions(options.from, options.all);
    if (!definitions) {
        print_error(definitions.error());
        return exit_usage;
    }
    fail2ban::Imported imported = fail2ban::to_yaml(*definitions, options.from);
    if (imported.jails == 0) {
        print_notes(imported.notes);
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
    if (auto written = write_files(imported.files, options.to); !written) {
        print_error(written.error());
        return exit_said_no;
    }
    if (common.json) {
        print_json({{"to", options.to},
                    {"jails", imported.jails},
                    {"enabled", imported.enabled},
                    {"filters", imported.filters},
                    {"notes", imported.notes}});
        return exit_done;
    }
    print_notes(imported.notes);
    fmt::print("{} ({} enabled) and {} written to {}\n", count_of(imported.jails, "jail"),
               imported.enabled, count_of(imported.filters, "filter"), printable(options.to));
    fmt::print("next: bandctl check {0}; then bandd --config {0}, or move it to /etc/bandd\n",
               printable(options.to));
    return exit_done;
}

}  // namespace

Run import_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    auto what = std::make_shared<std::string>();
    line.choice("what", *what, {"fail2ban"}, "fail2ban", Must::be_given);
    line.text("--from", options->from, "its configuration directory");
    line.text("--to", options->to, "where bandd's is written");
    line.flag("-a,--all", options->all, "jails that are not enabled, too");
    line.flag("--force", options->force, "write over what is there");
    return
        [options, what](const CommonOptions& common) { return import_fail2ban(common, *options); };
}

}  // namespace bandd
