// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/filter_health.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/decide/line_words.h"
#include "core/text/docker.h"

namespace bandd {
namespace {

using Hash = WordHash;
constexpr std::size_t longest_searched = 8192;
constexpr std::uint64_t most_spread_hits = 4096;  // then the older half counts half
constexpr std::uint64_t least_unseen_bytes = 64 << 10;
constexpr std::uint32_t hits_to_see_again = 5;
constexpr std::uint64_t hits_to_save = 256;  // that only they have come is worth it as often
constexpr std::size_t most_rulesets = 256;

// The first word of a tag: postfix/smtpd and sshd-session are of one program with others.
std::string_view stem_of(std::string_view tag) {
    return tag.substr(0, tag.find_first_of("-/_.(@["));
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::string_view name_of(Blindness::Kind kind) {
    static constexpr std::array<std::string_view, 3> names{"filter", "pattern", "tag"};
    return names[static_cast<std::size_t>(kind)];
}

// What is known of filters.

FilterHealth::State& FilterHealth::state_of(const Filter& filter) {
    auto [found, is_new] = states_.try_emplace(filter.identity);
    State& state = found->second;
    if (!is_new && state.patterns.size() == filter.patterns.size()) return state;
    state = {};
    state.patterns.resize(filter.patterns.size());
    for (const Pattern& pattern : filter.patterns)
        each_word(pattern.source, Quoted::taken,
                  [&](std::string_view word) { state.vocabulary.push_back(hash_of(word)); });
    std::ranges::sort(state.vocabulary);
    auto repeated = std::ranges::unique(state.vocabulary);
    state.vocabulary.erase(repeated.begin(), repeated.end());
    learn_tag_texts(filter, state);
    if (auto saved = saved_.find(filter.identity); saved != saved_.end()) {
        State restored = state;
        if (restore_state(restored, saved->second.text)) state = std::move(restored);
        saved_.erase(saved);
    }
    return state;
}

// Where it cannot be told cheaply whether a line has the tag, it is taken to be there.
void FilterHealth::learn_tag_texts(const Filter& filter, State& state) {
    state.tag_seen = true;
    if (!filter.tag) return;
    auto sets = required_literals(*filter.tag);
    if (sets.empty() || std::ranges::any_of(sets.front(), &Literal::any_case)) return;
    for (const Literal& literal : sets.front()) state.tag_texts.push_back(literal.text);
    state.tag_seen = false;
}

FilterHealth::OfRuleset& FilterHealth::states_of(const Ruleset& ruleset) {
    for (OfRuleset& known : rulesets_)
        if (known.identity == ruleset.prepared.identity) return known;
    if (rulesets_.size() == most_rulesets) rulesets_.clear();
    OfRuleset& known = rulesets_.emplace_back();
    known.identity = ruleset.prepared.identity;
    for (const Rule& rule : ruleset.rules) {
        const Filter& filter = *rule.filter;
        bool is_judged = filter.lines == 1 && !filter.converses && !filter.patterns.empty();
        known.states.push_back(is_judged ? &state_of(filter) : nullptr);
    }
    return known;
}

const std::string& FilterHealth::name_of(const State& state) const {
    return std::ranges::find_if(states_, [&](const auto& one) { return &one.second == &state; })
        ->first;
}

void FilterHealth::set(State& state, std::optional<Blindness> blindness) {
    changes_.push_back({name_of(state), blindness});
    state.blindness = std::move(blindness);
    state.hits_since = 0;
    ++version_;
}

// Lines.

FilterHealth::Line FilterHealth::open(const Zone& zone, std::string_view raw, Instant now) {
    Line line;
    Envelope envelope = open_line(raw, zone, now, scratch_.contained, &last_head_);
    line.raw = raw;
    line.tag = envelope.tag;
    line.time = envelope.time;
    // What a client asked of a web server is in quotes; hMailServer's fields all are.
    line.json = envelope.message.starts_with('{');
    bool all_quoted = line.json || envelope.message.starts_with('"');
    Quoted quoted = all_quoted ? Quoted::taken : Quoted::left_out;
    each_word(envelope.message, quoted, [&](std::string_view word) {
        if (line.count == line.words.size()) return;
        if (tells_of_failure(word)) line.failing |= std::uint32_t{1} << line.count;
        line.words[line.count++] = hash_of(word);
    });
    if (line.failing != 0) line.client = client_in(envelope.message);
    return line;
}

// By the words that the filter's patterns hold, or that tell of failures: names of users and hosts
// make no other shape. Nor does another program of the same name: sshd-session writes what sshd
// did.
FilterHealth::Hash FilterHealth::shape_of(const State& state, const Line& line) {
    Hash shape = hash_of(stem_of(line.tag));
    for (std::size_t i = 0; i < line.count; ++i)
        if ((line.failing >> i & 1) != 0 ||
            std::ranges::binary_search(state.vocabulary, line.words[i]))
            shape = add_to_hash(shape, line.words[i]);
    return shape;
}

std::uint64_t FilterHealth::first_seen(State& state, const Line& line, std::uint64_t position) {
    Hash hash = shape_of(state, line);
    auto found = std::ranges::find(state.shapes, hash, &Shape::hash);
    if (found != state.shapes.end()) return found->first;
    ++version_;
    if (state.shapes.size() < most_shapes)
        state.shapes.push_back({hash, position});
    else
        state.shapes[state.next_shape++ % most_shapes] = {hash, position};
    return position;
}

// What the jail's filter knows, though it is no hit.
bool FilterHealth::is_known(const Ruleset& ruleset, const Filter& filter, std::string_view raw,
                            Instant now) {
    if (filter.left_out.empty() && filter.ignore.empty()) return false;
    Seen seen = see(filter, raw, ruleset.zone, now, ruleset.escapes, scratch_);
    return bandd::is_known(filter, seen.text, scratch_);
}

// Whether there are enough hits of these patterns to tell that they stay away.
bool FilterHealth::is_judged(const State& state, const Group& group) {
    return group.hits >= least_hits &&
           (&group == &state.all || group.hits * least_share >= state.all.hits);
}

// Hits may be so far apart.
std::uint64_t FilterHealth::usual_of(const State& state, const Group& group) {
    return (&group == &state.all ? times_mean : times_mean_of_pattern) * group.mean();
}

bool FilterHealth::is_away(const State& state, const Group& group, std::uint64_t position) {
    return position >= group.last_hit + usual_of(state, group);
}

// Whether a line at this place, of a shape that is not ordinary, may be one that was a hit before.
bool FilterHealth::loses(const State& state, const Group& group, std::uint64_t position) {
    if (!is_away(state, group, position)) return false;
    std::uint64_t quiet = position - group.last_hit;
    return &group == &state.all || group.alike.lines > 0 ||
           quiet <= std::max(times_mean_gone * group.mean(), 2 * group.longest_quiet);
}

void FilterHealth::lose(Lost& lost, const Line& line) {
    if (lost.lines++ == 0) lost.since = line.time;
    auto end = lost.client.begin() + static_cast<std::ptrdiff_t>(lost.clients);
    if (lost.clients < least_clients && std::find(lost.client.begin(), end, *line.client) == end)
        lost.client[lost.clients++] = *line.client;
}

bool FilterHealth::is_enough(const Lost& lost, std::uint32_t least) {
    return lost.clients == least_clients &&
           lost.lines >= std::max(least, times_longest * lost.longest);
}

void FilterHealth::set_blind(State& state, const Group& group, const Lost& lost, const Line& line) {
    Blindness blindness;
    if (&group != &state.all) {
        blindness.kind = Blindness::Kind::pattern;
        blindness.pattern = static_cast<std::size_t>(&group - state.patterns.data());
    }
    blindness.lines = lost.lines;
    blindness.since = lost.since;
    blindness.example = line.raw.substr(0, longest_example);
    set(state, std::move(blindness));
}

// Hits.

void FilterHealth::take_hit(State& state, std::size_t pattern, std::uint64_t end) {
    auto take = [&](Group& group) {
        std::uint64_t distance = end - std::min(group.last_hit, end);
        ++group.hits;
        group.spread_bytes += distance;
        if (++group.spread_hits == most_spread_hits) {
            group.spread_hits /= 2;
            group.spread_bytes /= 2;
        }
        group.longest_quiet = std::max(group.longest_quiet, distance);
        group.last_hit = end;
        group.look_at = 0;
        // What was lost before a hit was no failure that these patterns are for.
        for (Lost* lost : {&group.alike, &group.missed})
            if (lost->lines != 0) *lost = Lost{.longest = std::max(lost->longest, lost->lines)};
    };
    take(state.all);
    take(state.patterns[pattern]);
    state.next_look.reset();
    if (state.all.hits % hits_to_save == 0) ++version_;
    if (!state.blindness) return;
    bool is_of_it =
        state.blindness->kind != Blindness::Kind::pattern || state.blindness->pattern == pattern;
    if (is_of_it && ++state.hits_since >= hits_to_see_again) set(state, {});
}

void FilterHealth::learn_tag(State& state, std::string_view tag) {
    std::string_view stem = stem_of(tag);
    if (std::ranges::find(state.tags, stem) != state.tags.end()) return;
    state.tags.emplace_back(stem);
    ++version_;
}

// A pattern was tried on it in vain.
void FilterHealth::take_miss(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                             const Miss& miss, Instant now) {
    State* state = known.states[static_cast<std::size_t>(miss.rule - ruleset.rules.data())];
    if (state == nullptr) return;
    Line line = open(ruleset.zone, miss.line, now);
    if (!line.client) return;
    Group& group =
        state
            ->patterns[static_cast<std::size_t>(miss.pattern - miss.rule->filter->patterns.data())];
    auto at = static_cast<std::uint64_t>(miss.line.data() - lines.data());
    std::uint64_t position = state->begin + at;
    std::uint64_t first = first_seen(*state, line, position);
    if (state->blindness || group.hits < least_hits || first < group.last_hit) return;
    if (is_known(ruleset, *miss.rule->filter, miss.line, now)) return;
    lose(group.missed, line);
    bool is_new = at < state->learning;
    if ((!is_new || is_away(*state, group, position)) &&
        is_enough(group.missed, is_new ? least_lines_if_usual : least_lines))
        set_blind(*state, group, group.missed, line);
}

// Hits and misses in the order of their lines.
void FilterHealth::take_hits(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                             const Hits& hits, Instant now) {
    for (State* state : known.states) {
        if (state == nullptr) continue;
        state->begin = state->position;
        state->position += lines.size();
    }
    auto miss = hits.misses().begin();
    auto take_misses_before = [&](const char* end) {
        for (; miss != hits.misses().end() && miss->line.data() < end; ++miss)
            take_miss(ruleset, known, lines, *miss, now);
    };
    for (const Hit& hit : hits) {
        take_misses_before(hit.line.data());
        auto rule = static_cast<std::size_t>(hit.rule - ruleset.rules.data());
        State* state = known.states[rule];
        if (state == nullptr) continue;
        std::int64_t end =
            std::clamp<std::int64_t>(hit.line.data() + hit.line.size() - lines.data(), 0,
                                     static_cast<std::int64_t>(lines.size()));
        take_hit(*state, static_cast<std::size_t>(hit.pattern - hit.rule->filter->patterns.data()),
                 state->begin + static_cast<std::uint64_t>(end));
        bool is_rare = state->all.hits <= 64 || state->all.hits % 64 == 0;
        if (is_rare && state->tags.size() < most_tags)
            learn_tag(*state, open(ruleset.zone, hit.line, now).tag);
    }
    take_misses_before(lines.data() + lines.size());
}

// Looks at lines, whatever they hold.

// Where hits will have been away for long enough that lines are worth a look.
std::uint64_t FilterHealth::find_look(const State& state) {
    std::uint64_t next = UINT64_MAX;
    auto consider = [&](const Group& group) {
        if (!is_judged(state, group)) return;
        next = std::min(next, group.last_hit + std::max(usual_of(state, group), group.look_at));
    };
    consider(state.all);
    std::ranges::for_each(state.patterns, consider);
    return next;
}

// Which filters want to see lines of this piece, and from where on.
bool FilterHealth::choose_looks(OfRuleset& known, std::size_t size) {
    bool any = false;
    for (State* state : known.states) {
        if (state == nullptr) continue;
        state->look_from = size;
        if (state->learning > 0 || state->looking > 0) {
            state->look_from = 0;
        } else if (!state->blindness) {
            if (!state->next_look) state->next_look = find_look(*state);
            if (*state->next_look >= state->position) continue;
            std::uint64_t from = std::max(*state->next_look, state->begin);
            state->look_from = static_cast<std::size_t>(from - state->begin);
            state->looking = look_bytes;
            auto postpone = [&](Group& group) {
                if (group.last_hit + std::max(usual_of(*state, group), group.look_at) <= from)
                    group.look_at = (from - group.last_hit) * 5 / 4 + look_bytes;
            };
            postpone(state->all);
            std::ranges::for_each(state->patterns, postpone);
            state->next_look.reset();
        }
        any = any || state->look_from < size;
    }
    return any;
}

bool FilterHealth::is_of(const Filter& filter, const State& state, std::string_view tag) {
    bool known = std::ranges::find(state.tags, stem_of(tag)) != state.tags.end();
    return known || (filter.tag && accepts_tag(filter, tag, scratch_));
}

void FilterHealth::look_at(const Ruleset& ruleset, const Rule& rule, State& state, const Line& line,
                           std::uint64_t position, Instant now) {
    // In JSON what clients ask for looks like all else.
    if (!line.client || line.json || !is_of(*rule.filter, state, line.tag)) return;
    std::uint64_t first = first_seen(state, line, position);
    auto may_lose = [&](const Group& group) {
        return !state.blindness && is_judged(state, group) && first >= group.last_hit &&
               loses(state, group, position);
    };
    // Of all patterns whose hits are away, it is the one that had most of them.
    Group* pattern = nullptr;
    for (Group& one : state.patterns)
        if (may_lose(one) && (pattern == nullptr || one.hits > pattern->hits)) pattern = &one;
    bool of_all = may_lose(state.all);
    if (of_all || pattern != nullptr)
        if (is_known(ruleset, *rule.filter, line.raw, now)) return;
    ++state.alike;
    if (of_all) judge(state, state.all, line, position);
    if (pattern != nullptr && !state.blindness) judge(state, *pattern, line, position);
}

// A line that looks like one that was a hit before.
void FilterHealth::judge(State& state, Group& group, const Line& line, std::uint64_t position) {
    lose(group.alike, line);
    if (group.alike.lines <= lines_to_go_on) state.looking = look_bytes;
    std::uint64_t quiet = position - group.last_hit;
    bool is_usual = quiet <= group.longest_quiet || state.learning > 0;
    std::uint32_t least = is_usual ? least_lines_if_usual : least_lines;
    if (&group != &state.all) {
        if (group.alike.lines * group.mean() * least_rate < quiet) return;
        if (state.learning == 0) least = least_lines_of_pattern;
    }
    if (is_enough(group.alike, least)) set_blind(state, group, group.alike, line);
}

void FilterHealth::look(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                        const Hits& hits, bool sample, Instant now) {
    std::size_t from = lines.size();
    lookers_.clear();
    for (std::size_t rule = 0; rule < known.states.size(); ++rule) {
        const State* state = known.states[rule];
        if (state == nullptr || state->look_from >= lines.size()) continue;
        from = std::min(from, state->look_from);
        lookers_.push_back(rule);
    }
    if (sample) from = 0;
    auto left_of = [](auto& state) -> auto& {
        return state.learning > 0 ? state.learning : state.looking;
    };
    auto wants = [&](const State& state, std::size_t at) {
        return at >= state.look_from && left_of(state) > 0;
    };
    const Hit* hit = hits.begin();
    for (std::size_t begin = from; begin < lines.size();) {
        std::size_t end = std::min(lines.find('\n', begin), lines.size());
        std::string_view raw =
            within_limit(lines.substr(begin, end - begin), ruleset.line_limit).line;
        std::size_t at = std::exchange(begin, end + 1);
        while (hit != hits.end() && hit->line.data() < raw.data()) ++hit;
        bool is_hit = hit != hits.end() && hit->line.data() == raw.data();
        std::optional<Line> line;
        auto show = [&](std::size_t rule) {
            if (is_hit) return;
            if (!line) line = open(ruleset.zone, raw, now);
            State& state = *known.states[rule];
            look_at(ruleset, ruleset.rules[rule], state, *line, state.begin + at, now);
        };
        if (sample && at == 0)
            for (std::size_t rule = 0; rule < known.states.size(); ++rule)
                if (const State* state = known.states[rule]; state != nullptr && !wants(*state, at))
                    show(rule);
        bool more = false;
        for (std::size_t rule : lookers_) {
            State& state = *known.states[rule];
            std::uint64_t& left = left_of(state);
            more = more || left > 0;
            if (!wants(state, at)) continue;
            show(rule);
            left -= std::min<std::uint64_t>(left, end + 1 - at);
        }
        if (!more) break;
    }
}

// Only what comes while it is written is searched for a tag, and nothing is said of a day on which
// much else came.
void FilterHealth::look_for_tags(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                                 Instant now) {
    std::optional<Instant> time;
    bool searches = lines.size() <= longest_searched;
    for (State* state : known.states) {
        if (state == nullptr || state->tag_seen) continue;
        state->bytes += lines.size();
        if (!searches && state->all.hits == 0) continue;
        state->searched += lines.size();
        bool there = state->all.hits > 0 ||
                     std::ranges::any_of(state->tag_texts, [&](const std::string& text) {
                         return lines.find(text) != std::string_view::npos;
                     });
        if (there) {
            see_tag(*state);
            continue;
        }
        if (state->blindness) continue;
        if (!time) time = open(ruleset.zone, first_line(lines), now).time;
        if (!time) return;
        if (!state->first) state->first = time;
        if (*time - *state->first < long_unseen || state->bytes < least_unseen_bytes) continue;
        if (state->searched < state->bytes / 10 * 9) {
            state->bytes = state->searched = 0;
            state->first = time;
        } else {
            set(*state, Blindness{.kind = Blindness::Kind::tag, .since = state->first});
        }
    }
}

void FilterHealth::see_tag(State& state) {
    state.tag_seen = true;
    ++version_;
    if (state.blindness && state.blindness->kind == Blindness::Kind::tag) set(state, {});
}

void FilterHealth::take(const Ruleset& ruleset, std::string_view lines, const Hits& hits,
                        Instant now) {
    if (lines.empty()) return;
    last_head_ = {};
    OfRuleset& known = states_of(ruleset);
    take_hits(ruleset, known, lines, hits, now);
    since_sample_ += lines.size();
    bool sample = since_sample_ >= sample_bytes;
    if (sample) since_sample_ = 0;
    if (choose_looks(known, lines.size()) || sample) look(ruleset, known, lines, hits, sample, now);
    look_for_tags(ruleset, known, lines, now);
}

// For people, and for the state.

std::optional<FilterHealth::Counts> FilterHealth::counts(std::string_view filter) const {
    auto found = states_.find(filter);
    if (found == states_.end()) return {};
    return Counts{found->second.all.hits, found->second.alike};
}

const Blindness* FilterHealth::blindness(std::string_view filter) const {
    auto of = [](const auto& all, std::string_view name) -> const Blindness* {
        auto found = all.find(name);
        return found == all.end() || !found->second.blindness ? nullptr : &*found->second.blindness;
    };
    const Blindness* now = of(states_, filter);
    return now != nullptr ? now : of(saved_, filter);
}

}  // namespace bandd
