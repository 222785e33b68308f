// SPDX-License-Identifier: GPL-2.0-or-later
// What the nodes of a fleet say of bans, and what it comes to. Each node has one last word on each
// prefix of a jail; all words together are merged, so that all nodes that have the same words know
// the same bans, in whatever order and however often these came.
//
//   mx1: 198.51.100.7 banned 10:00:09 to 11:00:09          (its own maxretry: at once)
//   gate, who counts: 198.51.100.7 banned 10:00:05 to 11:00:05   (mx2's hits are in it)
//   → 10:00:05 to 11:00:05, on all nodes
//   operator at 10:20: lifted → no ban; what began until then is dead, whoever says it later
//
// One thread. Deterministic. Time is an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/address.h"
#include "core/base/instant.h"
#include "core/fleet/stamp.h"

namespace bandd {

// The node's name of words that come from nobody's machine: whoever has the operator's file may
// lift what others banned.
inline constexpr std::string_view operator_name = "operator";

struct BanWord {
    enum class Kind : std::uint8_t {
        decided,  // by this node: by its own lines, by hand, by a policy, for another program
        // By all nodes' hits: it replaces what single nodes decided at the same time. A word of its
        // own, beside what the node decided. It is over if it ends as it begins.
        counted,
        lifted  // a node's own ban is over; by the operator: all that began until then is
    };
    Kind kind = Kind::decided;
    Stamp stamp;  // and who says it
    Instant from, until;
    std::uint32_t offence = 1;
    std::uint32_t hits = 0;
    std::vector<std::string> makers;  // nodes whose hits made it; ascending
    std::string reason;
    bool is_counted() const { return kind == Kind::counted; }
    bool operator==(const BanWord&) const = default;
};

struct FleetBan {
    Instant from, until;
    std::uint32_t offence = 1;
    std::uint32_t hits = 0;
    bool counted = false;
    std::string said_by;
    std::vector<std::string> makers;
    std::string reason;
    bool operator==(const FleetBan&) const = default;
};

// The ban that is in force at `now` by these words, of which each is another node's. What the node
// `here` lifted is lifted on its own machine, whoever banned it; `here` may be empty.
std::optional<FleetBan> merged(std::span<const BanWord> words, Instant now,
                               std::string_view here = {});

class BanWords {
  public:
    struct Key {
        std::string jail;
        Prefix prefix;
        bool operator==(const Key&) const = default;
    };
    // Words on different prefixes that are kept; further ones are refused until some are over.
    explicit BanWords(std::size_t limit = 2'000'000) : limit_(limit) {}

    enum class Taken {
        later,  // than what the node said before: `ban_of` may say something else now
        known,  // or an earlier one
        no_room
    };
    Taken take(const Key& key, BanWord word);
    std::optional<FleetBan> ban_of(const Key& key, Instant now, std::string_view here = {}) const;
    std::span<const BanWord> words(const Key& key) const;
    // Of one node; null if it said nothing.
    const BanWord* word_of(const Key& key, std::string_view node, bool counted) const;
    // Calls `visit` with keys, about `most` at a time; goes on where it ended. False: that was all.
    template <class Visit>
    bool visit_some(std::size_t& bucket, std::size_t most, const Visit& visit) const {
        for (std::size_t seen = 0; bucket < words_.bucket_count() && seen < most; ++bucket, ++seen)
            for (auto one = words_.begin(bucket); one != words_.end(bucket); ++one)
                visit(one->first);
        return bucket < words_.bucket_count();
    }

    // Forgets what is over since `before`. Looks at `most` keys, goes on where it ended. What it
    // forgot.
    using Forgotten = std::vector<std::pair<Key, std::vector<BanWord>>>;
    Forgotten forget(Instant before, std::size_t most);
    std::size_t size() const { return words_.size(); }

  private:
    struct KeyHash {
        std::size_t operator()(const Key& key) const {
            return PrefixHash{}(key.prefix) ^ std::hash<std::string>{}(key.jail);
        }
    };
    std::size_t limit_;
    std::unordered_map<Key, std::vector<BanWord>, KeyHash> words_;
    std::size_t bucket_ = 0;  // where `forget` goes on
};

}  // namespace bandd
