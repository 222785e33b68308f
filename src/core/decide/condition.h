// SPDX-License-Identifier: GPL-2.0-or-later
// `where:` of a jail: which of its filter's hits count.
//
//   country not in [DE, AT, CH] and not user in [root, "admin*"]
//   asn in [AS64500, 64501] or (hostname is broadband and port = 25)
//
// What is not known is neither true nor false, and what follows from it neither (Kleene's logic): a
// hit counts only if the whole is true. So nobody is banned because a database or a line says
// nothing of him; who wants that says so: `country in [unknown]`.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/prefix_set.h"
#include "core/decide/facts.h"
#include "core/match/pattern.h"

namespace bandd {

enum class Truth : std::uint8_t { no, yes, unknown };

// What a condition looks at: one hit.
struct Subject {
    const Address& address;
    const Fields& fields;          // what the filter captured
    const Facts* facts = nullptr;  // none: countries and networks are unknown
};

struct ConditionFault {
    std::size_t offset = 0;  // in bytes from the beginning of the text
    std::string what, hint;
};

class Condition {
  public:
    // `more_words`: for `hostname is broadband`.
    static std::expected<Condition, ConditionFault> parse(std::string_view text,
                                                          std::vector<std::string> more_words = {});

    Truth evaluate(const Subject& subject) const;

    // What of the facts it names: kept with a ban that it led to ("country" RU, "asn" 64500,
    // "broadband" why).
    Fields used_facts(const Subject& subject) const;

    struct Need {
        std::string field;  // that the filter must capture
        std::size_t offset = 0;
    };
    const std::vector<Need>& needs() const { return needs_; }
    bool needs_database() const;
    bool needs_hostname() const;
    // What needs no filter: country, continent, asn, ip; and what most capture.
    static std::span<const std::string_view> fact_names();
    const std::string& text() const { return text_; }

    static constexpr std::size_t longest = 65536;  // bytes
    static constexpr int deepest = 100;            // parentheses and nots

  private:
    friend class ConditionParser;
    enum class Kind : std::uint8_t { all, any, negation, comparison };
    enum class Of : std::uint8_t { country, continent, asn, address, port, hostname, text };
    struct Range {
        std::uint32_t first = 0, last = 0;
    };
    struct Comparison {
        Of of = Of::text;
        std::string field;                   // of text and port
        std::vector<std::string> words;      // of countries, continents and text
        std::vector<Range> numbers;          // of asn and port
        PrefixSet prefixes;                  // of addresses
        std::shared_ptr<const RE2> pattern;  // of `matches`
        bool broadband = false;
    };
    struct Node {
        Kind kind = Kind::comparison;
        std::vector<std::uint32_t> of;  // indexes into nodes_
        Comparison comparison;
    };
    struct Looking;  // at one subject; an origin is looked up once
    Truth evaluate(std::uint32_t node, Looking& looking) const;
    Truth compare(const Comparison& comparison, Looking& looking) const;

    std::string text_;
    std::vector<Node> nodes_;  // the last one is the whole
    std::vector<Need> needs_;
    std::vector<std::string> more_words_;
};

// The codes of ISO 3166-1, and XK for Kosovo.
bool is_country_code(std::string_view code);

}  // namespace bandd
