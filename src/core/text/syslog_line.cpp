// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/syslog_line.h"

#include <optional>

namespace bandd {
namespace {

constexpr std::string_view nil = "-";
constexpr std::string_view utf8_mark = "\xef\xbb\xbf";

// "<38>", taken off; false if it is not there.
bool take_priority(std::string_view& message) {
    auto end = message.substr(0, 5).find('>');
    if (!message.starts_with('<') || end == std::string_view::npos || end < 2) return false;
    if (message.substr(1, end - 1).find_first_not_of("0123456789") != std::string_view::npos)
        return false;
    message.remove_prefix(end + 1);
    return true;
}

// A word and the space after it, taken off.
std::optional<std::string_view> take_word(std::string_view& rest) {
    auto end = rest.find(' ');
    if (end == std::string_view::npos || end == 0) return {};
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return word;
}

// Structured data: "-", or elements in brackets, in whose values a backslash escapes a quote, a
// bracket or itself (RFC 5424, 6.3). The space after it, too; none if there is no message.
bool take_data(std::string_view& rest) {
    if (rest.starts_with(nil)) {
        rest.remove_prefix(1);
    } else {
        if (!rest.starts_with('[')) return false;
        while (rest.starts_with('[')) {
            bool quoted = false;
            std::size_t at = 1;
            for (; at < rest.size() && (quoted || rest[at] != ']'); ++at) {
                if (quoted && rest[at] == '\\')
                    ++at;
                else if (rest[at] == '"')
                    quoted = !quoted;
            }
            if (at >= rest.size()) return false;
            rest.remove_prefix(at + 1);
        }
    }
    if (rest.empty()) return true;
    if (!rest.starts_with(' ')) return false;
    rest.remove_prefix(1);
    return true;
}

// As RFC 3164 writes it ("Nov 29 "), or RFC 3339 ("2026-"), as rsyslog forwards.
bool begins_with_date(std::string_view text) {
    auto digit = [](char c) { return c >= '0' && c <= '9'; };
    auto small = [](char c) { return c >= 'a' && c <= 'z'; };
    if (text.size() < 7) return false;
    if (digit(text[0]) && digit(text[1]) && digit(text[2]) && digit(text[3])) return text[4] == '-';
    return text[0] >= 'A' && text[0] <= 'Z' && small(text[1]) && small(text[2]) && text[3] == ' ' &&
           (text[4] == ' ' || digit(text[4])) && digit(text[5]) && text[6] == ' ';
}

// The fields of RFC 5424 after "1 ".
bool append_5424(std::string_view rest, std::string& line) {
    auto time = take_word(rest);
    auto host = take_word(rest);
    auto program = take_word(rest);
    auto process = take_word(rest);
    auto kind = take_word(rest);
    if (!kind || time == nil || program == nil || !take_data(rest)) return false;
    if (rest.starts_with(' ')) rest.remove_prefix(1);  // rsyslog's template writes two
    if (rest.starts_with(utf8_mark)) rest.remove_prefix(utf8_mark.size());
    line.append(*time).append(" ").append(*host).append(" ").append(*program);
    if (process != nil) line.append("[").append(*process).append("]");
    line.append(": ").append(rest);
    return true;
}

}  // namespace

void append_file_line(std::string_view message, std::string& line) {
    std::string_view rest = message;
    if (!take_priority(rest)) {
        line += message;
        return;
    }
    if (begins_with_date(rest))
        line += rest;
    else if (!rest.starts_with("1 ") || !append_5424(rest.substr(2), line))
        line += message;
}

}  // namespace bandd
