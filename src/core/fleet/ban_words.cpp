// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/fleet/ban_words.h"

#include <algorithm>

namespace bandd {
namespace {

bool overlap(const BanWord& one, const BanWord& other) {
    return one.from < other.until && other.from < one.until;
}

}  // namespace

std::optional<FleetBan> merged(std::span<const BanWord> words, Instant now, std::string_view here) {
    // A word that comes later may tell of a ban that began before: its node did not know.
    Instant lifted{INT64_MIN};
    for (const BanWord& word : words)
        if (word.kind == BanWord::Kind::lifted &&
            (word.stamp.node == operator_name || word.stamp.node == here))
            lifted = std::max(lifted, word.stamp.time);
    auto lives = [&](const BanWord& word) {
        return word.kind != BanWord::Kind::lifted && word.from > lifted;
    };
    // Who counts says it anew whenever it changes, so the last one knew most.
    const BanWord* last_counted = nullptr;
    for (const BanWord& word : words)
        if (word.is_counted() && lives(word) &&
            (last_counted == nullptr || word.stamp > last_counted->stamp))
            last_counted = &word;
    bool withdrawn = last_counted != nullptr && last_counted->until <= last_counted->from;
    const BanWord* counted = withdrawn ? nullptr : last_counted;

    std::optional<FleetBan> ban;
    const BanWord* last = nullptr;  // whose words are told
    for (const BanWord& word : words) {
        if (!lives(word) || word.until <= now) continue;
        if (word.is_counted() && &word != counted) continue;
        if (word.kind == BanWord::Kind::decided && counted != nullptr && overlap(word, *counted))
            continue;
        if (!ban) ban = FleetBan{word.from, word.until};
        ban->from = std::min(ban->from, word.from);
        ban->until = std::max(ban->until, word.until);
        ban->offence = std::max(ban->offence, word.offence);
        ban->hits = std::max(ban->hits, word.hits);
        ban->counted = ban->counted || &word == counted;
        ban->makers.insert(ban->makers.end(), word.makers.begin(), word.makers.end());
        auto rank = [&](const BanWord& one) { return std::tie(one.until, one.stamp); };
        if (last == nullptr || rank(word) > rank(*last)) last = &word;
    }
    if (!ban) return {};
    ban->said_by = last->stamp.node;
    ban->reason = last->reason;
    std::ranges::sort(ban->makers);
    auto doubles = std::ranges::unique(ban->makers);
    ban->makers.erase(doubles.begin(), doubles.end());
    return ban;
}

BanWords::Taken BanWords::take(const Key& key, BanWord word) {
    auto found = words_.find(key);
    if (found == words_.end()) {
        if (words_.size() >= limit_) return Taken::no_room;
        found = words_.try_emplace(key).first;
    }
    auto& words = found->second;
    auto same = std::ranges::find_if(words, [&](const BanWord& one) {
        return one.stamp.node == word.stamp.node && one.is_counted() == word.is_counted();
    });
    if (same == words.end()) {
        words.push_back(std::move(word));
        return Taken::later;
    }
    if (word.stamp <= same->stamp) return Taken::known;
    *same = std::move(word);
    return Taken::later;
}

std::span<const BanWord> BanWords::words(const Key& key) const {
    auto found = words_.find(key);
    return found == words_.end() ? std::span<const BanWord>{} : found->second;
}

std::optional<FleetBan> BanWords::ban_of(const Key& key, Instant now, std::string_view here) const {
    return merged(words(key), now, here);
}

const BanWord* BanWords::word_of(const Key& key, std::string_view node, bool counted) const {
    for (const BanWord& word : words(key))
        if (word.stamp.node == node && word.is_counted() == counted) return &word;
    return nullptr;
}

BanWords::Forgotten BanWords::forget(Instant before, std::size_t most) {
    auto is_over = [&](const BanWord& word) {
        Instant end = word.kind == BanWord::Kind::lifted ? word.stamp.time : word.until;
        return end < before;
    };
    std::size_t buckets = words_.bucket_count();
    std::vector<Key> over;
    for (std::size_t looked = 0; looked < std::min(most, buckets); ++looked) {
        bucket_ = (bucket_ + 1) % buckets;
        // All or nothing of a key: a word that is over may be what makes another one dead.
        for (auto one = words_.begin(bucket_); one != words_.end(bucket_); ++one)
            if (std::ranges::all_of(one->second, is_over)) over.push_back(one->first);
    }
    Forgotten forgotten;
    for (const Key& key : over) {
        auto found = words_.find(key);
        forgotten.emplace_back(key, std::move(found->second));
        words_.erase(found);
    }
    return forgotten;
}

}  // namespace bandd
