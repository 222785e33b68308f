// SPDX-License-Identifier: GPL-2.0-or-later
// Notices that a filter has become blind: its program goes on to complain of clients, in words that
// no pattern knows. Learned of each filter, and of each of its patterns, from its own log:
//
// - how far its hits are apart, and the tags of their lines;
// - the shapes of lines that look like failures (a word such as "failed", and an address) and are
//   no hits, and when each was seen first. A shape is the line's words that patterns know, and its
//   program. One that was there before the last hit is an ordinary line.
//
// A filter, or a pattern that has its share of the hits, is blind if its hits stay away for longer
// than usual, while lines of its program come that look like failures of several clients, in
// shapes that are not ordinary. Of a pattern they must be about as many as its hits were, and
// begin about when these stopped: patterns go out of use, too. Lines with texts of a pattern that
// does not match them count, whatever its share. What an ignoreregex matches, or a pattern that
// the jail leaves out (`mode`, `patterns`), is known, and no loss.
//
// It costs little: hits are counted, and lines that a pattern was tried on in vain are looked at.
// Of the others one in 64 KiB is; more only while a filter is new, or hits stay away.
// Nothing depends on a clock or on how lines come in pieces, but for which ones are sampled.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/match/hit.h"
#include "core/match/ruleset.h"
#include "core/match/scanner.h"

namespace bandd {

// What is wrong with a filter.
struct Blindness {
    enum class Kind : std::uint8_t {
        filter,   // no pattern matches any more
        pattern,  // this one does not
        tag,      // no line of the tag was ever there
    };
    Kind kind = Kind::filter;
    std::size_t pattern = 0;       // of a pattern: its place among the filter's
    std::uint64_t lines = 0;       // that look like failures and are no hits
    std::optional<Instant> since;  // of the first one, if it has a date
    std::string example;           // the last one; as the log has it, at most longest_example
};

std::string_view name_of(Blindness::Kind kind);  // "filter", "pattern", "tag"

class FilterHealth {
  public:
    // A filter, or a pattern, with fewer hits is not judged.
    static constexpr std::uint32_t least_hits = 30;
    // A pattern with a smaller share of the filter's hits is judged by its own texts only.
    static constexpr std::uint64_t least_share = 8;  // an eighth
    // So many lines of so many clients; more, while hits have been away for longer before, and
    // while the filter is new.
    static constexpr std::uint32_t least_lines = 6, least_lines_if_usual = 12;
    static constexpr std::uint32_t least_lines_of_pattern = 8;  // that have about its hits' rate
    static constexpr std::size_t least_clients = 3;
    // And more than the longest run of such lines that a hit has ended.
    static constexpr std::uint32_t times_longest = 3;
    // Hits are away for longer than usual after this many times their mean distance.
    static constexpr std::uint64_t times_mean = 8, times_mean_of_pattern = 5;
    // A pattern whose hits were away for so many times their mean distance, and twice as long as
    // ever before, when such lines begin, is out of use.
    static constexpr std::uint64_t times_mean_gone = 100;
    // And such lines come at least at this part of its hits' rate.
    static constexpr std::uint64_t least_rate = 8;  // an eighth
    // Bytes that are looked at line by line: of a new filter, and when hits stay away. The next
    // look is when they have been away for a quarter longer; while such lines come, it goes on.
    static constexpr std::uint64_t learning_bytes = 256 << 10, look_bytes = 16 << 10;
    static constexpr std::uint32_t lines_to_go_on = 64;
    static constexpr std::uint64_t sample_bytes = 64 << 10;
    static constexpr std::size_t most_shapes = 256, most_tags = 4, longest_example = 300;
    // Within a day of reading there should be a line of the tag.
    static constexpr Duration long_unseen = std::chrono::hours(24);

    // Lines of one source in their order, with what was found in them; `now` is what dates without
    // a year are read by. All of it may be gone afterwards.
    void take(const Ruleset& ruleset, std::string_view lines, const Hits& hits, Instant now);

    struct Change {
        std::string filter;                  // its identity
        std::optional<Blindness> blindness;  // nothing: it sees again
    };
    // What has changed since the last call.
    std::vector<Change> take_changes() { return std::exchange(changes_, {}); }

    struct Counts {
        std::uint64_t hits = 0;
        std::uint64_t alike = 0;  // lines that were looked at, look like failures and are no hits
    };
    // By the filter's identity; nothing: no line of its log came yet.
    std::optional<Counts> counts(std::string_view filter) const;
    const Blindness* blindness(std::string_view filter) const;

    // All that was learned, as text of some hundred bytes a filter.
    std::string save() const;
    void restore(std::string_view saved);
    // Counts what is worth saving.
    std::uint64_t version() const { return version_; }

  private:
    using Hash = std::uint32_t;
    // Lines that were lost since the last hit.
    struct Lost {
        std::uint32_t lines = 0, longest = 0;  // the longest that a hit has ended
        std::size_t clients = 0;
        std::array<Hash, least_clients> client{};
        std::optional<Instant> since;
    };
    // All patterns of a filter, or one. Positions count the bytes of a filter's logs.
    struct Group {
        std::uint64_t hits = 0;
        std::uint64_t spread_bytes = 0, spread_hits = 0;  // so far apart are hits in the mean
        std::uint64_t last_hit = 0, longest_quiet = 0;
        std::uint64_t look_at = 0;  // the next look is after so many bytes without a hit
        Lost alike;                 // lines that look like failures
        Lost missed;                // of one pattern: lines with its texts
        std::uint64_t mean() const { return spread_bytes / std::max(spread_hits, UINT64_C(1)) + 1; }
    };
    struct Shape {
        Hash hash = 0;
        std::uint64_t first = 0;  // where it was seen
    };
    // What is known of a filter.
    struct State {
        std::vector<Hash> vocabulary;   // of its patterns; sorted
        std::vector<std::string> tags;  // of its hits; first words
        Group all;
        std::vector<Group> patterns;
        std::vector<Shape> shapes;  // a ring once it is full
        std::size_t next_shape = 0;
        std::uint64_t alike = 0;
        std::uint64_t position = 1;  // of the end of what was taken
        std::uint64_t learning = learning_bytes;
        std::uint64_t looking = 0;               // bytes that are left of a look
        std::optional<std::uint64_t> next_look;  // where it begins; nothing: to be found
        std::optional<Blindness> blindness;
        std::uint32_t hits_since = 0;
        // While no line of its tag was seen.
        bool tag_seen = false;
        std::vector<std::string> tag_texts;
        std::uint64_t bytes = 0, searched = 0;
        std::optional<Instant> first;
        // Of the piece that is taken.
        std::uint64_t begin = 0;  // its position
        std::size_t look_from = 0;
    };
    // What was restored, of a filter that has no lines yet.
    struct Saved {
        std::string text;
        std::optional<Blindness> blindness;
    };
    // A line, as far as it is the same for all filters.
    struct Line {
        std::string_view raw, tag;
        std::optional<Instant> time;
        std::optional<Hash> client;  // of one that looks like a failure
        bool json = false;
        std::size_t count = 0;
        std::array<Hash, 32> words{};
        std::uint32_t failing = 0;  // bits of the words that tell of failures
    };
    struct OfRuleset {
        std::shared_ptr<const void> identity;
        std::vector<State*> states;  // by rule; null: is not judged
    };

    OfRuleset& states_of(const Ruleset& ruleset);
    State& state_of(const Filter& filter);
    void learn_tag_texts(const Filter& filter, State& state);
    Line open(const Zone& zone, std::string_view raw, Instant now);
    void take_hits(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                   const Hits& hits, Instant now);
    void take_hit(State& state, std::size_t pattern, std::uint64_t end);
    void learn_tag(State& state, std::string_view tag);
    void take_miss(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                   const Miss& miss, Instant now);
    bool choose_looks(OfRuleset& known, std::size_t size);
    void look(const Ruleset& ruleset, OfRuleset& known, std::string_view lines, const Hits& hits,
              bool sample, Instant now);
    void look_at(const Ruleset& ruleset, const Rule& rule, State& state, const Line& line,
                 std::uint64_t position, Instant now);
    void judge(State& state, Group& group, const Line& line, std::uint64_t position);
    bool is_of(const Filter& filter, const State& state, std::string_view tag);
    bool is_known(const Ruleset& ruleset, const Filter& filter, std::string_view raw, Instant now);
    void look_for_tags(const Ruleset& ruleset, OfRuleset& known, std::string_view lines,
                       Instant now);
    void see_tag(State& state);
    std::uint64_t first_seen(State& state, const Line& line, std::uint64_t position);
    void set(State& state, std::optional<Blindness> blindness);
    void set_blind(State& state, const Group& group, const Lost& lost, const Line& line);
    static Hash shape_of(const State& state, const Line& line);
    static bool is_judged(const State& state, const Group& group);
    static std::uint64_t usual_of(const State& state, const Group& group);
    static bool loses(const State& state, const Group& group, std::uint64_t position);
    static std::uint64_t find_look(const State& state);
    static void lose(Lost& lost, const Line& line);
    static bool is_away(const State& state, const Group& group, std::uint64_t position);
    static bool is_enough(const Lost& lost, std::uint32_t least);
    const std::string& name_of(const State& state) const;
    static std::string save_state(const State& state);
    static bool restore_state(State& state, std::string_view text);

    std::map<std::string, State, std::less<>> states_;  // by the filter's identity
    std::vector<OfRuleset> rulesets_;
    std::map<std::string, Saved, std::less<>> saved_;
    std::vector<Change> changes_;
    MatchScratch scratch_;
    LastHead last_head_;                // of the lines that are taken
    std::vector<std::size_t> lookers_;  // rules that want to see lines of them
    std::uint64_t since_sample_ = 0, version_ = 0;
};

}  // namespace bandd
