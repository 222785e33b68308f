// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/docker.h"

#include <charconv>

#include "core/text/datetime.h"

namespace bandd {
namespace {

void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | code >> 6);
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        // Halves of surrogate pairs stay what they are: nothing is matched by them.
        out += static_cast<char>(0xe0 | code >> 12);
        out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

// The string that begins at `at`, after its quote; leaves `at` after the closing one.
bool take_string(std::string_view text, std::size_t& at, std::string& out) {
    while (at < text.size()) {
        char c = text[at++];
        if (c == '"') return true;
        if (c != '\\') {
            out += c;
            continue;
        }
        if (at >= text.size()) return false;
        switch (char escaped = text[at++]) {
            case 'n':
                out += '\n';
                break;
            case 't':
                out += '\t';
                break;
            case 'r':
                out += '\r';
                break;
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'u': {
                unsigned code = 0;
                if (at + 4 > text.size()) return false;
                auto [end, fault] =
                    std::from_chars(text.data() + at, text.data() + at + 4, code, 16);
                if (fault != std::errc{} || end != text.data() + at + 4) return false;
                append_utf8(out, code);
                at += 4;
                break;
            }
            default:
                out += escaped;
        }
    }
    return false;
}

}  // namespace

std::optional<DockerLine> open_docker(std::string_view text, std::string& buffer) {
    if (!text.starts_with(docker_head)) return {};
    buffer.clear();
    std::size_t at = docker_head.size();
    if (!take_string(text, at, buffer)) return {};
    DockerLine found;
    // The text is over: nothing after it is the container's.
    constexpr std::string_view key = "\"time\":\"";
    if (auto time = text.find(key, at); time != std::string_view::npos)
        if (auto date = scan_iso_date(text.substr(time + key.size())))
            found.time = resolve(*date, Zone{}, never);
    found.line = buffer;
    while (found.line.ends_with('\n') || found.line.ends_with('\r')) found.line.remove_suffix(1);
    return found;
}

}  // namespace bandd
