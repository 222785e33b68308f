// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/condition.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>

#include "core/base/suggest.h"
#include "core/decide/account_name.h"
#include "core/decide/broadband.h"

namespace bandd {
namespace {

constexpr std::string_view country_codes =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA "
    "ZM ZW";
constexpr std::string_view continent_codes[] = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"};
// What people write for them.
constexpr std::pair<std::string_view, std::string_view> wrong_codes[] = {
    {"UK", "GB"}, {"EN", "GB"}, {"SU", "RU"}, {"YU", "RS"}, {"EU", "continent is EU"}};

constexpr std::string_view fact_names[] = {"country", "continent", "asn", "ip"};
// Its words are compared as names of accounts.
constexpr std::string_view user_field = "user";
constexpr std::string_view keywords[] = {"and", "or", "not", "in", "is", "matches"};

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
    return out;
}

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::optional<std::uint32_t> whole_number(std::string_view text, std::uint32_t most) {
    std::uint32_t value = 0;
    auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc{} || end != text.data() + text.size() || value > most) return {};
    return value;
}

Truth negated(Truth truth) {
    return truth == Truth::unknown ? truth : truth == Truth::yes ? Truth::no : Truth::yes;
}
Truth truth_of(bool yes) { return yes ? Truth::yes : Truth::no; }

}  // namespace

bool is_country_code(std::string_view code) {
    if (code.size() != 2) return false;
    for (std::size_t at = 0; at < country_codes.size(); at += 3)
        if (country_codes.substr(at, 2) == code) return true;
    return false;
}

// Recursive descent; "or" binds weakest, then "and", then "not".
class ConditionParser {
  public:
    ConditionParser(std::string_view text, Condition& out) : text_(text), out_(out) {}

    std::optional<ConditionFault> run() {
        if (text_.size() > Condition::longest) return ConditionFault{0, "is too long", {}};
        auto whole = any();
        if (whole && !fault_) {
            skip_space();
            if (at_ < text_.size())
                fail(at_, "what stands here belongs to nothing: " + shown(at_),
                     "join comparisons with \"and\" or \"or\"");
        }
        return fault_;
    }

  private:
    using Node = std::optional<std::uint32_t>;

    struct Word {
        std::string text;
        std::size_t offset = 0;
        bool quoted = false;
    };

    void fail(std::size_t offset, std::string what, std::string hint = {}) {
        if (!fault_) fault_ = ConditionFault{offset, std::move(what), std::move(hint)};
    }
    std::string shown(std::size_t at) const {
        if (at >= text_.size()) return "the end";
        std::string_view rest = text_.substr(at);
        std::size_t length = 1;
        while (length < rest.size() && is_name_character(rest[0]) &&
               is_name_character(rest[length]))
            ++length;
        return "\"" + std::string(rest.substr(0, length)) + "\"";
    }
    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
    }
    bool take(char c) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string_view peek_name() {
        skip_space();
        std::size_t end = at_;
        while (end < text_.size() && is_name_character(text_[end])) ++end;
        return text_.substr(at_, end - at_);
    }
    bool take_keyword(std::string_view word) {
        if (peek_name() != word) return false;
        at_ += word.size();
        return true;
    }
    std::uint32_t add(Condition::Node node) {
        out_.nodes_.push_back(std::move(node));
        return static_cast<std::uint32_t>(out_.nodes_.size() - 1);
    }

    Node joined(std::string_view keyword, Condition::Kind kind, Node (ConditionParser::*part)()) {
        Condition::Node node;
        node.kind = kind;
        do {
            auto one = (this->*part)();
            if (!one) return {};
            node.of.push_back(*one);
        } while (take_keyword(keyword));
        if (node.of.size() == 1) return node.of.front();
        return add(std::move(node));
    }
    Node any() { return joined("or", Condition::Kind::any, &ConditionParser::all); }
    Node all() { return joined("and", Condition::Kind::all, &ConditionParser::negation); }

    Node negation() {
        std::size_t begin = at_;
        if (depth_ >= Condition::deepest) {
            fail(at_, "is nested too deeply");
            return {};
        }
        ++depth_;
        Node result;
        if (take_keyword("not")) {
            if (auto inner = negation()) {
                Condition::Node node;
                node.kind = Condition::Kind::negation;
                node.of.push_back(*inner);
                result = add(std::move(node));
            }
        } else if (take('(')) {
            result = any();
            if (result && !take(')')) {
                fail(begin, "this parenthesis is not closed", "add \")\"");
                result.reset();
            }
        } else {
            result = comparison();
        }
        --depth_;
        return result;
    }

    // A value: in quotes, or up to what ends it.
    std::optional<Word> value(std::string_view ends) {
        skip_space();
        Word word;
        word.offset = at_;
        if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
            char quote = text_[at_++];
            auto end = text_.find(quote, at_);
            if (end == std::string_view::npos) {
                fail(word.offset, "this quotation mark is not closed");
                return {};
            }
            word.text = text_.substr(at_, end - at_);
            word.quoted = true;
            at_ = end + 1;
            return word;
        }
        std::size_t end = std::min(text_.find_first_of(ends, at_), text_.size());
        std::string_view taken = text_.substr(at_, end - at_);
        at_ = end;
        while (!taken.empty() && std::string_view(" \t\r\n").contains(taken.back()))
            taken.remove_suffix(1);
        word.text = taken;
        if (word.text.empty()) {
            fail(word.offset, "a value is missing before " + shown(at_));
            return {};
        }
        return word;
    }

    std::vector<Word> list() {
        std::vector<Word> words;
        skip_space();
        std::size_t begin = at_;
        if (!take('[')) {
            fail(at_, "a list must stand here, not " + shown(at_), "write in [RU, CN]");
            return words;
        }
        do {
            auto word = value(",]");
            if (!word) return words;
            words.push_back(std::move(*word));
        } while (take(','));
        if (!take(']')) fail(begin, "this list is not closed", "add \"]\"");
        return words;
    }

    Node comparison() {
        skip_space();
        std::size_t begin = at_;
        std::string name(peek_name());
        if (name.empty()) {
            fail(begin, "a comparison must stand here, not " + shown(begin),
                 "begin with country, asn, ip, port, hostname, or a field of the filter");
            return {};
        }
        if (std::ranges::find(keywords, name) != std::end(keywords)) {
            fail(begin, "\"" + name + "\" cannot stand here");
            return {};
        }
        at_ += name.size();
        Condition::Node node;
        Condition::Comparison& compared = node.comparison;
        compared.field = name;
        compared.of = subject(name);
        bool captured = compared.of == Condition::Of::text || compared.of == Condition::Of::port ||
                        compared.of == Condition::Of::hostname;
        if (captured) out_.needs_.push_back({name, begin});
        Operation operation = read_operation(compared);
        if (fault_) return {};
        for (const Word& word : operation.words) take_value(compared, word);
        if (fault_) return {};
        if (compared.of == Condition::Of::address) compared.prefixes = PrefixSet(prefixes_);
        prefixes_.clear();
        std::uint32_t index = add(std::move(node));
        if (!operation.negative) return index;
        Condition::Node inverse;
        inverse.kind = Condition::Kind::negation;
        inverse.of.push_back(index);
        return add(std::move(inverse));
    }

    // What a name means: something of the address, or a field.
    static Condition::Of subject(std::string_view name) {
        if (name == "country") return Condition::Of::country;
        if (name == "continent") return Condition::Of::continent;
        if (name == "asn") return Condition::Of::asn;
        if (name == "ip") return Condition::Of::address;
        if (name == "port") return Condition::Of::port;
        if (name == "hostname") return Condition::Of::hostname;
        return Condition::Of::text;
    }

    struct Operation {
        bool negative = false;
        std::vector<Word> words;  // that are compared with; none of a pattern
    };
    // An operator, and what follows it. A pattern goes to `compared`.
    Operation read_operation(Condition::Comparison& compared) {
        skip_space();
        std::size_t begin = at_;
        if (take_keyword("matches")) return matches(compared, begin), Operation{};
        if (take_keyword("in")) return {false, list()};
        if (take_keyword("not")) {
            if (take_keyword("in")) return {true, list()};
            if (take_keyword("matches"))
                matches(compared, begin);
            else
                fail(at_, "\"in\" or \"matches\" must follow \"not\" here");
            return {true, {}};
        }
        if (take_keyword("is")) {
            bool negative = take_keyword("not");
            return {negative, single()};
        }
        if (take('=')) {
            take('=');
            return {false, single()};
        }
        if (text_.substr(at_).starts_with("!=")) {
            at_ += 2;
            return {true, single()};
        }
        fail(begin, "after \"" + compared.field + "\" must stand an operator, not " + shown(at_),
             "one of: in […], not in […], is, is not, matches \"…\"");
        return {};
    }

    std::vector<Word> single() {
        std::vector<Word> words;
        if (auto word = value(" \t\r\n)")) words.push_back(std::move(*word));
        return words;
    }

    void matches(Condition::Comparison& compared, std::size_t offset) {
        if (compared.of != Condition::Of::text && compared.of != Condition::Of::hostname) {
            fail(offset, "\"" + compared.field + "\" is no text to match", "use in […] or is");
            return;
        }
        auto word = value(" \t\r\n)");
        if (!word) return;
        auto pattern = std::make_shared<RE2>(for_re2(word->text), pattern_options());
        if (!pattern->ok())
            fail(word->offset, "RE2 refuses the pattern: " + pattern->error());
        else
            compared.pattern = std::move(pattern);
    }

    void take_value(Condition::Comparison& compared, const Word& word) {
        switch (compared.of) {
            case Condition::Of::country:
                return take_country(compared, word);
            case Condition::Of::continent:
                return take_continent(compared, word);
            case Condition::Of::asn:
                return take_asn(compared, word);
            case Condition::Of::port:
                return take_ports(compared, word);
            case Condition::Of::address:
                if (auto prefix = parse_prefix(word.text))
                    prefixes_.push_back(*prefix);
                else
                    fail(word.offset, "\"" + word.text + "\" is no address and no CIDR block");
                return;
            case Condition::Of::hostname:
                if (word.text == "broadband" && !word.quoted) {
                    compared.broadband = true;
                    return;
                }
                [[fallthrough]];
            case Condition::Of::text:
                compared.words.push_back(compared.field == user_field ? account_name(word.text)
                                                                      : word.text);
        }
    }

    void take_country(Condition::Comparison& compared, const Word& word) {
        if (word.text == private_country || word.text == unknown_country) {
            compared.words.push_back(word.text);
            return;
        }
        std::string code = upper(word.text);
        if (is_country_code(code)) {
            compared.words.push_back(std::move(code));
            return;
        }
        std::string hint = "write two letters as in ISO 3166-1, private or unknown";
        for (auto [wrong, right] : wrong_codes)
            if (code == wrong) hint = "did you mean " + std::string(right) + "?";
        fail(word.offset, "\"" + word.text + "\" is no country's code", hint);
    }

    void take_continent(Condition::Comparison& compared, const Word& word) {
        std::string code = upper(word.text);
        if (std::ranges::find(continent_codes, code) == std::end(continent_codes))
            fail(word.offset, "\"" + word.text + "\" is no continent's code",
                 "one of AF, AN, AS, EU, NA, OC, SA");
        compared.words.push_back(std::move(code));
    }

    void take_asn(Condition::Comparison& compared, const Word& word) {
        std::string_view digits = word.text;
        if (upper(digits.substr(0, 2)) == "AS") digits.remove_prefix(2);
        if (auto number = whole_number(digits, UINT32_MAX))
            compared.numbers.push_back({*number, *number});
        else
            fail(word.offset, "\"" + word.text + "\" is no AS number", "write 64500 or AS64500");
    }

    void take_ports(Condition::Comparison& compared, const Word& word) {
        std::string_view text = word.text;
        auto dash = text.find('-');
        auto first = whole_number(text.substr(0, dash), UINT16_MAX);
        auto last = dash == std::string_view::npos
                        ? first
                        : whole_number(text.substr(dash + 1), UINT16_MAX);
        if (!first || !last || *first > *last)
            fail(word.offset, "\"" + word.text + "\" is no port and no range of ports",
                 "write 25 or 1024-65535");
        else
            compared.numbers.push_back({*first, *last});
    }

    std::string_view text_;
    Condition& out_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::vector<Prefix> prefixes_;  // of the comparison being read
    std::optional<ConditionFault> fault_;
};

std::expected<Condition, ConditionFault> Condition::parse(std::string_view text,
                                                          std::vector<std::string> more_words) {
    Condition condition;
    condition.text_ = text;
    condition.more_words_ = std::move(more_words);
    if (auto fault = ConditionParser(text, condition).run()) return std::unexpected(*fault);
    return condition;
}

std::span<const std::string_view> Condition::fact_names() { return ::bandd::fact_names; }

bool Condition::needs_database() const {
    return std::ranges::any_of(nodes_, [](const Node& node) {
        return node.kind == Kind::comparison &&
               (node.comparison.of == Of::country || node.comparison.of == Of::continent ||
                node.comparison.of == Of::asn);
    });
}

bool Condition::needs_hostname() const {
    return std::ranges::any_of(nodes_, [](const Node& node) {
        return node.kind == Kind::comparison && node.comparison.of == Of::hostname;
    });
}

struct Condition::Looking {
    const Subject& subject;
    std::optional<Origin> known;
    const Origin& origin() {
        if (!known)
            known = subject.facts == nullptr ? Origin{} : subject.facts->origin(subject.address);
        return *known;
    }
};

Truth Condition::evaluate(const Subject& subject) const {
    Looking looking{subject, {}};
    return evaluate(static_cast<std::uint32_t>(nodes_.size() - 1), looking);
}

Truth Condition::evaluate(std::uint32_t index, Looking& looking) const {
    const Node& node = nodes_[index];
    if (node.kind == Kind::comparison) return compare(node.comparison, looking);
    if (node.kind == Kind::negation) return negated(evaluate(node.of.front(), looking));
    Truth decisive = node.kind == Kind::all ? Truth::no : Truth::yes;
    Truth result = negated(decisive);
    for (std::uint32_t part : node.of) {
        Truth truth = evaluate(part, looking);
        if (truth == decisive) return decisive;
        if (truth == Truth::unknown) result = Truth::unknown;
    }
    return result;
}

Truth Condition::compare(const Comparison& compared, Looking& looking) const {
    auto named = [&](std::string_view word) {
        return truth_of(std::ranges::find(compared.words, word) != compared.words.end());
    };
    auto within = [&](std::uint32_t number) {
        return truth_of(std::ranges::any_of(compared.numbers, [&](const Range& range) {
            return range.first <= number && number <= range.last;
        }));
    };
    switch (compared.of) {
        case Of::country: {
            const std::string& country = looking.origin().country;
            if (country.empty()) return Truth::unknown;
            bool nowhere = country == private_country || country == unknown_country;
            // Of these two only what names them is true; nothing is false of them.
            return nowhere && named(country) == Truth::no ? Truth::unknown : named(country);
        }
        case Of::continent: {
            const std::string& continent = looking.origin().continent;
            return continent.empty() ? Truth::unknown : named(continent);
        }
        case Of::asn:
            return looking.origin().asn == 0 ? Truth::unknown : within(looking.origin().asn);
        case Of::address:
            return truth_of(compared.prefixes.contains(looking.subject.address));
        default:
            break;
    }
    auto field = looking.subject.fields.find(compared.field);
    if (!field || field->empty()) return Truth::unknown;
    if (compared.of == Of::port) {
        auto port = whole_number(*field, UINT16_MAX);
        return port ? within(*port) : Truth::unknown;
    }
    // Postfix's word for a host whose name is not known.
    if (compared.of == Of::hostname && *field == "unknown") return Truth::unknown;
    if (compared.pattern)
        return truth_of(
            RE2::PartialMatch(re2::StringPiece(field->data(), field->size()), *compared.pattern));
    std::string user;
    if (compared.field == user_field) user = account_name(*field);
    std::string_view text = compared.field == user_field ? user : *field;
    bool fits = std::ranges::any_of(
        compared.words, [&](const std::string& word) { return matches_wildcard(text, word); });
    if (!fits && compared.broadband)
        fits = is_broadband(*field, looking.subject.address, more_words_).has_value();
    return truth_of(fits);
}

Fields Condition::used_facts(const Subject& subject) const {
    Looking looking{subject, {}};
    Fields facts;
    auto keep = [&](const char* name, std::string_view value) {
        if (!value.empty() && !facts.has(name)) facts.add(name, value);
    };
    for (const Node& node : nodes_) {
        if (node.kind != Kind::comparison) continue;
        const Comparison& compared = node.comparison;
        if (compared.of == Of::country) keep("country", looking.origin().country);
        if (compared.of == Of::continent) keep("continent", looking.origin().continent);
        if (compared.of == Of::asn && looking.origin().asn != 0)
            keep("asn", std::to_string(looking.origin().asn));
        if (!compared.broadband) continue;
        if (auto name = subject.fields.find("hostname"))
            if (auto why = is_broadband(*name, subject.address, more_words_))
                keep("broadband", *why);
    }
    return facts;
}

}  // namespace bandd
