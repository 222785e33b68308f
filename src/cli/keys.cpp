// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keys.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/output.h"

namespace bandd {
namespace {

int keys(const CommonOptions& common, bool as_man_page) {
    if (!common.json) {
        fmt::print("{}", as_man_page ? keys_man() : keys_markdown());
        return exit_done;
    }
    Json list = Json::array();
    for (const KeyHelp& key : all_keys())
        list.push_back({{"section", key.section},
                        {"key", key.name},
                        {"type", key.values},
                        {"default", key.default_value},
                        {"help", key.help}});
    print_json(list);
    return exit_done;
}

}  // namespace

Run keys_command(CommandLine& line) {
    auto as_man_page = std::make_shared<bool>(false);
    line.flag("--man", *as_man_page, "the section KEYS of bandd.yaml(5)");
    return [as_man_page](const CommonOptions& common) { return keys(common, *as_man_page); };
}

}  // namespace bandd
