// SPDX-License-Identifier: GPL-2.0-or-later
// What is in force, and who said it: the running daemon knows, also what bandctl changed. Without
// one, or with --files, it is what the files say.
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"
#include "config/load.h"
#include "control/settings.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

std::string place_of(const Json& json) {
    if (!json.contains("file")) return "default";
    return text(json, "file") + ":" + text(json, "line");
}

// "bandctl set; else 5, /etc/bandd/bandd.yaml:9"
std::string who_said(const Json& setting) {
    if (!setting.contains("set_by")) return place_of(setting);
    std::string by = text(setting, "set_by");
    if (!setting.contains("configured")) return by;
    return by + "; else " + text(setting, "configured") + ", " + place_of(setting);
}

void print_settings(const Json& settings) {
    std::vector<std::vector<std::string>> rows;
    for (const Json& one : settings)
        rows.push_back({text(one, "key"), text(one, "value"), who_said(one)});
    print_table({"KEY", "VALUE", "SAID BY"}, rows);
}

std::string use_of(const Json& jail) {
    if (jail.value("stopped", false)) return "stopped by bandctl";
    std::string use = text(jail, "use");
    if (use == "idle") return "nothing to read here";
    return use + (jail.value("changed", false) ? ", changed by bandctl" : "");
}

int print(const Json& result) {
    if (result.contains("jail")) {
        print_wrapped("jail {}: {}\n\n", bold(text(result, "jail")), use_of(result));
        print_settings(list(result, "settings"));
        return exit_done;
    }
    print_settings(list(result, "settings"));
    print_wrapped("\n");
    std::vector<std::vector<std::string>> rows;
    for (const Json& jail : list(result, "jails"))
        rows.push_back({text(jail, "jail"), use_of(jail),
                        jail.contains("file") ? place_of(jail) : "always there"});
    print_table({"JAIL", "STATE", "NAMED BY"}, rows);
    return exit_done;
}

int show_files(const CommonOptions& common, const std::string& jail) {
    Loaded loaded = load_config(common.config, data_directories(), read_zone);
    for (const Error& error : loaded.errors) print_error(error);
    if (!loaded.errors.empty()) return exit_usage;
    std::optional<Json> json = settings_to_json(loaded.config);
    if (!jail.empty()) json = settings_to_json(loaded.config, jail);
    if (!json) {
        print_error(no_jail_in_files(loaded.config, jail));
        return exit_said_no;
    }
    if (!common.json) return print(*json);
    print_json(*json);
    return exit_done;
}

}  // namespace

Run config_command(CommandLine& line) {
    auto jail = std::make_shared<std::string>();
    auto files = std::make_shared<bool>(false);
    line.text("jail", *jail, "its keys (default: bandd.yaml's, and the list of jails)");
    line.flag("--files", *files, "what the files say, which may not be loaded yet");
    return [=](const CommonOptions& common) {
        if (*files) return show_files(common, *jail);
        if (is_running(common)) return call(common, "config", {{"jail", *jail}}, print);
        print_error(
            {"bandd", "does not run on this configuration", "this is what its files say", {}});
        return show_files(common, *jail);
    };
}

}  // namespace bandd
