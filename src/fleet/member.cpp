// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/member.h"

#include <algorithm>

#include "core/base/printable.h"
#include "core/base/reserved.h"
#include "fleet/word_text.h"

namespace bandd {
namespace {

constexpr std::string_view word_row = "word", made_row = "made";
constexpr char stored_mark = 's', unsaid_mark = 'u';

constexpr std::array class_streams{"BANS_H", "BANS_D", "BANS_W", "BANS_M", "BANS_F"};

bool is_over(const BanWord& word, Instant now) {
    return word.kind == BanWord::Kind::lifted || word.until <= now;
}

// Its jail's name, its prefix, its node: none of them holds a NUL.
std::string row_key(const std::string& jail, const Prefix& prefix, const std::string& node,
                    bool counted) {
    return jail + '\0' + to_string(prefix) + '\0' + node + '\0' + (counted ? "c" : "d");
}

}  // namespace

std::string_view to_words(FleetMember::Refusal why) {
    switch (why) {
        case FleetMember::Refusal::malformed:
            return "it is no message that this version knows";
        case FleetMember::Refusal::not_his:
            return "it is not for this node to say";
        case FleetMember::Refusal::jail:
            return "this machine takes no bans of that jail from others";
        case FleetMember::Refusal::too_long:
            return "it is longer than others may ban here";
        case FleetMember::Refusal::too_wide:
            return "it is wider than others may ban here";
        case FleetMember::Refusal::too_often:
            return "that node says more in a minute than it may";
        case FleetMember::Refusal::too_many:
            return "that node has more bans than it may";
        case FleetMember::Refusal::no_room:
            return "there is no room for more words";
    }
    return "?";
}

FleetMember::FleetMember(std::string node, std::vector<std::string> counting, FleetTrust trust)
    : node_(std::move(node)),
      counting_(std::move(counting)),
      trust_(std::move(trust)),
      clock_(node_) {}

// ---- what this node says

BanWord FleetMember::word_of(BanWord::Kind kind, const Decision& decision,
                             std::vector<std::string> makers, Instant now) {
    BanWord word;
    word.kind = kind;
    word.stamp = clock_.next(now);
    word.from = decision.from;
    word.until = decision.until;
    word.offence = decision.offence;
    word.hits = decision.hits;
    word.makers = std::move(makers);
    word.reason = printable(decision.reason.substr(0, longest_word_reason));
    return word;
}

void FleetMember::decided(const Key& key, const Decision& decision, Instant now) {
    say({key, node_, false}, word_of(BanWord::Kind::decided, decision, {node_}, now), true);
}

void FleetMember::lifted(const Key& key, Instant now) {
    BanWord word;
    word.kind = BanWord::Kind::lifted;
    word.stamp = clock_.next(now);
    word.from = word.until = word.stamp.time;
    WordKey which{key, node_, false};
    const BanWord* before = find(which);
    auto own = own_.find(which);
    bool unsaid = own != own_.end() && !own->second.stored;
    // What nobody heard of need not be taken back.
    say(which, std::move(word), unsaid || (before != nullptr && !is_over(*before, now)));
}

std::optional<FleetMember::Refusal> FleetMember::counted(const Key& key, const Decision& decision,
                                                         std::vector<std::string> makers,
                                                         Instant now) {
    BanWord word = word_of(BanWord::Kind::counted, decision, std::move(makers), now);
    WordKey which{key, node_, true};
    // A withdrawal bans nobody. Of its own hits alone a node judges as of any jail of its own.
    bool others = word.until > word.from && word.makers != std::vector{node_};
    if (auto over = others ? within_limits(which, word, now) : std::nullopt) {
        ++refused_[static_cast<std::size_t>(*over)];
        return over;
    }
    say(which, std::move(word), true);
    return {};
}

void FleetMember::say(const WordKey& which, BanWord word, bool to_others) {
    BanClass kept =
        ban_class_of(word.until == never ? forever : Duration(word.until.us - word.from.us));
    if (keep(which, std::move(word)) == BanWords::Taken::no_room) {
        ++refused_[static_cast<std::size_t>(Refusal::no_room)];
        return;
    }
    Own& own = own_[which];
    // Its message takes the place of the one before, which may be kept for longer.
    own.kept = std::max(own.kept, kept);
    own.stored = !to_others;
    if (to_others) queue(which);
}

void FleetMember::queue(const WordKey& which) {
    Own& own = own_.at(which);
    own.stored = false;
    if (std::exchange(own.queued, true)) return;
    unsaid_.push_back(which);
}

std::optional<FleetPublish> FleetMember::next_publication() {
    while (!unsaid_.empty()) {
        WordKey which = std::move(unsaid_.front());
        unsaid_.pop_front();
        const BanWord* word = find(which);
        auto own = own_.find(which);
        if (own == own_.end()) continue;
        if (word == nullptr) {  // forgotten meanwhile
            own_.erase(own);
            continue;
        }
        FleetPublish message{++id_,
                             to_subject(BanSubject{own->second.kept, node_, which.key.jail,
                                                   to_string(which.key.prefix), which.counted}),
                             to_text(*word)};
        under_way_.emplace(id_, Under{std::move(which), word->stamp});
        return message;
    }
    return {};
}

void FleetMember::published(std::uint64_t id) {
    auto found = under_way_.find(id);
    if (found == under_way_.end()) return;
    Under under = std::move(found->second);
    under_way_.erase(found);
    auto own = own_.find(under.word);
    if (own == own_.end()) return;
    own->second.queued = false;
    const BanWord* word = find(under.word);
    if (word == nullptr) return;
    if (word->stamp != under.stamp) return queue(under.word);  // it says another thing by now
    own->second.stored = true;
    change(under.word);
}

void FleetMember::refused(std::uint64_t id) {
    auto found = under_way_.find(id);
    if (found == under_way_.end()) return;
    later_.push_back(std::move(found->second.word));
    under_way_.erase(found);
}

void FleetMember::begin_anew() {
    for (auto& [id, under] : std::exchange(under_way_, {}))
        unsaid_.push_back(std::move(under.word));
}

void FleetMember::on_progress(const FleetProgress& progress) {
    auto kept = std::ranges::find(class_streams, progress.stream);
    if (kept == class_streams.end()) return;
    std::string& made = made_[progress.stream];
    if (made == progress.made) return;
    made = progress.made;
    notes_.insert(progress.stream);
    auto its = static_cast<BanClass>(kept - class_streams.begin());
    for (auto& [which, own] : own_)
        if (own.kept == its && own.stored) queue(which);
}

std::vector<FleetMember::Key> FleetMember::on_time(Instant now) {
    for (WordKey& which : std::exchange(later_, {})) unsaid_.push_back(std::move(which));
    std::vector<Key> forgotten;
    for (auto& [key, words] : words_.forget(now - remembered, forgotten_a_time)) {
        forgotten.push_back(key);
        for (const BanWord& word : words) {
            WordKey which{key, word.stamp.node, word.is_counted()};
            count_live(word, -1);
            changed_.erase(which);
            auto own = own_.find(which);
            if (own != own_.end() && !own->second.queued) own_.erase(own);
            gone_.insert(std::move(which));
        }
    }
    return forgotten;
}

// ---- what others say

std::optional<FleetMember::Refusal> FleetMember::judge(const BanSubject& subject,
                                                       const BanWord& word) const {
    if (subject.counted != word.is_counted()) return Refusal::malformed;
    if (subject.node == fleet_operator) {
        if (word.kind != BanWord::Kind::lifted) return Refusal::not_his;
        return {};
    }
    bool counts = std::ranges::find(counting_, subject.node) != counting_.end();
    if (word.is_counted() && !counts) return Refusal::not_his;
    if (word.kind == BanWord::Kind::decided && word.makers != std::vector{subject.node})
        return Refusal::not_his;
    return {};
}

// The limits are those of the nodes whose hits made it, whoever says it.
std::optional<FleetMember::Refusal> FleetMember::within_limits(const WordKey& which,
                                                               const BanWord& word, Instant at) {
    if (word.kind == BanWord::Kind::lifted) return {};
    const Prefix& prefix = which.key.prefix;
    if (!trust_.jails.empty() &&
        std::ranges::find(trust_.jails, which.key.jail) == trust_.jails.end())
        return Refusal::jail;
    if (prefix.length < (prefix.is_v4() ? trust_.widest_v4 : trust_.widest_v6))
        return Refusal::too_wide;
    // All of IPv4, behind a translator.
    if (auto meant = untranslated(prefix); meant && meant->length < trust_.widest_v4)
        return Refusal::too_wide;
    if (word.until == never ? trust_.longest != forever : word.from + trust_.longest < word.until)
        return Refusal::too_long;
    bool known = find(which) != nullptr;
    std::int64_t minute = at.us / 60'000'000;
    for (const std::string& maker : word.makers) {
        if (nodes_.size() >= most_nodes && !nodes_.contains(maker)) return Refusal::no_room;
        Node& node = nodes_[maker];
        auto counted = node.minutes.find(minute);
        if (counted != node.minutes.end() && counted->second >= trust_.rate)
            return Refusal::too_often;
        if (!known && node.live >= trust_.most) return Refusal::too_many;
    }
    for (const std::string& maker : word.makers) {
        Node& node = nodes_[maker];
        ++node.minutes[minute];
        if (node.minutes.size() > most_minutes) node.minutes.erase(node.minutes.begin());
    }
    return {};
}

void FleetMember::count_live(const BanWord& word, int by) {
    if (word.kind == BanWord::Kind::lifted) return;
    for (const std::string& maker : word.makers) {
        std::size_t& live = nodes_[maker].live;
        live = by > 0 ? live + 1 : live - std::min<std::size_t>(live, 1);
    }
}

BanWords::Taken FleetMember::keep(const WordKey& which, BanWord word) {
    std::optional<BanWord> before;
    if (const BanWord* known = find(which)) before = *known;
    BanWord fresh = word;
    auto taken = words_.take(which.key, std::move(word));
    if (taken != BanWords::Taken::later) return taken;
    if (before) count_live(*before, -1);
    count_live(fresh, 1);
    clock_.saw(fresh.stamp);
    change(which);
    return taken;
}

FleetMember::Heard FleetMember::hear(const FleetMessage& message, Instant now) {
    auto subject = parse_ban_subject(message.subject);
    auto prefix = subject ? parse_prefix(subject->prefix) : std::nullopt;
    if (!subject || !prefix || to_string(*prefix) != subject->prefix)
        return refuse(Refusal::malformed, message.ticket == 0);
    WordKey which{{subject->jail, *prefix}, subject->node, subject->counted};
    auto word = parse_ban_word(message.payload, subject->node);
    bool is_own = subject->node == node_;
    std::optional<Refusal> wrong = word ? judge(*subject, *word) : Refusal::malformed;
    if (wrong && is_own) {
        // Whoever answers for the server can put something else where this node's word was.
        ++overwritten_;
        if (own_.contains(which) && later_.size() < most_again) {
            Own& own = own_.at(which);
            if (!std::exchange(own.queued, true)) later_.push_back(which);
        }
        return {};
    }
    // It comes by the stream, too.
    bool live = message.ticket == 0;
    if (wrong) return refuse(*wrong, live);
    if (live && word->stamp.time > now + most_ahead) return {};  // the stream says when it was
    if (!live) word->stamp = cut_to(word->stamp, message.stored);
    const BanWord* known = find(which);
    bool is_later = known == nullptr || word->stamp > known->stamp;
    if (is_own && !is_later) {
        take_own(which, std::move(*word), *subject);
        return {which.key, {}};
    }
    if (!is_later) return {};
    // Of its own, too: somebody may have spoken with its file while it was away.
    if (auto over = within_limits(which, *word, live ? now : message.stored))
        return refuse(*over, live);
    if (is_own) {
        take_own(which, std::move(*word), *subject);
        return {which.key, {}};
    }
    switch (keep(which, std::move(*word))) {
        case BanWords::Taken::later:
            return {which.key, {}};
        case BanWords::Taken::known:
            return {};
        case BanWords::Taken::no_room:
            break;
    }
    return refuse(Refusal::no_room, live);
}

// Its own words come back. Those of a state that was lost are known again so.
void FleetMember::take_own(const WordKey& which, BanWord word, const BanSubject& subject) {
    const BanWord* known = find(which);
    if (known == nullptr || word.stamp > known->stamp) {
        if (keep(which, std::move(word)) != BanWords::Taken::later) return;
        Own& own = own_[which];
        own.kept = std::max(own.kept, subject.kept);
        own.stored = true;
        return;
    }
    Own& own = own_[which];
    own.kept = std::max(own.kept, subject.kept);
}

std::optional<FleetBan> FleetMember::ban_of(const Key& key, Instant now) const {
    return words_.ban_of(key, now, node_);
}

// ---- for the state

void FleetMember::change(const WordKey& which) {
    gone_.erase(which);
    changed_.insert(which);
}

void FleetMember::take_rows(std::vector<FleetRow>& rows, std::size_t most) {
    auto key_of = [](const WordKey& which) {
        return row_key(which.key.jail, which.key.prefix, which.node, which.counted);
    };
    while (!gone_.empty() && most > 0) {
        auto one = gone_.begin();
        rows.push_back({std::string(word_row), key_of(*one), {}});
        gone_.erase(one);
        --most;
    }
    while (!changed_.empty() && most > 0) {
        auto one = changed_.begin();
        if (const BanWord* word = find(*one)) {
            auto own = own_.find(*one);
            bool unsaid = own != own_.end() && !own->second.stored;
            int kept = own == own_.end() ? 0 : static_cast<int>(own->second.kept);
            std::string value{unsaid ? unsaid_mark : stored_mark};
            value += static_cast<char>('0' + kept);
            rows.push_back({std::string(word_row), key_of(*one), value + to_text(*word)});
        }
        changed_.erase(one);
        --most;
    }
    // Known only once its words are there again: they would not be said again after a kill.
    if (unpublished() > 0) return;
    for (const std::string& stream : std::exchange(notes_, {}))
        rows.push_back({std::string(made_row), stream, made_[stream]});
}

void FleetMember::mark_all_changed() {
    std::size_t bucket = 0;
    words_.visit_some(bucket, SIZE_MAX, [&](const Key& key) {
        for (const BanWord& word : words_.words(key))
            changed_.insert({key, word.stamp.node, word.is_counted()});
    });
    for (const auto& [stream, made] : made_) notes_.insert(stream);
}

bool FleetMember::restore(const FleetRow& row) {
    if (!row.value) return false;
    if (row.kind == made_row) {
        made_[row.key] = *row.value;
        return true;
    }
    if (row.kind != word_row || row.value->size() < 2) return false;
    std::array<std::string, 4> parts;
    std::string_view rest = row.key;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto end = rest.find('\0');
        parts[i] = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    auto prefix = parse_prefix(parts[1]);
    auto word = parse_ban_word(std::string_view(*row.value).substr(2), parts[2]);
    if (!prefix || !word || word->is_counted() != (parts[3] == "c")) return false;
    WordKey which{{parts[0], *prefix}, parts[2], word->is_counted()};
    // One that was said since, while this was on its way, is later.
    bool is_last = keep(which, std::move(*word)) == BanWords::Taken::later;
    if (is_last) changed_.erase(which);
    if (which.node != node_) return true;
    Own& own = own_[which];
    if (!is_last) {
        own.kept =
            std::max(own.kept, static_cast<BanClass>(std::clamp((*row.value)[1] - '0', 0, 4)));
        return true;
    }
    own.kept = static_cast<BanClass>(std::clamp((*row.value)[1] - '0', 0, 4));
    own.stored = (*row.value)[0] == stored_mark;
    if (!own.stored) queue(which);
    return true;
}

}  // namespace bandd
