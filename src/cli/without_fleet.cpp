// SPDX-License-Identifier: GPL-2.0-or-later
// `bandctl fleet` of a build without TLS.
#include "cli/command.h"
#include "cli/output.h"

namespace bandd {

Run fleet_command(CommandLine& line) {
    static std::vector<std::string> words;
    line.texts("what", words, "not in this build");
    return [](const CommonOptions&) {
        print_error({"fleet",
                     "needs TLS, and this bandctl was built without it",
                     "build bandd without -DBANDD_MINIMAL=ON",
                     {}});
        return exit_usage;
    };
}

}  // namespace bandd
