// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/filter.h"

#include <algorithm>

#include "core/match/fail2ban_pattern.h"
#include "core/match/proxies.h"
#include "core/regex/forgery.h"
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
    Envelope envelope =
        open_line(line, zone, arrival, scratch.contained, nullptr, dates_within(filter.json.get()));
    std::string_view message = message_of(envelope, escapes, buffer);
    Seen seen{message, envelope.tag, envelope.time};
    if (filter.json) seen = see_json(*filter.json, envelope, message, zone, arrival, scratch);
    seen.cut = envelope.cut;
    return seen;
}

Seen see_json(const JsonLayout& layout, const Envelope& envelope, std::string_view message,
              const Zone& zone, Instant arrival, MatchScratch& scratch) {
    Seen seen{message, envelope.tag, envelope.time};
    seen.json = scratch.json.read(message, layout.paths);
    if (seen.json != JsonReader::Outcome::read) return seen;
    seen.text = layout.message ? scratch.json.value(*layout.message).value_or("") : "";
    if (auto time = json_time(layout, scratch.json, zone, arrival))
        seen.time = time;
    else if (layout.time && envelope.within)
        seen.time = envelope.outer;  // the date within may be that of something else
    return seen;
}

namespace {

// Takes `stdout F ` off a message: what Kubernetes' runtimes (CRI) write between the time and what
// a container said. P in place of F says that the line is not all of it.
bool take_cri_head(Envelope& envelope) {
    std::string_view& message = envelope.message;
    if (!message.starts_with("std") || !envelope.time || envelope.syslog) return false;
    for (std::string_view head : {"stdout F ", "stderr F ", "stdout P ", "stderr P "})
        if (message.starts_with(head)) {
            message.remove_prefix(head.size());
            envelope.cut = head[head.size() - 2] == 'P';
            return true;
        }
    return false;
}

}  // namespace

Envelope open_line(std::string_view line, const Zone& zone, Instant arrival, std::string& buffer,
                   LastHead* last, DatesWithin within) {
    auto docker = open_docker(line, buffer);
    Envelope outer = docker ? Envelope{} : open_envelope(line, zone, arrival, last, within);
    if (!docker && !take_cri_head(outer)) return outer;
    Envelope envelope =
        open_envelope(docker ? docker->line : outer.message, zone, arrival, nullptr, within);
    envelope.outer = docker ? docker->time : outer.time;
    envelope.cut = docker ? docker->cut : outer.cut;
    if (!envelope.time) envelope.time = envelope.outer;
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

// Long lines are rare, so this is found out anew for each.
bool holds_in_cut_line(const Pattern& pattern) {
    if (pattern.dialect != Dialect::bandd) return false;
    std::string_view source = pattern.source;
    if (source.ends_with('$') && !source.ends_with("\\$")) source.remove_suffix(1);
    return !find_forgery(source);
}

bool is_ignored(const Filter& filter, std::string_view text, MatchScratch& scratch,
                FilterMatch& found) {
    Fields unused;
    for (const Pattern& ignore : filter.ignore) {
        if (failing_test(ignore, scratch, unused) != nullptr) continue;
        if (search(ignore, text, scratch) != Pcre::Outcome::match) continue;
        found.fate = LineFate::ignored;
        found.ignore = &ignore;
        return true;
    }
    return false;
}

namespace {

// What the line's object says beside what the regex took.
void take_json(const JsonLayout& layout, const Pattern& pattern, const Fields& tested,
               const JsonReader& line, Captured& captured) {
    if (pattern.host_groups.empty()) captured.address = json_address(layout, line);
    for (const auto& [name, value] : tested)
        if (!captured.fields.has(name)) captured.fields.add(name, value);
    add_json_fields(layout, line, captured.fields);
}

// Of a request that came through a proxy of ours, who sent it; no address, if nobody can say.
void look_behind_proxies(const Filter& filter, Captured& captured) {
    if (!captured.address || filter.proxies.empty()) return;
    captured.address = behind_proxies(filter.proxies, *captured.address,
                                      captured.fields.find(forwarded_field).value_or(""));
}

// False: the pattern matches, but nobody can say whose line it is.
bool take_address(const Filter& filter, const Pattern& pattern, const Fields& tested,
                  MatchScratch& scratch, FilterMatch& found) {
    Captured& captured = found.captured;
    if (filter.json) take_json(*filter.json, pattern, tested, scratch.json, captured);
    look_behind_proxies(filter, captured);
    bool wanted = filter.json || !pattern.host_groups.empty();
    if (captured.address || !wanted) return true;
    found.fate = LineFate::no_address;
    return false;
}

}  // namespace

bool match_pattern(const Filter& filter, const Pattern& pattern, std::string_view message,
                   MatchScratch& scratch, FilterMatch& found) {
    Fields tested;
    if (filter.json &&
        (!scratch.json.has_read() || failing_test(pattern, scratch, tested) != nullptr))
        return false;
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
    if (filter.dialect == Dialect::bandd && !take_address(filter, pattern, tested, scratch, found))
        return false;
    found.fate = LineFate::hit;
    is_ignored(filter, message, scratch, found);
    return true;
}

bool is_known(const Filter& filter, std::string_view text, MatchScratch& scratch) {
    FilterMatch found;
    return is_ignored(filter, text, scratch, found) ||
           std::ranges::any_of(filter.left_out, [&](const Pattern& pattern) {
               return search(pattern, text, scratch) == Pcre::Outcome::match;
           });
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
        bool named = captured.address.has_value();
        look_behind_proxies(filter, captured);
        if (!captured.address &&
            (named || (captured.name.empty() && !captured.fields.has("mlfid"))))
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
    if (filter.json && !scratch.json.has_read()) found.fate = LineFate::no_json;
    for (const Pattern& pattern : filter.patterns)
        if (match_pattern(filter, pattern, message, scratch, found)) break;
    return found;
}

}  // namespace bandd
