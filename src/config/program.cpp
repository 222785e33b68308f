// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/program.h"

#include "config/capabilities.h"
#include "config/program_tags.h"
#include "core/base/suggest.h"

namespace bandd {

const Table<ProgramConfig>& ignorecommand_keys() {
    static const Table<ProgramConfig> table{
        "ignorecommand",
        {
            key::argv("run", &ProgramConfig::argv, "what is asked"),
            key::text("user", &ProgramConfig::user, "user name", key::program_user_help),
            key::capabilities(&ProgramConfig::capabilities),
            key::duration("timeout", &ProgramConfig::timeout,
                          "then the program is killed, and the address banned"),
        }};
    return table;
}

const Table<ProgramConfig>& accounts_action_keys() {
    static const Table<ProgramConfig> table{
        "accounts action",
        {
            key::argv("run", &ProgramConfig::argv, "what is run"),
            key::text("user", &ProgramConfig::user, "user name", key::program_user_help),
            key::capabilities(&ProgramConfig::capabilities),
            key::duration("timeout", &ProgramConfig::timeout, "then the program is killed"),
        }};
    return table;
}

std::vector<std::string> read_argv(const Field& field) {
    std::vector<std::string> argv;
    if (field.value().kind != Value::Kind::list) {
        field.error_without_value("must be a list: program and arguments",
                                  "there is no shell; write [/usr/bin/program, \"<ip>\"]");
        return argv;
    }
    for (const Value* word : field.words()) argv.push_back(word->text);
    if (argv.empty() || !argv.front().starts_with('/'))
        field.error("the program must be an absolute path");
    else if (argv.front().find('<') != std::string::npos)
        field.error("the program itself can't hold a <tag>");
    if (auto tag = tag_that_is_run(argv))
        field.error_without_value(
            "would run what a stranger writes: <" + *tag + "> is in the text that " + argv.front() +
                " runs",
            "write \"$1\" there (sh), and give <" + *tag + "> as an argument after the text");
    return argv;
}

std::optional<Capabilities> read_capabilities(const Field& field) {
    Capabilities all = 0;
    for (const Value* word : field.words()) {
        auto capability = capability_number(word->text);
        if (!capability) {
            field.error(*word, "is no capability of Linux",
                        did_you_mean(word->text, capability_names));
            return {};
        }
        all |= Capabilities{1} << *capability;
    }
    return all;
}

ProgramConfig read_program(const Field& field, const Table<ProgramConfig>& table) {
    ProgramConfig program;
    if (field.value().kind != Value::Kind::map) {
        program.argv = read_argv(field);
        return program;
    }
    table.read(field.value(), std::string(table.name()), field.reading(), program);
    const Value* run = field.value().find("run");
    if (run == nullptr || run->kind == Value::Kind::null)
        field.error("has nothing to run", "give \"run: [/usr/bin/program, <ip>]\"");
    return program;
}

}  // namespace bandd
