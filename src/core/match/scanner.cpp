// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/scanner.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/text/docker.h"

namespace bandd {
namespace {

using View = Prepared::View;

// Of those that see a line alike.
std::uint32_t any_rule_of(const View& view) {
    return !view.patterns.empty() ? view.patterns.front().first
           : !view.always.empty() ? view.always.front()
                                  : view.joining.front();
}

struct Line {
    std::string_view raw;
    std::optional<Instant> time;
    const std::optional<Address>& sender;
    std::uint16_t times = 1;    // so many messages it stands for
    std::string_view pid = {};  // of the syslog head
    bool cut = false;           // its end is missing
};

CheckSet that_may_match(const Ruleset& ruleset, CheckSet checks, std::string_view text,
                        std::vector<std::uint64_t>& which) {
    std::size_t row = text.empty() ? row_of_empty_text : static_cast<unsigned char>(text.front());
    which.resize(ruleset.prepared.words);
    for (std::size_t i = 0; i < ruleset.prepared.words; ++i)
        which[i] = checks[i] & ruleset.prepared.may_begin[row * ruleset.prepared.words + i];
    return which.data();
}

// The field of a hit that tells which machine sent the message.
constexpr const char* sender_field = "log_sender";

bool accepts_sender(const Filter& filter, const Line& line) {
    return filter.senders.empty() || (line.sender && filter.senders.contains(*line.sender));
}

constexpr std::uint32_t none_dropped = UINT32_MAX;

// Those of a view's patterns that are among the checks, in order, into scratch.matched. If many of
// these are not quick, only those that the set finds to match; gives the first one that it drops.
std::uint32_t find_matching(const View& view, CheckSet checks, std::string_view message,
                            Scratch& scratch) {
    std::vector<std::uint32_t>& matched = scratch.matched;
    matched.clear();
    std::size_t slow = 0;
    for_checks(checks, view.first_check, view.end_of_patterns(), [&](CheckNumber check) {
        matched.push_back(check - view.first_check);
        slow += view.quick[matched.back()] ? 0 : 1;
    });
    if (slow < least_for_set || !view.set) return none_dropped;
    RE2::Set::ErrorInfo error{};
    scratch.set_matched.clear();
    if (!view.set->Match(re2::StringPiece(message.data(), message.size()), &scratch.set_matched,
                         &error) &&
        error.kind != RE2::Set::kNoError) {
        // Its DFA ran out of memory. An attacker who causes that must not get through.
        ++scratch.counts.set_failures;
        return none_dropped;
    }
    std::uint32_t dropped = none_dropped;
    std::erase_if(matched, [&](std::uint32_t index) {
        bool drop = !view.quick[index] && std::ranges::none_of(scratch.set_matched, [&](int found) {
            return view.in_set[static_cast<std::size_t>(found)] == index;
        });
        if (drop) dropped = std::min(dropped, index);
        return drop;
    });
    return dropped;
}

// How many hits a match is: "(auth failed, 3 attempts in 8 secs)". A line that is there whatever
// was tried, and is repeated, tells of one attempt all the same.
std::uint16_t times_of(const FilterMatch& found, std::uint16_t times) {
    if (found.pattern->once) times = 1;
    if (!found.pattern->times) return times;
    std::string_view digits = found.captured.fields.find("times").value_or("");
    std::uint16_t attempts = 1;
    auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), attempts);
    if (fault == std::errc::result_out_of_range) attempts = UINT16_MAX;
    return static_cast<std::uint16_t>(
        std::clamp<std::uint32_t>(std::uint32_t{attempts} * times, 1, UINT16_MAX));
}

void add_hit(const Rule& rule, const Line& line, Scratch& scratch, Hits& hits) {
    FilterMatch& found = scratch.found;
    if (line.cut && !holds_in_cut_line(*found.pattern)) {
        ++scratch.counts.cut_matches;
        return;
    }
    if (found.fate == LineFate::ignored) {
        ++scratch.counts.ignored;
        return;
    }
    ++scratch.counts.hits;
    if (!line.time) ++scratch.counts.undated;
    if (line.sender) found.captured.fields.add(sender_field, to_string(*line.sender));
    if (rule.filter->session_by_pid && !line.pid.empty())
        found.captured.fields.add(process_field, line.pid);
    Hit& hit = hits.add();
    hit.rule = &rule;
    hit.pattern = found.pattern;
    hit.time = line.time.value_or(Instant{});
    hit.line = line.raw;
    hit.address = found.captured.address;
    hit.dated = line.time.has_value();
    hit.times = times_of(found, line.times);
    hit.fields.clear();
    clear_kept(hit.name);
    if (!found.captured.name.empty()) hit.name.swap(found.captured.name);
    // Exchanged, so that memory stays with both; but not for nothing.
    if (!found.captured.fields.empty()) std::swap(hit.fields, found.captured.fields);
}

// `message` is what the view's patterns see.
void scan_message(const Ruleset& ruleset, const View& view, std::string_view tag,
                  std::string_view message, const Line& line, CheckSet checks, Scratch& scratch,
                  Hits& hits) {
    std::uint32_t missed = find_matching(
        view, that_may_match(ruleset, checks, message, scratch.beginning), message, scratch);
    TagMemo::Row tags = scratch.tags.row(tag);
    std::size_t done_rule = SIZE_MAX;  // a rule gives at most one hit a line
    std::size_t tag_rule = SIZE_MAX;
    bool tag_fits = false;
    for (std::uint32_t index : scratch.matched) {
        auto [rule_index, pattern_index] = view.patterns[index];
        if (rule_index == done_rule) continue;
        const Rule& rule = ruleset.rules[rule_index];
        const Pattern& pattern = rule.filter->patterns[pattern_index];
        if (tag_rule != rule_index) {
            tag_rule = rule_index;
            tag_fits = tags.accepts(rule_index, *rule.filter, scratch.match) &&
                       accepts_sender(*rule.filter, line);
        }
        if (!tag_fits) continue;
        scratch.found.fate = LineFate::no_match;
        if (!match_pattern(*rule.filter, pattern, message, scratch.match, scratch.found)) {
            if (scratch.found.fate == LineFate::no_address) ++scratch.counts.no_address;
            missed = std::min(missed, index);
            continue;
        }
        done_rule = rule_index;
        add_hit(rule, line, scratch, hits);
    }
    if (missed == none_dropped || done_rule != SIZE_MAX) return;
    auto [rule_index, pattern_index] = view.patterns[missed];
    const Rule& rule = ruleset.rules[rule_index];
    if (tags.accepts(rule_index, *rule.filter, scratch.match))
        hits.add_miss({&rule, &rule.filter->patterns[pattern_index], line.raw});
}

void scan_opened(const Ruleset& ruleset, const View& view, const Envelope& envelope, Instant now,
                 Line line, CheckSet checks, Scratch& scratch, Hits& hits) {
    std::string_view message = message_of(envelope, ruleset.escapes, scratch.match.message);
    if (view.json) {
        Seen seen = see_json(*view.json, envelope, message, ruleset.zone, now, scratch.match);
        if (seen.json == JsonReader::Outcome::broken) ++scratch.counts.broken_json;
        if (seen.json != JsonReader::Outcome::read) return;
        message = seen.text;
        line.time = seen.time;
    }
    scan_message(ruleset, view, envelope.tag, message, line, checks, scratch, hits);
}

void add_line(const Rule& rule, const Line& line, std::string_view text, Hits& hits) {
    LineToJoin& added = hits.add_line();
    added.rule = &rule;
    added.time = line.time.value_or(Instant{});
    added.dated = line.time.has_value();
    added.line = line.raw;
    added.text = text;
}

// A line of fail2ban's dialect, its date cut out.
void scan_undated(const Ruleset& ruleset, const View& view, const Seen& seen, const Line& line,
                  CheckSet checks, Scratch& scratch, Hits& hits) {
    for (std::uint32_t rule_index : view.joining) {
        if (line.cut) break;
        const Rule& rule = ruleset.rules[rule_index];
        if (accepts_sender(*rule.filter, line)) add_line(rule, line, seen.text, hits);
    }
    find_matching(view, checks, seen.text, scratch);
    std::vector<std::uint32_t>& rules = scratch.rules;
    rules.clear();
    for_checks(checks, view.end_of_patterns(), view.end(), [&](CheckNumber check) {
        rules.push_back(view.always[check - view.end_of_patterns()]);
    });
    for (std::uint32_t index : scratch.matched) rules.push_back(view.patterns[index].first);
    if (rules.empty()) return;
    std::ranges::sort(rules);
    auto last = std::unique(rules.begin(), rules.end());
    for (auto it = rules.begin(); it != last; ++it) {
        const Rule& rule = ruleset.rules[*it];
        if (!accepts_sender(*rule.filter, line)) continue;
        scratch.found = match(*rule.filter, {}, seen.text, scratch.match);
        switch (scratch.found.fate) {
            case LineFate::no_address:
                ++scratch.counts.no_address;
                break;
            case LineFate::gave_up:
                ++scratch.counts.gave_up;
                break;
            case LineFate::hit:
            case LineFate::ignored:
                add_hit(rule, line, scratch, hits);
                break;
            case LineFate::no_match:
            case LineFate::wrong_tag:
            case LineFate::no_json:
                break;
        }
    }
}

bool wants(const View& view, CheckSet checks) {
    return !view.joining.empty() || has_any(checks, view.first_check, view.end());
}

void scan_line(const Ruleset& ruleset, std::string_view whole, const std::optional<Address>& sender,
               CheckSet checks, Instant now, Scratch& scratch, Hits& hits) {
    auto [raw, over] = within_limit(whole, ruleset.line_limit);
    ++scratch.counts.candidates;
    Envelope envelope = open_line(raw, ruleset.zone, now, scratch.match.contained,
                                  &scratch.last_head, ruleset.prepared.dates_within);
    if (envelope.tag == own_tag) return;
    bool cut = envelope.cut || over;
    for (const View& view : ruleset.prepared.views) {
        if (!wants(view, checks)) continue;
        if (view.dialect == Dialect::bandd) {
            scan_opened(ruleset, view, envelope, now,
                        {raw, envelope.time, sender, envelope.times, envelope.pid, cut}, checks,
                        scratch, hits);
            continue;
        }
        const Rule& any = ruleset.rules[any_rule_of(view)];
        Seen seen = see(*any.filter, raw, ruleset.zone, now, ruleset.escapes, scratch.match);
        scan_undated(ruleset, view, seen, {raw, seen.time, sender, 1, {}, cut}, checks, scratch,
                     hits);
    }
}

// 64 sums side by side, which the compiler keeps in vector registers; each fits a byte for 255
// rounds.
std::uint64_t count_line_ends(std::string_view bytes) {
    constexpr std::size_t lanes = 64;
    constexpr std::size_t most_rounds = 255;
    std::uint64_t count = 0;
    while (bytes.size() >= lanes) {
        std::size_t rounds = std::min(bytes.size() / lanes, most_rounds);
        std::array<std::uint8_t, lanes> sums{};
        for (std::size_t round = 0; round < rounds; ++round)
            for (std::size_t lane = 0; lane < lanes; ++lane)
                sums[lane] = static_cast<std::uint8_t>(
                    sums[lane] + (bytes[round * lanes + lane] == '\n' ? 1 : 0));
        for (std::uint8_t sum : sums) count += sum;
        bytes.remove_prefix(rounds * lanes);
    }
    return count + static_cast<std::uint64_t>(std::ranges::count(bytes, '\n'));
}

// Line ends, and lines that are longer than the limit.
void count_lines(std::string_view bytes, std::size_t limit, ScanCounts& counts) {
    counts.lines += count_line_ends(bytes);
    if (!bytes.empty() && bytes.back() != '\n') ++counts.lines;
    while (bytes.size() > limit) {
        auto last = bytes.rfind('\n', limit);
        if (last != std::string_view::npos) {
            bytes.remove_prefix(last + 1);
            continue;
        }
        auto end = bytes.find('\n');
        counts.cut += within_limit(bytes.substr(0, end), limit).cut ? 1 : 0;
        bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    }
}

}  // namespace

ScanCounts& ScanCounts::operator+=(const ScanCounts& more) {
    lines += more.lines;
    candidates += more.candidates;
    hits += more.hits;
    ignored += more.ignored;
    no_address += more.no_address;
    undated += more.undated;
    broken_json += more.broken_json;
    cut += more.cut;
    cut_matches += more.cut_matches;
    set_failures += more.set_failures;
    gave_up += more.gave_up;
    return *this;
}

void scan(const Ruleset& ruleset, const Chunk& chunk, Instant now, Scratch& scratch, Hits& hits) {
    const Prepared& prepared = ruleset.prepared;
    const Candidates& candidates = scratch.candidates;
    std::string_view bytes = chunk.bytes;
    scratch.last_head = {};
    scratch.tags.begin(prepared.identity, ruleset.rules.size());
    count_lines(bytes, ruleset.line_limit, scratch.counts);
    bool searched = prepared.gate && find_candidates(ruleset, bytes, scratch.candidates);
    auto look_at = [&](std::size_t begin, std::size_t end, CheckSet checks) {
        std::string_view line = bytes.substr(begin, end - begin);
        if (!line.empty()) scan_line(ruleset, line, chunk.sender, checks, now, scratch, hits);
    };
    auto checks_of = [&](std::size_t candidate) {
        return candidates.checks.data() + candidate * prepared.words;
    };
    if (searched && !prepared.looks_at_every_line) {
        for (std::size_t i = 0; i < candidates.lines.size(); ++i)
            look_at(candidates.lines[i].begin, candidates.lines[i].end, checks_of(i));
        return;
    }
    scratch.all_checks.assign(prepared.words, ~std::uint64_t{0});
    std::size_t next = 0;  // of the candidates
    for (std::size_t begin = 0; begin < bytes.size();) {
        std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
        CheckSet checks = searched ? prepared.every_line.data() : scratch.all_checks.data();
        if (searched && next < candidates.lines.size() && candidates.lines[next].begin == begin)
            checks = checks_of(next++);
        look_at(begin, end, checks);
        begin = end + 1;
    }
}

namespace {

std::optional<Instant> last_time_in(const Zone& zone, const Ruleset& ruleset,
                                    std::string_view bytes, Instant now) {
    while (bytes.ends_with('\n')) bytes.remove_suffix(1);
    auto before = bytes.rfind('\n');
    std::string_view line = before == std::string_view::npos ? bytes : bytes.substr(before + 1);
    MatchScratch scratch;
    if (auto time = open_line(line, zone, now, scratch.contained).time) return time;
    for (const View& view : ruleset.prepared.views) {
        if (view.dialect != Dialect::fail2ban && !view.json) continue;
        const Rule& any = ruleset.rules[any_rule_of(view)];
        if (auto time = see(*any.filter, line, zone, now, ruleset.escapes, scratch).time)
            return time;
    }
    return {};
}

}  // namespace

std::optional<Instant> last_time(const Ruleset& ruleset, std::string_view bytes, Instant now) {
    return last_time_in(ruleset.zone, ruleset, bytes, now);
}

bool last_time_names_zone(const Ruleset& ruleset, std::string_view bytes, Instant now) {
    constexpr int an_hour = 3600;
    return last_time_in(Zone::fixed(0), ruleset, bytes, now) ==
           last_time_in(Zone::fixed(an_hour), ruleset, bytes, now);
}

}  // namespace bandd
