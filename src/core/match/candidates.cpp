// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/candidates.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "core/text/docker.h"

namespace bandd {
namespace {

// A text of each set is in the line.
bool holds_all(std::string_view line, const std::vector<std::vector<TextFinder>>& sets) {
    return std::ranges::all_of(sets, [&](const std::vector<TextFinder>& set) {
        return std::ranges::any_of(set, [&](const TextFinder& text) { return text.is_in(line); });
    });
}

// Of the line that holds the byte before `at`.
std::size_t begin_of_line(std::string_view chunk, std::size_t at) {
    const void* before = ::memrchr(chunk.data(), '\n', at);
    return before == nullptr
               ? 0
               : static_cast<std::size_t>(static_cast<const char*>(before) - chunk.data()) + 1;
}

// Within what a container said, some escapes may hide any text.
bool may_hide_texts(std::string_view line) {
    return line.starts_with('{') && (line.contains("\\u00") || line.contains("\\/")) &&
           find_docker_parts(line);
}

// One line after the other, as the texts found tell where they are.
class Search {
  public:
    Search(const Ruleset& ruleset, std::string_view chunk, Candidates& candidates)
        : ruleset_(ruleset),
          prepared_(ruleset.prepared),
          chunk_(chunk),
          candidates_(candidates),
          opened_(candidates.opened) {}

    // The literals found, in the order of their ends.
    void take(const LiteralHit& hit) {
        if (hit.literal == prepared_.docker_text || hit.literal == prepared_.escape_text)
            return take_escape(hit);
        bool begun = hit.end <= end_;
        if (begun && (hidden_ || hit.end > limit_)) return;
        prepared_.opens_within[hit.literal].for_likely(chunk_, hit.end, [&](const Within& within) {
            if (begun && (hit.end > limit_ || has_bit(opened_.data(), within.check))) return;
            if (!is_within(chunk_, hit.end, within)) return;
            if (!begun) begin_line(hit.end);
            begun = true;
            if (hit.end <= limit_) set_bit(opened_.data(), within.check);
        });
    }

    void end_line() {
        if (!any_) return;
        any_ = false;
        std::uint64_t wanted = 0;
        std::string_view line = this->line();
        for (std::size_t i = 0; i < prepared_.words; ++i) {
            // Nothing hides the brace that a JSON object begins with.
            if ((opened_[i] & prepared_.json[i]) != 0 && !line.contains('{'))
                opened_[i] &= ~prepared_.json[i];
            std::uint64_t unsure = escaped_ ? prepared_.json[i] : 0;
            for (std::uint64_t ask = hidden_ ? 0 : opened_[i] & prepared_.costly[i] & ~unsure;
                 ask != 0; ask &= ask - 1)
                if (auto bit = static_cast<std::size_t>(std::countr_zero(ask));
                    !holds_all(line, prepared_.still_required[i * 64 + bit]))
                    opened_[i] &= ~(std::uint64_t{1} << bit);
            wanted |= opened_[i];
        }
        if (wanted == 0) return;
        candidates_.lines.push_back(
            {static_cast<std::uint32_t>(begin_), static_cast<std::uint32_t>(end_)});
        candidates_.checks.insert(candidates_.checks.end(), opened_.begin(), opened_.end());
    }

  private:
    // What is looked at of it.
    std::string_view line() const { return chunk_.substr(begin_, limit_ - begin_); }

    // What tells that escapes may hide texts: how a line of Docker's begins, or `\u00`.
    void take_escape(const LiteralHit& hit) {
        if (hit.end > end_) begin_line(hit.end);
        if (hidden_ || hit.end > limit_) return;
        if (hit.literal == prepared_.docker_text) {
            hidden_ = may_hide_texts(line());
            if (hidden_) std::ranges::fill(opened_, ~std::uint64_t{0});
            return;
        }
        unsigned code = 0;
        std::string_view digits = chunk_.substr(hit.end, 2);
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
        if (escaped_ || !is_plain_in_json(static_cast<unsigned char>(code))) return;
        escaped_ = true;
        for (std::size_t i = 0; i < prepared_.words; ++i) opened_[i] |= prepared_.json[i];
    }

    // That of the text that ends at `at`; no text holds a line end.
    void begin_line(std::size_t at) {
        end_line();
        begin_ = begin_of_line(chunk_, at);
        end_ = std::min(chunk_.find('\n', at), chunk_.size());
        std::string_view line = chunk_.substr(begin_, end_ - begin_);
        limit_ = begin_ + within_limit(line, ruleset_.line_limit).line.size();
        opened_ = prepared_.every_line;
        hidden_ = escaped_ = false;
        any_ = true;
    }

    const Ruleset& ruleset_;
    const Prepared& prepared_;
    std::string_view chunk_;
    Candidates& candidates_;
    std::vector<std::uint64_t>& opened_;  // checks, for this line
    std::size_t begin_ = 0, end_ = 0;     // of the line looked at
    std::size_t limit_ = 0;               // where what is looked at of it ends
    bool any_ = false;                    // there is such a line
    bool hidden_ = false;                 // escapes may hide texts in it
    bool escaped_ = false;                // the same, of texts of JSON lines
};

// Appends what the JSON gate finds in lines with a brace: nothing hides that of a JSON object.
bool find_in_json(const Prepared& prepared, std::string_view chunk, Candidates& candidates) {
    std::vector<LiteralHit>& found = candidates.found;
    for (auto brace = chunk.find('{'); brace != std::string_view::npos;) {
        std::size_t begin = begin_of_line(chunk, brace);
        std::size_t end = std::min(chunk.find('\n', brace), chunk.size());
        brace = chunk.find('{', end);
        // Lines in a row are searched in one go.
        while (brace != std::string_view::npos &&
               chunk.substr(end + 1, brace - end - 1).find('\n') == std::string_view::npos) {
            end = std::min(chunk.find('\n', brace), chunk.size());
            brace = chunk.find('{', end);
        }
        std::size_t first = found.size();
        if (!prepared.json_gate->find(chunk.substr(begin, end - begin), candidates.literals, found))
            return false;
        for (std::size_t i = first; i < found.size(); ++i) {
            found[i].literal += prepared.first_json_text;
            found[i].end += static_cast<std::uint32_t>(begin);
        }
    }
    return true;
}

}  // namespace

bool find_candidates(const Ruleset& ruleset, std::string_view chunk, Candidates& candidates) {
    candidates.found.clear();
    candidates.lines.clear();
    candidates.checks.clear();
    const Prepared& prepared = ruleset.prepared;
    if (!prepared.gate->find(chunk, candidates.literals, candidates.found)) return false;
    if (prepared.json_gate && !find_in_json(prepared, chunk, candidates)) return false;
    if (!std::ranges::is_sorted(candidates.found, {}, &LiteralHit::end))
        std::ranges::sort(candidates.found, {}, &LiteralHit::end);
    Search search(ruleset, chunk, candidates);
    for (const LiteralHit& hit : candidates.found) search.take(hit);
    search.end_line();
    return true;
}

}  // namespace bandd
