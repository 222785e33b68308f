// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/subjects.h"

#include <algorithm>
#include <vector>

#include "core/base/ascii.h"

namespace bandd {
namespace {

constexpr std::string_view class_letters = "hdwmf";  // in the order of BanClass
constexpr std::string_view hexadecimal = "0123456789ABCDEF";

bool stays(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

}  // namespace

std::vector<std::string_view> tokens_of(std::string_view subject) {
    std::vector<std::string_view> tokens;
    while (true) {
        auto end = subject.find('.');
        tokens.push_back(subject.substr(0, end));
        if (end == std::string_view::npos) return tokens;
        subject.remove_prefix(end + 1);
    }
}

BanClass ban_class_of(Duration ban) {
    using namespace std::chrono_literals;
    if (ban <= 1h) return BanClass::hour;
    if (ban <= 24h) return BanClass::day;
    if (ban <= 7 * 24h) return BanClass::week;
    if (ban <= 35 * 24h) return BanClass::five_weeks;
    return BanClass::for_ever;
}

std::string to_token(std::string_view text) {
    std::string token;
    for (char c : text) {
        if (stays(c)) {
            token += c;
            continue;
        }
        auto byte = static_cast<unsigned char>(c);
        token += '=';
        token += hexadecimal[byte >> 4U];
        token += hexadecimal[byte & 15U];
    }
    return token;
}

std::optional<std::string> from_token(std::string_view token) {
    std::string text;
    for (std::size_t i = 0; i < token.size(); ++i) {
        if (stays(token[i])) {
            text += token[i];
            continue;
        }
        if (token[i] != '=' || token.size() - i < 3) return {};
        auto high = hexadecimal.find(token[i + 1]), low = hexadecimal.find(token[i + 2]);
        if (high == std::string_view::npos || low == std::string_view::npos) return {};
        text += static_cast<char>(high << 4U | low);
        if (stays(text.back())) return {};
        i += 2;
    }
    if (text.empty()) return {};
    return text;
}

std::string to_subject(const BanSubject& subject) {
    return std::string("ban.") + class_letters[static_cast<std::size_t>(subject.kept)] + '.' +
           to_token(subject.node) + (subject.counted ? ".+" : ".") + to_token(subject.jail) + '.' +
           to_token(subject.prefix);
}

std::optional<BanSubject> parse_ban_subject(std::string_view subject) {
    auto tokens = tokens_of(subject);
    if (tokens.size() != 5 || tokens[0] != "ban" || tokens[1].size() != 1) return {};
    auto kept = class_letters.find(tokens[1][0]);
    bool counted = tokens[3].starts_with('+');
    if (counted) tokens[3].remove_prefix(1);
    auto node = from_token(tokens[2]), jail = from_token(tokens[3]), prefix = from_token(tokens[4]);
    if (kept == std::string_view::npos || !node || !jail || !prefix) return {};
    return BanSubject{static_cast<BanClass>(kept), *node, *jail, *prefix, counted};
}

std::string hit_subject(std::string_view node) { return "hit." + to_token(node); }
std::string node_subject(std::string_view node) { return "node." + to_token(node); }

std::optional<std::string> node_of_subject(std::string_view subject) {
    auto tokens = tokens_of(subject);
    if (tokens[0] == "ban") {
        auto ban = parse_ban_subject(subject);
        if (!ban) return {};
        return ban->node;
    }
    if ((tokens[0] != "hit" && tokens[0] != "node") || tokens.size() != 2) return {};
    return from_token(tokens[1]);
}

}  // namespace bandd
