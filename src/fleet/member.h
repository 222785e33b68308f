// SPDX-License-Identifier: GPL-2.0-or-later
// What a node of a fleet knows of bans and says of them: the protocol, without network, disk,
// kernel and engine. Words of all nodes go in, what is to be published and what the fleet's ban of
// a prefix is come out.
//
//   mx1's engine bans 198.51.100.7     → `decided`: a word to publish
//   gate's word of it arrives          → `hear`: what `ban_of` says may be another thing now
//   mx1 is killed before it was stored → the word is in the state, and is published at the start
//
// One thread. Deterministic. Time is an argument.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/types.h"
#include "core/fleet/ban_words.h"
#include "core/fleet/fleet_row.h"
#include "fleet/packets.h"

namespace bandd {

class FleetMember {
  public:
    using Key = BanWords::Key;

    FleetMember(std::string node, std::vector<std::string> counting, FleetTrust trust);
    void set_trust(FleetTrust trust) { trust_ = std::move(trust); }
    const std::string& node() const { return node_; }

    // Why a word on a ban is not taken.
    enum class Refusal : std::uint8_t {
        malformed,
        not_his,  // only counting nodes count, the operator only lifts
        jail,     // `FleetTrust`, from here on
        too_long,
        too_wide,
        too_often,
        too_many,
        no_room,  // for more words
    };
    // What this node decided.
    struct Decision {
        Instant from, until;
        std::uint32_t offence = 1;
        std::uint32_t hits = 0;
        std::string reason;
    };
    void decided(const Key& key, const Decision& decision, Instant now);
    // It takes back what it decided, and does not want what others have decided so far.
    void lifted(const Key& key, Instant now);
    // What the hits of `makers` come to, as a counting node knows; over if it ends as it begins.
    // The limits are those of the makers here, too: more than they may is not said.
    std::optional<Refusal> counted(const Key& key, const Decision& decision,
                                   std::vector<std::string> makers, Instant now);

    // A message about a ban.
    static constexpr std::size_t refusals = 8;
    struct Heard {
        std::optional<Key> key;  // of which `ban_of` may say another thing now
        std::optional<Refusal> refused;
    };
    Heard hear(const FleetMessage& message, Instant now);
    std::optional<FleetBan> ban_of(const Key& key, Instant now) const;
    const BanWords& words() const { return words_; }

    // What is to be published next; nothing: all is, or is under way. `id` counts up from 1.
    std::optional<FleetPublish> next_publication();
    void published(std::uint64_t id);
    // It is published again after a pause.
    void refused(std::uint64_t id);
    // All that was under way went with the process that had it.
    void begin_anew();
    // A stream that was made anew, or of which this node gets all again, may lack its words.
    void on_progress(const FleetProgress& progress);
    // Some of what is to be done every now and then. To be called every `pause`. Gives what nobody
    // has a word on any more.
    static constexpr Duration pause = std::chrono::seconds(10);
    std::vector<Key> on_time(Instant now);

    // Words that are not stored by the server.
    std::size_t unpublished() const { return unsaid_.size() + under_way_.size() + later_.size(); }
    std::uint64_t refused(Refusal why) const { return refused_[static_cast<std::size_t>(why)]; }
    // How often another one's message was found where this node's word should have been.
    std::uint64_t overwritten() const { return overwritten_; }

    // For a checkpoint: what changed, about `most` of it.
    void take_rows(std::vector<FleetRow>& rows, std::size_t most);
    std::size_t waiting_rows() const { return changed_.size() + gone_.size(); }
    void mark_all_changed();
    // False: the row is not of this, or of nothing.
    bool restore(const FleetRow& row);

  private:
    struct WordKey {
        Key key;
        std::string node;
        bool counted = false;
        bool operator==(const WordKey&) const = default;
    };
    struct WordKeyHash {
        std::size_t operator()(const WordKey& word) const {
            return PrefixHash{}(word.key.prefix) ^ std::hash<std::string>{}(word.key.jail) ^
                   (std::hash<std::string>{}(word.node) << 1U) ^ (word.counted ? 1U : 0U);
        }
    };
    // Of a word of this node.
    struct Own {
        BanClass kept = BanClass::hour;  // where its message lies
        bool stored = false;
        bool queued = false;  // in unsaid_, under_way_ or later_
    };
    struct Under {
        WordKey word;
        Stamp stamp;
    };
    struct Node {
        std::map<std::int64_t, std::uint32_t> minutes;  // words, by when they were stored
        std::size_t live = 0;
    };
    static constexpr std::size_t most_minutes = 256;
    static constexpr std::size_t most_nodes = 4096;  // that are told apart as makers of bans
    static constexpr std::size_t forgotten_a_time = 20'000;
    // Words that others have overwritten are said again, so many in a `pause`.
    static constexpr std::size_t most_again = 10'000;
    // Then a word that is over cannot come again as another one.
    static constexpr Duration remembered = std::chrono::minutes(10);

    const BanWord* find(const WordKey& word) const {
        return words_.word_of(word.key, word.node, word.counted);
    }
    BanWord word_of(BanWord::Kind kind, const Decision& decision, std::vector<std::string> makers,
                    Instant now);
    void say(const WordKey& which, BanWord word, bool to_others);
    void queue(const WordKey& which);
    void take_own(const WordKey& which, BanWord word, const BanSubject& subject);
    std::optional<Refusal> judge(const BanSubject& subject, const BanWord& word) const;
    std::optional<Refusal> within_limits(const WordKey& which, const BanWord& word, Instant at);
    BanWords::Taken keep(const WordKey& which, BanWord word);
    void count_live(const BanWord& word, int by);
    void change(const WordKey& which);
    Heard refuse(Refusal why, bool live) {
        if (!live) ++refused_[static_cast<std::size_t>(why)];
        return {{}, why};
    }

    std::string node_;
    std::vector<std::string> counting_;
    FleetTrust trust_;
    StampClock clock_;
    BanWords words_;
    std::unordered_map<WordKey, Own, WordKeyHash> own_;
    std::deque<WordKey> unsaid_;
    std::map<std::uint64_t, Under> under_way_;
    std::vector<WordKey> later_;  // were refused, or overwritten: said again with the next on_time
    std::uint64_t id_ = 0, overwritten_ = 0;
    std::unordered_map<std::string, Node> nodes_;
    std::map<std::string, std::string> made_;  // by stream: which consumer of it
    std::array<std::uint64_t, refusals> refused_{};
    std::unordered_set<WordKey, WordKeyHash> changed_, gone_;
    std::unordered_set<std::string> notes_;  // streams of `made_` that changed
};

// For people: "is wider than this machine lets others ban".
std::string_view to_words(FleetMember::Refusal why);

}  // namespace bandd
