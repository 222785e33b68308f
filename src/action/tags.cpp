// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/tags.h"

#include <algorithm>
#include <optional>

#include "core/base/ascii.h"
#include "core/base/tags.h"
#include "programs/arguments.h"

namespace bandd {
namespace {

constexpr std::size_t longest_matches = 32 << 10;  // an argument of execve is at most 128 KiB

std::optional<std::string> value_of(std::string_view name, const Ban& ban, std::string_view jail) {
    if (name == "ip") return to_string(ban.key.prefix.network);
    if (name == "prefix") return to_string(ban.key.prefix);
    if (name == "family") return ban.key.prefix.is_v4() ? "inet4" : "inet6";
    if (name == "jail" || name == "name") return std::string(jail);
    if (name == "bantime")
        return ban.until == never ? "-1"
                                  : std::to_string((ban.until - ban.from).count() / 1'000'000);
    if (name == "failures") return std::to_string(ban.hits);
    if (name == "bancount") return std::to_string(ban.offence);
    if (name == "time") return std::to_string(ban.from.seconds());
    if (name == "reason") return ban.story ? ban.story->reason : "";
    if (name == "matches") {
        std::string lines;
        if (ban.story)
            for (const Match& match : ban.story->matches) {
                if (lines.size() + match.line.size() > longest_matches) break;
                lines += (lines.empty() ? "" : "\n") + match.line;
            }
        return lines;
    }
    if (name.starts_with("F-")) {
        if (!ban.story) return "";
        return std::string(ban.story->fields.find(ascii_lower(name.substr(2))).value_or(""));
    }
    return {};
}

}  // namespace

std::string replace_tags(std::string_view text, const Ban& ban, std::string_view jail) {
    return fill_in_tags(text, [&](std::string_view tag) {
        auto value = value_of(tag, ban, jail);
        if (value) std::erase(*value, '\0');
        return value;
    });
}

TagValues tag_values(const ConfiguredProgram& program, const Ban& ban) {
    TagValues values;
    for (std::string& tag : tags_of(program)) {
        std::string value = value_of(tag, ban, program.jail).value_or("");
        auto kind = *tag_kind(program.tags, tag);
        if (kind == TagKind::text || kind == TagKind::lines) value = as_value(kind, value);
        values.emplace_back(std::move(tag), std::move(value));
    }
    return values;
}

}  // namespace bandd
