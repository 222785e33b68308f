// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/fail2ban_pattern.h"

#include <algorithm>

#include "core/regex/fail2ban_regex.h"

namespace bandd {

Result<Pattern> compile_fail2ban(std::string_view id, std::string_view source,
                                 const Fail2banOptions& options) {
    Pattern pattern;
    pattern.id = id;
    pattern.source = source;
    pattern.dialect = Dialect::fail2ban;
    std::string python = put_tags_in(source, options.names);
    std::string what = "pattern \"" + pattern.id + "\"";
    if (!options.multiline) {
        if (auto regex = to_re2(python)) {
            RE2::Options re2_options = pattern_options();
            re2_options.set_dot_nl(false);
            pattern.regex = std::move(*regex);
            if (auto outline = take_regex(pattern, re2_options))
                pattern.fields = std::move(outline->names);
            else
                pattern.lazy.reset();
        }
    }
    if (!pattern.lazy) {
        pattern.regex = (options.multiline ? "(?m)" : "") + python;
        auto pcre = Pcre::compile(pattern.regex);
        if (!pcre) return fail(what, pcre.error().what + ": " + pcre.error().reason);
        pattern.pcre = std::make_shared<const Pcre>(std::move(*pcre));
        pattern.fields = pattern.pcre->names();
    }
    if (pattern.pcre) pattern.groups = static_cast<std::size_t>(pattern.pcre->group_count()) + 1;
    if (pattern.groups > most_groups)
        return fail(what, "has more than " + std::to_string(most_groups - 1) + " groups",
                    "write (?:…) where nothing is captured");
    std::ranges::sort(pattern.fields);  // alt_user_1 before alt_user_2
    return pattern;
}

void take_fail2ban_fields(const Pattern& pattern, const std::vector<std::string_view>& groups,
                          Captured& captured) {
    std::string_view ip4;
    std::string_view ip6;
    std::string_view dns;
    Fields& fields = captured.fields;
    std::vector<std::pair<std::string, std::string_view>> composed;
    for (const auto& [name, index] : pattern.fields) {
        std::string_view value = groups[static_cast<std::size_t>(index)];
        if (name == "ip4")
            ip4 = value;
        else if (name == "ip6")
            ip6 = value;
        else if (name == "dns")
            dns = value;
        else if (name.starts_with("alt_") || name.starts_with("tuple_"))
            composed.emplace_back(name, value);
        else if (value.data() != nullptr && !name.starts_with("skiplines"))
            fields.add(name, value);
    }
    auto put = [&](std::string_view name, std::string_view value, bool join) {
        auto known = fields.find(name);
        if (!known)
            fields.add(name, value);
        else if (join)
            fields.set(name, std::string(*known) + ", " + std::string(value));
        else if (known->empty())
            fields.set(name, value);
    };
    for (const auto& [name, value] : composed) {
        bool join = name.starts_with("tuple_");
        std::string_view base = std::string_view(name).substr(join ? 6 : 4);
        // The number at the end tells the parts apart.
        auto digits = base.find_last_not_of("0123456789");
        if (digits != std::string_view::npos && digits + 1 < base.size() && base[digits] == '_')
            base = base.substr(0, digits);
        std::string target = fail2ban_group_name(base);
        if (target == "ip4" && ip4.empty()) ip4 = value;
        if (target == "ip6" && ip6.empty()) ip6 = value;
        if (target == "dns" && dns.empty()) dns = value;
        bool host = target == "ip4" || target == "ip6" || target == "dns";
        if (value.data() != nullptr && !host && (join || !value.empty())) put(target, value, join);
    }
    std::string_view text = !ip4.empty() ? ip4 : ip6;
    if (!text.empty())
        captured.address = parse_address(text);
    else if (!dns.empty())
        captured.name = dns;
    else if (auto id = fields.find("fid"))
        captured.address = parse_address(*id);
    if (!captured.address && captured.name.empty() && !text.empty()) captured.name = text;
}

}  // namespace bandd
