// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "import/to_yaml.h"

namespace bandd::fail2ban {

std::string yaml_text(std::string_view text) {
    bool plain = std::ranges::all_of(
        text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    std::string out;
    if (plain) {
        out = "'";
        for (char c : text) out += c == '\'' ? "''" : std::string(1, c);
        return out + "'";
    }
    static constexpr std::string_view digits = "0123456789abcdef";
    out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += std::string("\\") + c;
        else if (byte < 0x20 || byte == 0x7f)
            out += std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
        else
            out += c;
    }
    return out + "\"";
}

std::string yaml_block(std::string_view text, std::string_view indent) {
    bool plain = std::ranges::all_of(text, [](char c) {
        return c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
    // A block cannot begin with a space or end with an empty line of its own.
    if (!plain || text.find('\n') == std::string_view::npos || text.front() == ' ' ||
        text.front() == '\n' || text.back() == '\n')
        return yaml_text(text);
    std::string out = "|-";
    while (true) {
        auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        out += "\n";
        if (!line.empty()) out += std::string(indent) + std::string(line);
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

std::string filter_to_yaml(const FilterDefinition& filter, const std::string& origin) {
    std::string out;
    for (const std::string& file : filter.files) out += "# from " + file + "\n";
    out += "description: " + yaml_text("imported from fail2ban: " + origin) + "\n";
    out += "dialect: fail2ban\n";
    if (!filter.usedns.empty()) out += "usedns: " + yaml_text(filter.usedns) + "\n";
    if (!filter.maxlines.empty()) out += "maxlines: " + filter.maxlines + "\n";
    auto list = [&](const char* key, const std::vector<std::string>& items) {
        if (items.empty()) return;
        out += std::string(key) + ":\n";
        for (const std::string& item : items) out += "  - " + yaml_text(item) + "\n";
    };
    list("datepattern", filter.datepattern);
    if (!filter.prefregex.empty()) out += "prefregex: " + yaml_text(filter.prefregex) + "\n";
    list("failregex", filter.failregex);
    list("ignoreregex", filter.ignoreregex);
    return out;
}

}  // namespace bandd::fail2ban
