// SPDX-License-Identifier: GPL-2.0-or-later
// Wu and Manber's search ("A fast algorithm for multi-pattern searching", 1994): a window as long
// as the shortest literal slides over the text; its last two bytes tell how far it may jump.
#include <algorithm>
#include <array>
#include <limits>

#include "core/prefilter/literal_scan.h"

namespace bandd {
namespace {

unsigned char lower(char c) {
    return static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

class PlainLiteralScan : public LiteralScan {
  public:
    explicit PlainLiteralScan(std::span<const Literal> literals)
        : literals_(literals.begin(), literals.end()) {
        for (int c = 0; c < 256; ++c)
            lower_[static_cast<std::size_t>(c)] = lower(static_cast<char>(c));
        window_ = std::numeric_limits<std::size_t>::max();
        for (const Literal& literal : literals_) window_ = std::min(window_, literal.text.size());
        window_ = std::min<std::size_t>(window_, 200);
        std::size_t farthest = window_ < 2 ? 1 : window_ - 1;
        shift_.assign(65536, static_cast<std::uint8_t>(farthest));
        for (std::uint32_t i = 0; i < literals_.size(); ++i) {
            const std::string& text = literals_[i].text;
            for (std::size_t at = 0; at + 2 <= window_; ++at) {
                std::uint8_t& shift = shift_[pair(lower_at(text[at]), lower_at(text[at + 1]))];
                shift = std::min<std::uint8_t>(shift, static_cast<std::uint8_t>(window_ - 2 - at));
            }
            by_pair_.push_back({key_of(text), i});
        }
        std::ranges::sort(by_pair_);
    }

    bool find(std::string_view text, LiteralScratch&,
              std::vector<LiteralHit>& hits) const override {
        for (std::size_t at = 0; at + window_ <= text.size();) {
            unsigned char last = lower_at(text[at + window_ - 1]);
            std::size_t key = last;
            if (window_ >= 2) {
                key = pair(lower_at(text[at + window_ - 2]), last);
                if (std::size_t jump = shift_[key]; jump > 0) {
                    at += jump;
                    continue;
                }
            }
            auto entry = std::ranges::lower_bound(by_pair_, Entry{key, 0});
            for (; entry != by_pair_.end() && entry->key == key; ++entry)
                if (stands(text.substr(at), literals_[entry->literal]))
                    hits.push_back(
                        {entry->literal,
                         static_cast<std::uint32_t>(at + literals_[entry->literal].text.size())});
            ++at;
        }
        return true;
    }

  private:
    struct Entry {
        std::size_t key = 0;
        std::uint32_t literal = 0;
        auto operator<=>(const Entry&) const = default;
    };
    unsigned char lower_at(char c) const { return lower_[static_cast<unsigned char>(c)]; }
    static std::size_t pair(unsigned char a, unsigned char b) { return std::size_t{a} << 8 | b; }
    // Of the window's last two bytes.
    std::size_t key_of(const std::string& text) const {
        unsigned char last = lower_at(text[window_ - 1]);
        return window_ < 2 ? last : pair(lower_at(text[window_ - 2]), last);
    }
    bool stands(std::string_view text, const Literal& literal) const {
        if (text.size() < literal.text.size()) return false;
        for (std::size_t i = 0; i < literal.text.size(); ++i)
            if (literal.any_case ? lower_at(text[i]) != lower_at(literal.text[i])
                                 : text[i] != literal.text[i])
                return false;
        return true;
    }

    std::vector<Literal> literals_;
    std::array<unsigned char, 256> lower_{};
    std::size_t window_ = 0;
    std::vector<std::uint8_t> shift_;
    std::vector<Entry> by_pair_;
};

}  // namespace

std::unique_ptr<LiteralScan> make_literal_scan(std::span<const Literal> literals,
                                               LiteralEngine engine) {
    if (engine == LiteralEngine::best)
        if (auto made = make_vectorscan(literals)) return made;
    return std::make_unique<PlainLiteralScan>(literals);
}

}  // namespace bandd
