// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {

Run reload_command(CommandLine&) {
    return [](const CommonOptions& common) {
        return call(common, "reload", Json::object(), [](const Json& result) -> int {
            print_wrapped("loaded: {}\n", count(result, "jails", "jail"));
            std::string keys;
            for (const Json& key : list(result, "needs_restart"))
                keys += (keys.empty() ? "" : ", ") + key.get<std::string>();
            if (!keys.empty())
                print_wrapped("{}\n", yellow(keys + ": restart bandd to have the new values"));
            return exit_done;
        });
    };
}

}  // namespace bandd
