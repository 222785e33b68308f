// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/conversation.h"

#include <algorithm>

#include "core/base/dump.h"
#include "core/match/fail2ban_pattern.h"

namespace bandd {
namespace {

bool says(const Fields& fields, std::string_view name) {
    auto value = fields.find(name);
    return value && !value->empty();
}

}  // namespace

bool Conversations::merge(Hit& hit) {
    auto id = hit.fields.find("mlfid");
    if (!id) return !says(hit.fields, "nofail");
    std::string key(*id);
    OfFilter& filter = by_filter_[hit.rule->filter->identity];
    bool gained = says(hit.fields, "mlfgained");
    bool nofail = gained || says(hit.fields, "nofail");
    bool forget = says(hit.fields, "mlfforget");
    std::string new_user(hit.fields.find("user").value_or(""));

    auto forget_it = [&](auto it) {
        filter.by_silence.erase(it->second.place);
        filter.by_id.erase(it);
    };
    while (!filter.by_silence.empty()) {
        auto oldest = filter.by_id.find(filter.by_silence.front());
        if (oldest->second.last + longest_silence > hit.time) break;
        forget_it(oldest);
    }
    auto known = filter.by_id.find(key);
    if (known == filter.by_id.end()) {
        if (forget) {
            if (!hit.address && hit.name.empty()) return false;
            return !nofail;
        }
        if (filter.by_id.size() >= most) {
            forget_it(filter.by_id.find(filter.by_silence.front()));
            ++evicted_;
        }
        known = filter.by_id.emplace(key, Conversation{}).first;
        filter.by_silence.push_back(key);
        known->second.place = std::prev(filter.by_silence.end());
    }
    Conversation& conversation = known->second;
    conversation.last = std::max(conversation.last, hit.time);
    filter.by_silence.splice(filter.by_silence.end(), filter.by_silence, conversation.place);
    if (!new_user.empty()) conversation.users.insert(new_user);
    if (gained) conversation.pending = false;
    for (const auto& [name, value] : hit.fields)
        if (name != "nofail" && name != "mlfgained" && name != "mlfforget")
            conversation.fields.set(name, value);
    if (hit.address) conversation.address = hit.address;
    if (!hit.name.empty()) conversation.name = hit.name;

    // Whoever tries several users does not become innocent by succeeding with one; nor does a
    // failure that only waited for its address.
    bool waited = std::exchange(conversation.pending, false);
    if (waited || conversation.users.size() > 1) nofail = false;
    hit.fields = conversation.fields;
    hit.address = conversation.address;
    hit.name = conversation.name;
    bool has_host = hit.address.has_value() || !hit.name.empty();
    if (!nofail && !has_host) conversation.pending = true;
    if (forget) forget_it(known);
    return !nofail && has_host;
}

namespace {

// Lines of a text, by index: from `first` until before `last`.
struct LineRange {
    std::size_t first = 0, last = 0;
};

// The lines that a match, a part of `text`, stands in.
LineRange lines_of(std::string_view match, std::string_view text) {
    auto from = static_cast<std::size_t>(match.data() - text.data());
    std::size_t to = from + match.size();
    auto ends_before = [&](std::size_t at) {
        return static_cast<std::size_t>(std::ranges::count(text.substr(0, at), '\n'));
    };
    LineRange range{ends_before(from), ends_before(to)};
    if (from < text.size() && text[from] == '\n') ++range.first;
    if (to == 0 || text[to - 1] != '\n') ++range.last;
    range.last = std::max(range.last, range.first);
    return range;
}

// The lines that <SKIPLINES> took.
std::vector<std::string> skipped_lines(const Pattern& pattern,
                                       const std::vector<std::string_view>& groups) {
    std::vector<std::string> skipped;
    for (const auto& [name, index] : pattern.fields) {
        if (!name.starts_with("skiplines")) continue;
        std::string_view rest = groups[static_cast<std::size_t>(index)];
        for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
            skipped.emplace_back(rest.substr(0, end));
            rest.remove_prefix(end + 1);
        }
    }
    return skipped;
}

// Takes the lines of a match out of `lines`, and returns them as one text. Those that were skipped
// stay.
std::string take_matched(std::deque<std::string>& lines, LineRange range,
                         std::vector<std::string> skipped) {
    std::deque<std::string> left;
    std::string matched;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        bool within = i >= range.first && i < range.last;
        auto skip = within ? std::ranges::find(skipped, lines[i]) : skipped.end();
        if (within && skip == skipped.end()) {
            matched += lines[i] + "\n";
            continue;
        }
        if (skip != skipped.end()) skipped.erase(skip);
        left.push_back(std::move(lines[i]));
    }
    lines = std::move(left);
    return matched;
}

}  // namespace

void Conversations::join(const LineToJoin& line, std::vector<Hit>& hits) {
    const Filter& filter = *line.rule->filter;
    OfFilter& known = by_filter_[filter.identity];
    std::deque<std::string>& lines = known.lines;
    if (line.dated) known.time = line.time;
    lines.push_back(line.text);
    while (lines.size() > filter.lines) lines.pop_front();
    std::string text;
    for (const std::string& one : lines) text += one + "\n";

    const std::vector<std::string_view>& groups = scratch_.groups;
    if (filter.prefix && search(*filter.prefix, text, scratch_) != Pcre::Outcome::match) return;
    for (const Pattern& pattern : filter.patterns) {
        if (search(pattern, text, scratch_) != Pcre::Outcome::match) continue;
        Captured captured;
        take_fail2ban_fields(pattern, groups, captured);
        std::string matched =
            take_matched(lines, lines_of(groups[0], text), skipped_lines(pattern, groups));
        FilterMatch found;
        if (is_ignored(filter, matched, scratch_, found)) return;
        Hit hit{line.rule, &pattern, line.time, line.line};
        hit.dated = line.dated;
        if (!line.dated && known.time) {
            hit.time = *known.time;
            hit.dated = true;
        }
        hit.address = captured.address;
        hit.name = std::move(captured.name);
        hit.fields = std::move(captured.fields);
        hits.push_back(std::move(hit));
        return;
    }
}

// A dump: filters, with their conversations and lines.
std::string Conversations::dump() const {
    std::string out;
    for (const auto& [name, filter] : by_filter_) {
        if (filter.by_id.empty() && filter.lines.empty()) continue;
        put(out, name);
        put(out, filter.time ? filter.time->us : 0);
        put(out, static_cast<std::int64_t>(filter.lines.size()));
        for (const std::string& line : filter.lines) put(out, line);
        put(out, static_cast<std::int64_t>(filter.by_silence.size()));
        for (const std::string& id : filter.by_silence) {
            const Conversation& one = filter.by_id.find(id)->second;
            put(out, id);
            put(out, one.last.us);
            put(out, one.address ? to_string(*one.address) : std::string());
            put(out, one.name);
            put(out, one.pending ? 1 : 0);
            put(out, static_cast<std::int64_t>(one.users.size()));
            for (const std::string& user : one.users) put(out, user);
            put(out, static_cast<std::int64_t>(one.fields.size()));
            for (const auto& [field, value] : one.fields) {
                put(out, field);
                put(out, value);
            }
        }
    }
    return out;
}

void Conversations::restore(std::string_view dump) {
    by_filter_.clear();
    DumpReader in{dump};
    while (!in.rest.empty() && in.good) {
        std::string name = in.text();
        OfFilter filter;
        if (std::int64_t us = in.number(); us != 0) filter.time = Instant{us};
        for (std::size_t i = in.count(); i > 0 && in.good; --i) filter.lines.push_back(in.text());
        for (std::size_t i = in.count(); i > 0 && in.good; --i) {
            std::string id = in.text();
            Conversation one;
            one.last = {in.number()};
            one.address = parse_address(in.text());
            one.name = in.text();
            one.pending = in.number() != 0;
            for (std::size_t j = in.count(); j > 0 && in.good; --j) one.users.insert(in.text());
            for (std::size_t j = in.count(); j > 0 && in.good; --j) {
                std::string field = in.text();
                one.fields.add(field, in.text());
            }
            if (!in.good || filter.by_id.size() >= most) break;
            filter.by_silence.push_back(id);
            one.place = std::prev(filter.by_silence.end());
            if (!filter.by_id.emplace(id, std::move(one)).second) filter.by_silence.pop_back();
        }
        if (in.good) by_filter_.emplace(std::move(name), std::move(filter));
    }
}

}  // namespace bandd
