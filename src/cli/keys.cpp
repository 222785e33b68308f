// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keys.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"

namespace bandd {
namespace {

int keys(const CommonOptions& common) {
    if (!common.json) {
        fmt::print("{}", keys_markdown());
        return exit_done;
    }
    Json list = Json::array();
    for (const Key& key : all_keys())
        list.push_back({{"section", key.section},
                        {"key", key.name},
                        {"type", key.type},
                        {"default", key.fallback},
                        {"help", key.help}});
    print_json(list);
    return exit_done;
}

}  // namespace

Run keys_command(CommandLine&) { return keys; }

}  // namespace bandd
