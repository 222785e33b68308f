// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {

Run version_command(CommandLine&) {
    return [](const CommonOptions& common) {
        // Without a daemon, too.
        if (!common.json) print_wrapped("bandctl {}\n", BANDD_VERSION);
        return call(common, "version", Json::object(), [](const Json& result) -> int {
            print_wrapped("bandd {}\n", text(result, "version"));
            return exit_done;
        });
    };
}

}  // namespace bandd
