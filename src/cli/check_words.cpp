// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/check_words.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <set>

#include "config/program_table.h"
#include "config/program_tags.h"
#include "core/base/suggest.h"
#include "core/base/tags.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

// A program of the configuration, and how to call it in a message.
struct Named {
    std::string what;
    ConfiguredProgram program;
    Place where;
};

std::vector<Named> programs_of(const Config& config) {
    std::vector<Named> programs;
    auto add = [&](std::string what, ConfiguredProgram program, const Place& where) {
        if (!program.program.argv.empty())
            programs.push_back({std::move(what), std::move(program), where});
    };
    for (const JailConfig& jail : config.jails) {
        std::string what = "jail \"" + jail.rules.name + "\", ";
        for (const ActionConfig& action : jail.actions)
            if (const auto* exec = std::get_if<ExecAction>(&action)) {
                add(what + "action exec", ban_program(*exec, jail.rules.name), jail.where);
                add(what + "action exec", unban_program(*exec, jail.rules.name), jail.where);
            }
        add(what + "ignorecommand", ignore_program(jail), jail.where);
    }
    add("accounts: action", account_program(config.access), config.access.accounts_where);
    return programs;
}

// "ip" of "<ip>": what looks like a tag, and not like a shell's "<file" or HTML's "</p>".
std::vector<std::string> tags_in(const std::string& text) {
    std::vector<std::string> tags;
    fill_in_tags(text, [&](std::string_view name) -> std::optional<std::string> {
        bool word = !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0 &&
                    std::ranges::all_of(name, [](unsigned char c) {
                        return std::isalnum(c) != 0 || c == '-' || c == '_';
                    });
        if (!word) return {};
        tags.emplace_back(name);
        return "";
    });
    return tags;
}

Error unknown_tag(const std::string& what, const std::string& tag, ProgramTags kind,
                  const Place& where) {
    std::vector<std::string_view> known = tag_names(kind);
    std::string near = did_you_mean(tag, known);
    if (near.empty()) {
        near = "there are";
        for (std::string_view name : known) near += " <" + std::string(name) + ">";
        if (kind == ProgramTags::ban) near += ", and <F-NAME> of what the filter captures";
    }
    return {what, "nothing fills in <" + tag + ">, which stays as it is", near, where};
}

// "${NAME" up to the end of the name; nothing if there is none.
std::string variable_in(std::string_view text) {
    for (auto at = text.find("${"); at != text.npos; at = text.find("${", at + 1)) {
        auto end = at + 2;
        while (end < text.size() &&
               (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
            ++end;
        bool is_name = end > at + 2 && std::isdigit(static_cast<unsigned char>(text[at + 2])) == 0;
        if (is_name && end < text.size() && (text[end] == '}' || text[end] == ':'))
            return std::string(text.substr(at, text.find('}', at) - at)) + "}";
    }
    return {};
}

}  // namespace

void find_passed_over(const std::string& directory, std::vector<Error>& errors) {
    for (const char* place : {"/bandd", "/jails/*", "/filters/*", "/actions/*"})
        for (const char* ending : {".[yY][mM][lL]", ".[yY][aA][mM][lL]"})
            for (const std::string& file : glob_files(directory + place + ending)) {
                if (file.ends_with(".yaml")) continue;
                errors.push_back({"\"" + fs::path(file).filename().string() + "\"",
                                  "is passed over: only files that end in .yaml are read",
                                  "name it " + fs::path(file).stem().string() + ".yaml",
                                  {file, 0, 0}});
            }
}

void find_inner_configurations(const std::string& directory, std::vector<Error>& warnings) {
    for (const std::string& file : glob_files(directory + "/*/bandd.yaml")) {
        std::string inner = fs::path(file).parent_path().string();
        warnings.push_back(
            {"\"" + inner + "\"",
             "is a configuration of its own and passed over: nothing in it is in force",
             "if it was meant to be this one: cp -rT " + inner + " " + directory,
             {file, 0, 0}});
    }
}

void find_missing_programs(const Config& config, std::vector<Error>& errors) {
    for (const Named& one : programs_of(config)) {
        const std::string& path = one.program.program.argv.front();
        std::error_code fault;
        std::string what = one.what + " \"" + path + "\"";
        auto status = fs::status(path, fault);
        if (!fs::exists(status))
            errors.push_back(
                {what,
                 fault && fault.value() != ENOENT ? fault.message() : "there is no such program",
                 "install it, or give its path", one.where});
        else if (!fs::is_regular_file(status) ||
                 (status.permissions() & (fs::perms::owner_exec | fs::perms::group_exec |
                                          fs::perms::others_exec)) == fs::perms::none)
            errors.push_back({what, "is no program that can be run", "chmod +x it", one.where});
    }
}

void find_unknown_tags(const Config& config, std::vector<Error>& errors,
                       std::vector<Error>& warnings) {
    for (const Named& one : programs_of(config)) {
        auto script = script_text(one.program.program.argv);
        const auto& argv = one.program.program.argv;
        for (std::size_t i = 0; i < argv.size(); ++i)
            for (const std::string& tag : tags_in(argv[i])) {
                if (tag_kind(one.program.tags, tag)) continue;
                if (script != i)
                    errors.push_back(unknown_tag(one.what + " \"" + argv.front() + "\"", tag,
                                                 one.program.tags, one.where));
                // A script has its own use for < and >: `From: <fail2ban>`.
                else if (!did_you_mean(tag, tag_names(one.program.tags)).empty())
                    warnings.push_back(unknown_tag(one.what + " \"" + argv.front() + "\"", tag,
                                                   one.program.tags, one.where));
            }
    }
    for (const JailConfig& jail : config.jails)
        for (const ActionConfig& action : jail.actions)
            if (const auto* syslog = std::get_if<SyslogAction>(&action))
                for (const std::string* text : {&syslog->ban, &syslog->unban})
                    for (const std::string& tag : tags_in(*text))
                        if (!tag_kind(ProgramTags::ban, tag))
                            errors.push_back(
                                unknown_tag("jail \"" + jail.rules.name + "\", action syslog", tag,
                                            ProgramTags::ban, jail.where));
}

void find_variables(const Value& document, std::vector<Error>& errors) {
    std::set<const Value*> scripts;
    if (document.kind == Value::Kind::list) {
        std::vector<std::string> argv;
        for (const Value& item : document.items) argv.push_back(item.text);
        if (auto text = script_text(argv)) scripts.insert(&document.items[*text]);
    }
    if (std::string variable = variable_in(document.text); !variable.empty())
        errors.push_back({"\"" + variable + "\"", "is not filled in: bandd knows no variables",
                          "write the value; a secret can be in a file: file:PATH", document.where});
    for (const Value& item : document.items)
        if (!scripts.contains(&item)) find_variables(item, errors);
    for (const Entry& entry : document.entries) find_variables(entry.second, errors);
}

}  // namespace bandd
