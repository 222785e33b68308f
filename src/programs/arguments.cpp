// SPDX-License-Identifier: GPL-2.0-or-later
#include "programs/arguments.h"

#include <algorithm>
#include <map>

#include "core/base/address.h"
#include "core/base/printable.h"
#include "core/base/tags.h"

namespace bandd {
namespace {

// bandd's own word for "for ever" in <bantime>, as fail2ban's.
constexpr std::string_view for_ever = "-1";
constexpr std::size_t most_digits = 19;

bool is_number(std::string_view text) {
    if (text == for_ever) return true;
    return !text.empty() && text.size() <= most_digits &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_country(std::string_view text) {
    return text.empty() || (text.size() == 2 &&
                            std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; }));
}

// parse_address takes "::1%anything": only what `to_string` writes is a value.
template <auto parse>
bool is_written_by(std::string_view text) {
    auto parsed = parse(text);
    return parsed && to_string(*parsed) == text;
}

bool is_text(std::string_view text) {
    return text.size() <= longest_value && printable(text) == text;
}

bool is_lines(std::string_view text) {
    if (text.size() > longest_value) return false;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        if (!is_text(text.substr(0, end))) return false;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

// Without the bytes of a character that would be cut.
void cut(std::string& text) {
    if (text.size() <= longest_value) return;
    std::size_t end = longest_value;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
}

std::unexpected<Error> refused(const ConfiguredProgram& program, std::string reason,
                               std::string hint = {}) {
    return fail("run " + program.program.argv.front(), std::move(reason), std::move(hint));
}

using ByTag = std::map<std::string, std::string, std::less<>>;

Result<ByTag> check_values(const ConfiguredProgram& program, const TagValues& values) {
    ByTag by_tag;
    std::vector<std::string> wanted = tags_of(program);
    for (const auto& [tag, value] : values) {
        if (std::ranges::find(wanted, tag) == wanted.end())
            return refused(program, "it has no tag <" + printable(tag.substr(0, 64)) + ">");
        if (!is_value(*tag_kind(program.tags, tag), value))
            return refused(program, "what is given for <" + tag + "> is none");
        if (!by_tag.emplace(tag, value).second)
            return refused(program, "<" + tag + "> is given twice");
    }
    for (const std::string& tag : wanted)
        if (!by_tag.contains(tag)) return refused(program, "nothing is given for <" + tag + ">");
    return by_tag;
}

}  // namespace

bool is_value(TagKind kind, std::string_view value) {
    switch (kind) {
        case TagKind::jail:
            return false;  // the table has it
        case TagKind::address:
            return is_written_by<parse_address>(value);
        case TagKind::prefix:
            return is_written_by<parse_prefix>(value);
        case TagKind::family:
            return value == "inet4" || value == "inet6";
        case TagKind::number:
            return is_number(value);
        case TagKind::country:
            return is_country(value);
        case TagKind::text:
            return is_text(value);
        case TagKind::lines:
            return is_lines(value);
    }
    return false;
}

std::string as_value(TagKind kind, std::string_view text) {
    std::string value;
    if (kind == TagKind::lines) {
        while (true) {
            auto end = text.find('\n');
            value += printable(text.substr(0, end));
            if (end == std::string_view::npos) break;
            value += '\n';
            text.remove_prefix(end + 1);
        }
    } else {
        value = printable(text);
    }
    cut(value);
    return value;
}

Result<std::vector<std::string>> arguments_of(const ConfiguredProgram& program,
                                              const TagValues& values) {
    auto by_tag = check_values(program, values);
    if (!by_tag) return std::unexpected(by_tag.error());
    auto value_of = [&](std::string_view tag) -> std::optional<std::string> {
        if (tag_kind(program.tags, tag) == TagKind::jail) return program.jail;
        auto found = by_tag->find(tag);
        if (found == by_tag->end()) return {};
        return found->second;
    };
    const std::vector<std::string>& templates = program.program.argv;
    const std::size_t operands = first_operand(templates);
    std::vector<std::string> argv{templates.front()};
    for (std::size_t i = 1; i < templates.size(); ++i) {
        std::string word = fill_in_tags(templates[i], value_of);
        bool became_option = word.starts_with('-') && !templates[i].starts_with('-');
        bool is_for_ever = templates[i] == "<bantime>" && word == for_ever;
        if (became_option && i < operands && !is_for_ever)
            return refused(
                program, "\"" + templates[i] + "\" begins with \"-\", so it would be an option",
                "write \"--\" before it in the configuration, if the program knows that");
        argv.push_back(std::move(word));
    }
    return argv;
}

}  // namespace bandd
