// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/program_tags.h"

#include <algorithm>
#include <array>

#include "core/base/tags.h"

namespace bandd {
namespace {

using NamedKind = std::pair<std::string_view, TagKind>;

constexpr std::array<NamedKind, 11> ban_tags{{
    {"ip", TagKind::address},
    {"prefix", TagKind::prefix},
    {"family", TagKind::family},
    {"jail", TagKind::jail},
    {"name", TagKind::jail},
    {"bantime", TagKind::number},
    {"failures", TagKind::number},
    {"bancount", TagKind::number},
    {"time", TagKind::number},
    {"reason", TagKind::text},
    {"matches", TagKind::lines},
}};
constexpr std::array<NamedKind, 6> account_tags{{
    {"user", TagKind::text},
    {"ip", TagKind::address},
    {"country", TagKind::country},
    {"countries", TagKind::number},
    {"addresses", TagKind::number},
    {"reason", TagKind::text},
}};

template <class Kinds>
std::optional<TagKind> find_kind(const Kinds& kinds, std::string_view name) {
    auto found = std::ranges::find(kinds, name, &NamedKind::first);
    if (found == kinds.end()) return {};
    return found->second;
}

constexpr std::array<std::string_view, 8> interpreters{"busybox", "python", "perl", "ruby",
                                                       "php",     "node",   "lua",  "tclsh"};
constexpr std::array<std::string_view, 6> shells{"sh", "bash", "dash", "ksh", "mksh", "zsh"};

}  // namespace

std::optional<TagKind> tag_kind(ProgramTags tags, std::string_view name) {
    if (tags == ProgramTags::account) return find_kind(account_tags, name);
    // Whatever the filter captured.
    if (name.starts_with("F-")) return TagKind::text;
    return find_kind(ban_tags, name);
}

std::vector<std::string_view> tag_names(ProgramTags tags) {
    std::vector<std::string_view> names;
    auto add = [&](const auto& kinds) {
        for (const auto& [name, kind] : kinds) names.push_back(name);
    };
    if (tags == ProgramTags::account)
        add(account_tags);
    else
        add(ban_tags);
    return names;
}

std::vector<std::string> tags_of(const ConfiguredProgram& program) {
    std::vector<std::string> names;
    auto note = [&](std::string_view name) -> std::optional<std::string> {
        auto kind = tag_kind(program.tags, name);
        if (!kind) return {};
        if (*kind != TagKind::jail && std::ranges::find(names, name) == names.end())
            names.emplace_back(name);
        return "";
    };
    for (const std::string& word : program.program.argv) fill_in_tags(word, note);
    return names;
}

std::optional<std::size_t> shell_text(const std::vector<std::string>& argv) {
    if (argv.size() < 3 || argv[1] != "-c") return {};
    std::string_view name = argv.front();
    name = name.substr(name.rfind('/') + 1);
    if (std::ranges::find(shells, name) == shells.end()) return {};
    return 2;
}

// "-c", "-e", "-r": the next argument is run. Short options may come together: "-lc", "-ne".
bool is_script_option(std::string_view word) {
    constexpr std::string_view letters = "ceEr";
    return word.size() >= 2 && word[0] == '-' && word[1] != '-' &&
           letters.find(word.back()) != std::string_view::npos;
}

std::optional<std::size_t> script_text(const std::vector<std::string>& argv) {
    bool interpreted = false;
    for (std::size_t i = 0; i + 1 < argv.size(); ++i) {
        if (interpreted && is_script_option(argv[i])) return i + 1;
        std::string_view name = argv[i];
        name = name.substr(name.rfind('/') + 1);
        interpreted = interpreted || std::ranges::find(shells, name) != shells.end() ||
                      std::ranges::any_of(interpreters, [&](std::string_view one) {
                          return name.starts_with(one);  // python3, php8.2
                      });
    }
    return {};
}

std::optional<std::string> tag_that_is_run(const std::vector<std::string>& argv) {
    auto text = script_text(argv);
    if (!text) return {};
    std::optional<std::string> found;
    fill_in_tags(argv[*text], [&](std::string_view name) -> std::optional<std::string> {
        for (ProgramTags tags : {ProgramTags::ban, ProgramTags::account})
            if (auto kind = tag_kind(tags, name); kind == TagKind::text || kind == TagKind::lines)
                found = std::string(name);
        return {};
    });
    return found;
}

std::size_t first_operand(const std::vector<std::string>& argv) {
    if (auto text = shell_text(argv)) return *text + 1;
    auto dashes = std::ranges::find(argv, "--");
    return dashes == argv.end() ? argv.size() : static_cast<std::size_t>(dashes - argv.begin()) + 1;
}

}  // namespace bandd
