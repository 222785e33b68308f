// SPDX-License-Identifier: GPL-2.0-or-later
// Which filters accept which tags. A log has few tags, and each line asks several filters about its
// own, so the answers for 64 tags are kept. A tag that falls on a taken place takes it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/eight_bytes.h"
#include "core/match/filter.h"

namespace bandd {

class TagMemo {
  public:
    // Answers are good for one ruleset. It is held, so that no later one has the same address.
    void begin(const std::shared_ptr<const void>& ruleset, std::size_t rules) {
        if (ruleset == ruleset_ && answers_.size() == rules * places) return;
        ruleset_ = ruleset;
        rules_ = rules;
        kept_.fill({});
        answers_.assign(rules * places, Answer::unknown);
    }

    // What is known of one tag.
    class Row {
      public:
        Row(std::string_view tag, std::uint8_t* answers) : tag_(tag), answers_(answers) {}
        bool accepts(std::size_t rule, const Filter& filter, MatchScratch& scratch) {
            if (answers_ == nullptr) return accepts_tag(filter, tag_, scratch);
            std::uint8_t& answer = answers_[rule];
            if (answer == Answer::unknown)
                answer = accepts_tag(filter, tag_, scratch) ? Answer::yes : Answer::no;
            return answer == Answer::yes;
        }

      private:
        std::string_view tag_;
        std::uint8_t* answers_;  // null if the tag is too long to be kept
    };
    // Good until the next call.
    Row row(std::string_view tag) {
        if (tag.size() > longest) return {tag, nullptr};
        std::size_t place = place_of(tag);
        Kept& kept = kept_[place];
        std::uint8_t* answers = answers_.data() + place * rules_;
        if (!kept.used || std::string_view(kept.text.data(), kept.size) != tag) {
            kept.used = true;
            kept.size = static_cast<std::uint8_t>(tag.size());
            if (!tag.empty()) std::memcpy(kept.text.data(), tag.data(), tag.size());
            std::memset(answers, Answer::unknown, rules_);
        }
        return {tag, answers};
    }

  private:
    static std::size_t place_of(std::string_view tag) {
        std::uint64_t bytes = tag.size();
        if (tag.size() >= 8)
            bytes += eight_at(tag.data()) ^ std::rotl(eight_at(tag.data() + tag.size() - 8), 32);
        else
            for (char c : tag) bytes = bytes << 8 | static_cast<unsigned char>(c);
        return bytes * 0x9e3779b97f4a7c15U >> 58;
    }

    enum Answer : std::uint8_t { unknown, yes, no };
    static constexpr std::size_t places = 64;   // of tags, as six bits number them
    static constexpr std::size_t longest = 30;  // bytes of a tag that is kept
    struct Kept {
        bool used = false;
        std::uint8_t size = 0;
        std::array<char, longest> text{};
    };

    std::shared_ptr<const void> ruleset_;
    std::size_t rules_ = 0;
    std::array<Kept, places> kept_{};
    std::vector<std::uint8_t> answers_;  // a row of one for each rule, for each place
};

}  // namespace bandd
