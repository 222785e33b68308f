// SPDX-License-Identifier: GPL-2.0-or-later
// The tags and what they match are those of fail2ban's man page jail.conf(5), section FILTER FILES,
// and of its behaviour (1.0.2, 1.1). Group numbers stay as Python counts them, for back-references.
#include "core/regex/fail2ban_regex.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/ascii.h"

namespace bandd {
namespace {

constexpr std::string_view ip4_group = R"((?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3}))";
constexpr std::string_view ip6_group =
    R"((?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:)))";
constexpr std::string_view dns_group = R"((?P<dns>[\w\-.^_]*\w))";
constexpr std::string_view cidr_group = R"((?P<cidr>\d+))";

bool is_field_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

// "<name>", "</name>" or "<name/>" at `at`: its inside. Empty if there is none.
std::string_view tag_at(std::string_view text, std::size_t at) {
    auto close = text.find('>', at);
    if (close == std::string_view::npos) return {};
    std::string_view inside = text.substr(at + 1, close - at - 1);
    std::string_view word = inside;
    if (word.starts_with('/')) word.remove_prefix(1);
    if (word.ends_with('/')) word.remove_suffix(1);
    bool good = !word.empty() && std::ranges::all_of(word, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    return good ? inside : std::string_view{};
}

std::string alternation(std::string_view a, std::string_view b) {
    return "(?:" + std::string(a) + "|" + std::string(b) + ")";
}

// "((?i)text)" and "(?:(?i)text)": flags that Python would apply to the whole are kept within.
std::string keep_flags_local(std::string text) {
    for (std::size_t at = 0; (at = text.find("(?", at)) != std::string::npos; ++at) {
        std::size_t end = at + 2;
        while (end < text.size() && text[end] >= 'a' && text[end] <= 'z') ++end;
        if (end == at + 2 || end >= text.size() || text[end] != ')') continue;
        std::size_t open = std::string::npos;
        if (at >= 3 && text.compare(at - 3, 3, "(?:") == 0)
            open = at - 3;
        else if (at >= 1 && text[at - 1] == '(')
            open = at - 1;
        if (open == std::string::npos || (open > 0 && text[open - 1] == '\\')) continue;
        std::string flags = text.substr(at, end - at) + ":";
        text.replace(open, end + 1 - open, flags);
        at = open;
    }
    return text;
}

}  // namespace

std::string fail2ban_group_name(std::string_view tag) {
    std::string name = ascii_lower(tag);
    if (name == "id") return "fid";
    if (name == "port") return "fport";
    return name;
}

std::string put_tags_in(std::string_view regex, bool names) {
    std::string addr = R"(\[?)" + alternation(ip4_group, ip6_group) + R"(\]?)";
    std::string out;
    std::set<std::string, std::less<>> open;
    int skips = 0;
    std::size_t at = 0;
    while (at < regex.size()) {
        std::string_view tag = regex[at] == '<' ? tag_at(regex, at) : std::string_view{};
        if (tag.empty()) {
            out += regex[at++];
            continue;
        }
        std::string_view name = tag;
        bool closes = name.starts_with('/');
        if (closes) name.remove_prefix(1);
        bool field = name.starts_with("F-");
        std::string_view known =
            field && name.ends_with('/') ? name.substr(2, name.size() - 3) : tag;
        std::string by;
        if (known == "HOST" && !field)
            by = names ? alternation(addr, dns_group) : addr;
        else if (known == "ADDR")
            by = addr;
        else if (known == "IP4")
            by = ip4_group;
        else if (known == "IP6")
            by = ip6_group;
        else if (known == "DNS")
            by = dns_group;
        else if (known == "CIDR")
            by = cidr_group;
        else if (known == "SUBNET")
            by = R"(\[?)" + alternation(ip4_group, ip6_group) + "(?:/" + std::string(cidr_group) +
                 R"()?\]?)";
        else if (known == "SKIPLINES" && !field)
            by = R"(\n(?P<skiplines)" + std::to_string(skips++) + R"(>(?:(?:.*\n)*?)))";
        else if (field && known == "ID")
            by = R"((?P<fid>\S+))";
        else if (field && known == "PORT")
            by = R"((?P<fport>\w+))";
        else if (field && is_field_name(name.substr(2)) && !closes) {
            open.insert(std::string(name));
            by = "(?P<" + fail2ban_group_name(name.substr(2)) + ">";
        } else if (field && closes && open.contains(name))
            by = ")";
        else
            by = "<" + std::string(tag) + ">";
        out += by;
        at += tag.size() + 2;
    }
    return keep_flags_local(std::move(out));
}

std::optional<std::string> to_re2(std::string_view python) {
    std::string out;
    std::size_t at = 0;
    auto rest = [&] { return python.substr(at); };
    bool in_class = false;
    std::size_t class_begin = 0;
    while (at < python.size()) {
        char c = python[at];
        if (c == '\\') {
            if (at + 1 >= python.size()) return {};
            char next = python[at + 1];
            if (next == 'Z') {
                out += "\\z";
            } else if (next == '_' || next == '/' || next == '"' || next == '\'' || next == '<' ||
                       next == '>' || next == ' ' || next == ':' || next == ',') {
                out += next;
            } else if ((next >= '1' && next <= '9' && !in_class) || next == '0' || next == 'u' ||
                       next == 'U' || next == 'N' || (in_class && next == 'b')) {
                return {};  // a back-reference; the others are rare
            } else {
                out += c;
                out += next;
            }
            at += 2;
            continue;
        }
        if (in_class) {
            // "]" first in a class is itself.
            if (c == ']' && at > class_begin) in_class = false;
            if (c == '[' && at + 1 < python.size() && python[at + 1] == ':')
                out += "\\[";  // RE2 would see the beginning of [:alpha:]
            else
                out += c;
            ++at;
            continue;
        }
        if (c == '[') {
            in_class = true;
            out += c;
            ++at;
            if (rest().starts_with('^')) out += python[at++];
            class_begin = at;
            continue;
        }
        if (c == '{' && rest().starts_with("{,")) {
            auto close = python.find('}', at);
            std::string_view digits =
                close == std::string_view::npos ? "" : python.substr(at + 2, close - at - 2);
            bool counts = !digits.empty() &&
                          std::ranges::all_of(digits, [](char d) { return d >= '0' && d <= '9'; });
            out += counts ? "{0," : "\\{,";
            at += 2;
            continue;
        }
        if (rest().starts_with("(?#")) {
            auto close = python.find(')', at);
            if (close == std::string_view::npos) return {};
            at = close + 1;
            continue;
        }
        if (rest().starts_with("(?")) {
            std::string_view kind = rest().substr(2);
            if (kind.starts_with('=') || kind.starts_with('!') || kind.starts_with("<=") ||
                kind.starts_with("<!") || kind.starts_with("P=") || kind.starts_with('('))
                return {};
            // Flags: those for Unicode and locale mean nothing for bytes.
            if (!kind.starts_with("P<") && !kind.starts_with(':')) {
                std::string flags;
                std::size_t i = 0;
                for (; i < kind.size() && kind[i] != ')' && kind[i] != ':'; ++i) {
                    if (kind[i] == 'x') return {};
                    if (kind[i] != 'u' && kind[i] != 'a' && kind[i] != 'L') flags += kind[i];
                }
                if (i == kind.size()) return {};
                bool group = kind[i] == ':';
                if (group || !flags.empty()) out += "(?" + flags + kind[i];
                at += 2 + i + 1;
                continue;
            }
            out += "(?";
            at += 2;
            continue;
        }
        out += c;
        ++at;
    }
    if (in_class) return {};
    return out;
}

}  // namespace bandd
