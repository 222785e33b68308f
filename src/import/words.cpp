// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/words.h"

#include <utility>

#include "core/base/ascii.h"

namespace bandd::fail2ban {

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (char c : text) {
        if (c == ' ' || c == ',' || c == '\n' || c == '\t') {
            if (!word.empty()) words.push_back(std::exchange(word, {}));
        } else {
            word += c;
        }
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
}

std::string option(const Options& options, std::string_view name) {
    auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
}

bool is_true(std::string_view text) {
    std::string lower = ascii_lower(text);
    return lower == "1" || lower == "on" || lower == "true" || lower == "yes";
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
}

}  // namespace bandd::fail2ban
