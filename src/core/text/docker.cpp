// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/docker.h"

#include <algorithm>
#include <charconv>

#include "core/text/datetime.h"
#include "core/text/json_string.h"

namespace bandd {
namespace {

// Through an object's own keys. Not all of JSON is checked: whoever wrote the line escaped what the
// container said.
class Keys {
  public:
    explicit Keys(std::string_view text) : text_(text) {}

    bool take(char c) {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    // After its opening quote: up to the closing one, or the end of the line.
    std::string_view rest_of_string() {
        std::size_t from = at_;
        while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
        at_ = std::min(at_, text_.size());
        std::string_view found = text_.substr(from, at_ - from);
        ended_ = at_ < text_.size();
        if (ended_) ++at_;
        return found;
    }
    // A value that is no string.
    void pass_value() {
        for (int depth = 0; at_ < text_.size(); ++at_) {
            char c = text_[at_];
            if (depth == 0 && (c == ',' || c == '}')) return;
            if (c == '{' || c == '[') ++depth;
            if (c == '}' || c == ']') --depth;
            if (c != '"') continue;
            ++at_;
            rest_of_string();
            --at_;
        }
    }
    // Whether the string read last had its closing quote.
    bool ended() const { return ended_; }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
    bool ended_ = true;
};

// Of the character that begins with these three of four hexadecimal digits. Half of a pair has
// half.
std::size_t utf8_length(std::string_view digits) {
    unsigned high = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), high, 16);
    if (high < 0x008) return 1;
    return high < 0x080 || (high >= 0xd80 && high < 0xe00) ? 2 : 3;
}

bool is_stream(std::string_view name) { return name == "stdout" || name == "stderr"; }

}  // namespace

std::optional<DockerParts> find_docker_parts(std::string_view line) {
    Keys keys(line);
    if (!keys.take('{')) return {};
    DockerParts parts;
    bool has_log = false;
    bool begins_with_log = false;
    do {
        if (!keys.take('"')) break;
        std::string_view key = keys.rest_of_string();
        if (!keys.take(':')) break;
        bool known = key == "log" || key == "stream" || key == "time";
        bool is_string = keys.take('"');
        // Other logs have keys of these names, too.
        if (!has_log && ((!known && key != "attrs") || (known && !is_string))) return {};
        if (!is_string) {
            keys.pass_value();
            continue;
        }
        std::string_view value = keys.rest_of_string();
        if (key == "log" && !has_log) {
            has_log = true;
            begins_with_log = parts.stream.empty() && parts.time.empty();
            parts.log = value;
            parts.ends = keys.ended();
        } else if (key == "stream" && parts.stream.empty()) {
            parts.stream = value;
        } else if (key == "time" && parts.time.empty()) {
            parts.time = value;
        }
    } while (keys.take(','));
    bool sure = begins_with_log || is_stream(parts.stream) || !parts.ends;
    return has_log && sure ? std::optional(parts) : std::nullopt;
}

std::optional<DockerLine> open_docker(std::string_view text, std::string& buffer) {
    if (!text.starts_with('{')) return {};
    auto parts = find_docker_parts(text);
    if (!parts) return {};
    buffer.clear();
    auto at = static_cast<std::size_t>(parts->log.data() - text.data());
    if (!take_json_string(text, at, buffer) && parts->ends) return {};
    DockerLine found;
    if (auto date = scan_iso_date(parts->time)) found.time = resolve(*date, Zone{}, never);
    found.line = buffer;
    found.cut = !found.line.ends_with('\n');
    while (found.line.ends_with('\n') || found.line.ends_with('\r')) found.line.remove_suffix(1);
    return found;
}

EscapedPart escaped_part(std::string_view escaped, std::size_t most) {
    EscapedPart part;
    while (part.escaped < escaped.size()) {
        std::size_t length = 1;
        std::size_t bytes = 1;
        if (escaped[part.escaped] == '\\') {
            std::string_view after = escaped.substr(part.escaped + 1);
            length = after.starts_with('u') ? 6 : 2;
            if (after.starts_with('u')) bytes = utf8_length(after.substr(1, 3));
        }
        if (part.text + bytes > most || part.escaped + length > escaped.size()) break;
        part.escaped += length;
        part.text += bytes;
    }
    return part;
}

LimitedLine within_limit(std::string_view line, std::size_t limit) {
    if (line.size() < limit) return {line};
    auto docker = line.starts_with('{') ? find_docker_parts(line) : std::optional<DockerParts>{};
    if (!docker) return {line.substr(0, limit), true};
    // Its line end is more.
    EscapedPart part = escaped_part(docker->log, limit);
    std::string_view left = docker->log.substr(part.escaped);
    if (left.empty() || left == "\\n" || left == "\\r\\n") return {line};
    auto log_at = static_cast<std::size_t>(docker->log.data() - line.data());
    return {line.substr(0, log_at + part.escaped), true};
}

}  // namespace bandd
