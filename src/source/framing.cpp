// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/framing.h"

#include <charconv>

namespace bandd {
namespace {

// More digits than this are no length (RFC 6587 names no limit).
constexpr std::size_t longest_length = 9;

}  // namespace

void SyslogFraming::take(std::string_view bytes, const OnMessage& on_message) {
    buffer_ += bytes;
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        auto line_end = rest.find('\n');
        if (skipping_) {
            rest.remove_prefix(line_end == std::string_view::npos ? rest.size() : line_end + 1);
            skipping_ = line_end == std::string_view::npos;
            continue;
        }
        std::size_t digits = 0;
        while (digits < rest.size() && digits <= longest_length && rest[digits] >= '0' &&
               rest[digits] <= '9')
            ++digits;
        if (digits == rest.size() && digits <= longest_length) break;  // may go on
        if (digits > 0 && digits <= longest_length && rest[digits] == ' ' && rest[0] != '0') {
            std::size_t length = 0;
            std::from_chars(rest.data(), rest.data() + digits, length);
            if (length > line_limit_ * 2) {
                ++dishonest_;
                skipping_ = true;
                continue;
            }
            if (rest.size() < digits + 1 + length) break;
            on_message(rest.substr(digits + 1, length));
            rest.remove_prefix(digits + 1 + length);
            continue;
        }
        if (line_end == std::string_view::npos) {
            if (rest.size() <= line_limit_) break;
            on_message(rest);
            skipping_ = true;
            rest = {};
            break;
        }
        on_message(rest.substr(0, line_end));
        rest.remove_prefix(line_end + 1);
    }
    buffer_.erase(0, buffer_.size() - rest.size());
}

void SyslogFraming::end(const OnMessage& on_message) {
    if (!buffer_.empty()) on_message(buffer_);
    buffer_.clear();
}

}  // namespace bandd
