// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/conversation.h"

#include <algorithm>

#include "core/match/fail2ban_regex.h"

namespace bandd {
namespace {

bool says(const Fields& fields, std::string_view name) {
    const std::string* value = find_field(fields, name);
    return value != nullptr && !value->empty();
}

void set_field(Fields& fields, const std::string& name, const std::string& value) {
    auto known = std::ranges::find(fields, name, &Fields::value_type::first);
    if (known == fields.end())
        fields.emplace_back(name, value);
    else
        known->second = value;
}

}  // namespace

bool Conversations::merge(Hit& hit) {
    const std::string* id = find_field(hit.fields, "mlfid");
    if (id == nullptr) return !says(hit.fields, "nofail");
    std::string key = *id;
    OfFilter& filter = by_filter_[hit.filter->identity];
    bool gained = says(hit.fields, "mlfgained");
    bool nofail = gained || says(hit.fields, "nofail");
    bool forget = says(hit.fields, "mlfforget");
    const std::string* user = find_field(hit.fields, "user");
    std::string new_user = user == nullptr ? "" : *user;

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
            set_field(conversation.fields, name, value);
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

void Conversations::join(const Hit& line, std::vector<Hit>& hits) {
    const Filter& filter = *line.filter;
    OfFilter& known = by_filter_[filter.identity];
    std::deque<std::string>& lines = known.lines;
    if (line.dated) known.time = line.time;
    lines.push_back(line.text);
    while (lines.size() > filter.lines) lines.pop_front();
    std::string text;
    for (const std::string& one : lines) text += one + "\n";

    std::vector<std::string_view> groups;
    if (filter.prefix && search(*filter.prefix, text, groups) != Pcre::Outcome::match) return;
    for (const Pattern& pattern : filter.patterns) {
        if (search(pattern, text, groups) != Pcre::Outcome::match) continue;
        // Which lines the match stands in; those that <SKIPLINES> took are not among them.
        auto from = static_cast<std::size_t>(groups[0].data() - text.data());
        std::size_t to = from + groups[0].size();
        auto ends_before = [&](std::size_t at) {
            return static_cast<std::size_t>(
                std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
        };
        std::size_t first = ends_before(from);
        if (from < text.size() && text[from] == '\n') ++first;
        std::size_t last = ends_before(to);
        if (to == 0 || text[to - 1] != '\n') ++last;
        last = std::min(std::max(last, first), lines.size());
        std::vector<std::string> skipped;
        for (const auto& [name, index] : pattern.fields) {
            if (!name.starts_with("skiplines")) continue;
            std::string_view rest = groups[static_cast<std::size_t>(index)];
            for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
                skipped.emplace_back(rest.substr(0, end));
                rest.remove_prefix(end + 1);
            }
        }
        std::deque<std::string> left;
        std::string matched;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            bool within = i >= first && i < last;
            auto skip = within ? std::ranges::find(skipped, lines[i]) : skipped.end();
            if (within && skip == skipped.end()) {
                matched += lines[i] + "\n";
                continue;
            }
            if (skip != skipped.end()) skipped.erase(skip);
            left.push_back(lines[i]);
        }
        Captured captured;
        take_fail2ban_fields(pattern, groups, captured);
        FilterMatch found;
        bool ignored = is_ignored(filter, matched, found);
        lines = std::move(left);
        if (ignored) return;
        Hit hit = line;
        if (!line.dated && known.time) {
            hit.time = *known.time;
            hit.dated = true;
        }
        hit.pattern = &pattern;
        hit.text.clear();
        hit.address = captured.address;
        hit.name = std::move(captured.name);
        hit.fields = std::move(captured.fields);
        hits.push_back(std::move(hit));
        return;
    }
}

void Conversations::clear() { by_filter_.clear(); }

}  // namespace bandd
