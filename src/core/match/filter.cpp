// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/filter.h"

#include "core/match/fail2ban_pattern.h"
#include "core/text/docker.h"

namespace bandd {

bool accepts_tag(const Filter& filter, std::string_view tag, MatchScratch& scratch) {
    return !filter.tag || search(*filter.tag, tag, scratch) == Pcre::Outcome::match;
}

Seen see(const Filter& filter, std::string_view line, const Zone& zone, Instant arrival,
         Escapes escapes, MatchScratch& scratch) {
    std::string& buffer = scratch.message;
    if (filter.dialect == Dialect::fail2ban) {
        while (line.ends_with('\r')) line.remove_suffix(1);
        auto date = filter.dates->find(line, zone, arrival, scratch.dates);
        if (!date) return {line, {}, {}};
        if (date->from == date->to) return {line, {}, date->time};
        if (date->from == 0) return {line.substr(date->to), {}, date->time};
        buffer = line.substr(0, date->from);
        buffer += line.substr(date->to);
        return {buffer, {}, date->time};
    }
    Envelope envelope = open_line(line, zone, arrival, scratch.contained);
    return {message_of(envelope, escapes, buffer), envelope.tag, envelope.time};
}

Envelope open_line(std::string_view line, const Zone& zone, Instant arrival, std::string& buffer,
                   LastHead* last) {
    auto docker = open_docker(line, buffer);
    if (!docker) return open_envelope(line, zone, arrival, last);
    Envelope envelope = open_envelope(docker->line, zone, arrival);
    if (!envelope.time) envelope.time = docker->time;
    return envelope;
}

std::string_view message_of(const Envelope& envelope, Escapes escapes, std::string& buffer) {
    std::string_view message = envelope.message;
    bool escaped = escapes == Escapes::undo || (escapes == Escapes::automatic && envelope.syslog);
    if (escaped && has_escape(message)) {
        buffer.clear();
        unescape(message, buffer);
        message = buffer;
    }
    if (message.ends_with('\r')) message.remove_suffix(1);
    return message;
}

bool is_ignored(const Filter& filter, std::string_view text, MatchScratch& scratch,
                FilterMatch& found) {
    for (const Pattern& ignore : filter.ignore) {
        if (search(ignore, text, scratch) != Pcre::Outcome::match) continue;
        found.fate = LineFate::ignored;
        found.ignore = &ignore;
        return true;
    }
    return false;
}

bool match_pattern(const Filter& filter, const Pattern& pattern, std::string_view message,
                   MatchScratch& scratch, FilterMatch& found) {
    switch (capture(pattern, message, scratch, found.captured)) {
        case CaptureResult::no_match:
            return false;
        case CaptureResult::no_address:
            found.fate = LineFate::no_address;
            found.pattern = &pattern;
            return false;
        case CaptureResult::gave_up:
            found.fate = LineFate::gave_up;
            found.pattern = &pattern;
            return false;
        case CaptureResult::captured:
            break;
    }
    found.pattern = &pattern;
    found.fate = LineFate::hit;
    is_ignored(filter, message, scratch, found);
    return true;
}

namespace {

// Most patterns of a filter begin with another byte.
bool fails_at_once(const Pattern& pattern, std::string_view text) {
    const CaptureProgram* program = pattern.lazy ? pattern.lazy->program() : nullptr;
    return program != nullptr && program->fails_at_once(text);
}

// As fail2ban goes about it: the prefix, then each pattern on what the prefix left.
FilterMatch match_fail2ban(const Filter& filter, std::string_view text, MatchScratch& scratch) {
    FilterMatch found;
    Captured before;
    std::string_view content = text;
    if (filter.prefix) {
        Pcre::Outcome outcome = search(*filter.prefix, text, scratch);
        const std::vector<std::string_view>& groups = scratch.groups;
        if (outcome == Pcre::Outcome::gave_up) found.fate = LineFate::gave_up;
        if (outcome != Pcre::Outcome::match) return found;
        take_fail2ban_fields(*filter.prefix, groups, before);
        for (const auto& [name, index] : filter.prefix->fields)
            if (name == "content" && !groups[static_cast<std::size_t>(index)].empty())
                content = groups[static_cast<std::size_t>(index)];
        before.fields.erase("content");
    }
    for (const Pattern& pattern : filter.patterns) {
        if (fails_at_once(pattern, content)) continue;
        if (!match_pattern(filter, pattern, content, scratch, found)) continue;
        // With few ignoreregex, fail2ban looks at the whole line first.
        if (found.fate == LineFate::hit && filter.ignore.size() + 2 < filter.patterns.size() &&
            filter.prefix)
            is_ignored(filter, text, scratch, found);
        if (found.fate == LineFate::ignored) return found;
        Captured& captured = found.captured;
        for (const auto& [name, value] : before.fields)
            if (!captured.fields.has(name)) captured.fields.add(name, value);
        if (!captured.address && captured.name.empty()) {
            captured.address = before.address;
            captured.name = before.name;
        }
        if (!captured.address && captured.name.empty() && !captured.fields.has("mlfid"))
            found.fate = LineFate::no_address;
        return found;
    }
    return found;
}

}  // namespace

FilterMatch match(const Filter& filter, std::string_view tag, std::string_view message,
                  MatchScratch& scratch) {
    if (filter.dialect == Dialect::fail2ban) return match_fail2ban(filter, message, scratch);
    FilterMatch found;
    if (!accepts_tag(filter, tag, scratch)) {
        found.fate = LineFate::wrong_tag;
        return found;
    }
    for (const Pattern& pattern : filter.patterns)
        if (match_pattern(filter, pattern, message, scratch, found)) break;
    return found;
}

}  // namespace bandd
