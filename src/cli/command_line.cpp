// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/command_line.h"

#include <CLI/CLI.hpp>

namespace bandd {

void CommandLine::flag(const char* names, bool& value, const char* help) {
    app_.add_flag(names, value, help);
}

void CommandLine::number(const char* names, std::size_t& value, const char* help) {
    // CLI11 takes -1 for the largest number there is.
    auto counts = [](const std::string& text) {
        bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
        return digits ? "" : '"' + text + "\" is no number that counts something: 0, 1, 2 …";
    };
    app_.add_option(names, value, help)->capture_default_str()->check(counts);
}

void CommandLine::text(const char* names, std::string& value, const char* help, Must must) {
    // It would be taken as if the option were not there: another ban, or another daemon, than a
    // script means whose variable is not set.
    auto not_empty = [](const std::string& text) {
        return text.empty() ? "is empty: give it a value, or leave it out" : std::string();
    };
    CLI::Option* option = app_.add_option(names, value, help);
    option->required(must == Must::be_given)->check(not_empty);
    if (!value.empty()) option->capture_default_str();
}

void CommandLine::words(const char* names, std::string& value, const char* help) {
    app_.add_option(names, value, help);
}

void CommandLine::texts(const char* names, std::vector<std::string>& values, const char* help,
                        Must must) {
    // What comes after the first value is one, too: without this --json would be.
    auto no_option = [](const std::string& text) {
        return text.starts_with("--") ? "it goes before the values of " + text : std::string();
    };
    app_.add_option(names, values, help)->required(must == Must::be_given)->check(no_option);
}

void CommandLine::each(const char* names, std::vector<std::string>& values, const char* help) {
    app_.add_option(names, values, help)->allow_extra_args(false);
}

void CommandLine::choice(const char* names, std::string& value,
                         const std::vector<std::string>& words, const char* help, Must must) {
    CLI::Option* option = app_.add_option(names, value, help);
    option->required(must == Must::be_given)->check(CLI::IsMember(words));
    if (!value.empty()) option->capture_default_str();
}

}  // namespace bandd
