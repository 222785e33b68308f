// SPDX-License-Identifier: GPL-2.0-or-later
// Each pattern becomes one PCRE2 expression with a named group for each part of a date. Which text
// counts as the date (and is cut out of the line) is its first group, as in fail2ban; boundaries
// and anchors are fail2ban's, too (its man page jail.conf(5), "datepattern").
#include "core/text/datepattern.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/ascii.h"

namespace bandd {
namespace {

using namespace std::string_view_literals;

constexpr std::array short_months{"jan"sv, "feb"sv, "mar"sv, "apr"sv, "may"sv, "jun"sv,
                                  "jul"sv, "aug"sv, "sep"sv, "oct"sv, "nov"sv, "dec"sv};
constexpr std::array long_months{"january"sv,   "february"sv, "march"sv,    "april"sv,
                                 "may"sv,       "june"sv,     "july"sv,     "august"sv,
                                 "september"sv, "october"sv,  "november"sv, "december"sv};
constexpr std::array short_days{"mon"sv, "tue"sv, "wed"sv, "thu"sv, "fri"sv, "sat"sv, "sun"sv};
constexpr std::array long_days{"monday"sv, "tuesday"sv,  "wednesday"sv, "thursday"sv,
                               "friday"sv, "saturday"sv, "sunday"sv};

// What a code means. The group's name is the strptime letter that its text is read as.
struct Code {
    std::string_view name;
    char part;
    std::string_view regex;
};
constexpr std::string_view zone_name = "[A-Z](?:[A-Z]{2,4})?";
constexpr std::array codes{
    // Longer names first: "%ExY" is not "%E".
    Code{"ExY", 'Y', R"(20\d\d)"},
    Code{"Exy", 'y', R"(\d\d)"},
    Code{"Exm", 'm', "0[1-9]|1[0-2]"},
    Code{"Exd", 'd', R"(0[1-9]|[12]\d|3[01])"},
    Code{"ExH", 'H', R"([01]\d|2[0-3])"},
    Code{"Exk", 'H', R"([01]?\d|2[0-3])"},
    Code{"Exl", 'I', R"(1[0-2]|\d)"},
    Code{"ExM", 'M', R"([0-5]\d)"},
    Code{"ExS", 'S', R"([0-5]\d|6[01])"},
    Code{"Exz", 'z', R"((?:[A-Z](?:[A-Z]{2,4})?)?[+-][01]\d(?::?\d\d)?|[A-Z](?:[A-Z]{2,4})?)"},
    Code{"ExZ", 'Z', zone_name},
    Code{"a", 'a', "mon|tue|wed|thu|fri|sat|sun"},
    Code{"A", 'A', "monday|tuesday|wednesday|thursday|friday|saturday|sunday"},
    Code{"b", 'b', "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"},
    Code{"B", 'B',
         "january|february|march|april|may|june|july|august|september|october|november|december"},
    Code{"d", 'd', R"([12]\d|[0 ]?[1-9]|3[01])"},
    Code{"f", 'f', R"(\d{1,6})"},
    Code{"H", 'H', R"([01]?\d|2[0-3])"},
    Code{"I", 'I', "1[0-2]|0[1-9]|[1-9]"},
    Code{"j", 'j', R"(36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])"},
    Code{"k", 'H', R"([0-2]?\d)"},
    Code{"l", 'I', R"(1?\d)"},
    Code{"m", 'm', "0?[1-9]|1[0-2]"},
    Code{"M", 'M', R"([0-5]?\d)"},
    Code{"p", 'p', "am|pm"},
    Code{"S", 'S', R"([0-5]?\d|6[01])"},
    Code{"U", 'U', R"(5[0-3]|[0-4]\d|\d)"},
    Code{"W", 'W', R"(5[0-3]|[0-4]\d|\d)"},
    Code{"w", 'w', "[0-6]"},
    Code{"y", 'y', R"(\d\d)"},
    Code{"Y", 'Y', R"(\d{4})"},
    Code{"z", 'z', R"(Z|UTC|GMT|[+-][01]\d(?::?\d\d)?)"},
    Code{"Z", 'Z', "Z|[A-Z]{3,5}"},
};
// These take a space where a leading zero could be.
constexpr std::array padded{"k"sv, "l"sv, "Exk"sv, "Exl"sv};

// The usual formats, most precise first where two could begin at the same place.
constexpr std::array usual{
    // ISO 8601 and its relatives: 2026-11-21T03:05:50.123+01:00, 2026/11/21 3:05:50
    R"(%ExY(?<gap>[-/.])%m\k<gap>%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?)",
    // syslog, asctime: [Sat ]Nov 21 03:05:50[.123][ 2026]
    R"((?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?)",
    // [Sat ]Nov 21 2026 03:05:50[.123]
    R"((?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?)",
    // 21/11/2026 03:05:50, 21-11-26 3:05:50
    R"(%d(?<gap>[-/])%m\k<gap>(?:%ExY|%Exy) %k:%M:%S)",
    // access logs, named, Roundcube: 21/Nov/2026:03:05:50 +0100, 21-Nov-2026 03:05:50.123
    R"(%d(?<gap>[-/])%b\k<gap>%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?)",
    // cPanel: 11/21/2026:03:05:50
    "%m/%d/%ExY:%H:%M:%S",
    R"(%m-%d-%ExY %k:%M:%S(?:\.%f)?)",
    "EPOCH",
    "{^LN-BEG}%H:%M:%S",
    "^<%m/%d/%Exy@%H:%M:%S>",
    // MySQL: 261121  3:05:50
    "%Exy%Exm%Exd  ?%H:%M:%S",
    // Tomcat: Nov 21, 2026 3:05:50 AM
    "%b %d, %ExY %I:%M:%S %p",
    // ASSP: Nov-21-26 03:05:50
    "^%b-%d-%Exy %k:%M:%S",
    // 20261121T030550
    R"(%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?)",
    // a zone before a syslog date: CET Nov 21 03:05:50, +01:00 Nov 21 03:05:50 2026
    R"((?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?)",
    R"((?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?)",
    "TAI64N",
};

// Names of zones, in minutes east of UTC: what people write into logs. Several mean more than one
// zone; these readings are fail2ban's.
struct NamedOffset {
    int minutes;
    std::string_view names;  // each between spaces
};
constexpr std::array named_offsets{
    NamedOffset{-720, " Y "},
    NamedOffset{-660, " X NUT SST "},
    NamedOffset{-600, " W CKT HAST HST TAHT TKT "},
    NamedOffset{-570, " MART MIT "},
    NamedOffset{-540, " V AKST GAMT GIT HADT HNY "},
    NamedOffset{-480, " U AKDT CIST HAY HNP PST PT "},
    NamedOffset{-420, " T HAP HNR MST PDT "},
    NamedOffset{-360, " S CST EAST GALT HAR HNC MDT "},
    NamedOffset{-300, " R CDT COT EASST ECT EST ET HAC HNE PET "},
    NamedOffset{-270, " HLV VET "},
    NamedOffset{-240, " Q AST BOT CLT COST EDT FKT GYT HAE HNA PYT "},
    NamedOffset{-210, " HNT NST NT "},
    NamedOffset{-180, " P ADT ART BRT CLST FKST GFT HAA PMST PYST SRT UYT WGT "},
    NamedOffset{-150, " HAT NDT "},
    NamedOffset{-120, " O BRST FNT PMDT UYST WGST "},
    NamedOffset{-60, " N AZOT CVT EGT "},
    NamedOffset{0, " Z EGST GMT UTC WET WT "},
    NamedOffset{60, " A CET DFT WAT WEDT WEST "},
    NamedOffset{120, " B CAT CEDT CEST EET SAST WAST "},
    NamedOffset{180, " C EAT EEDT EEST IDT MSK "},
    NamedOffset{210, " IRST "},
    NamedOffset{240, " D AMT AZT GET GST KUYT MSD MUT RET SAMT SCT "},
    NamedOffset{270, " AFT IRDT "},
    NamedOffset{300, " E AMST AQTT AZST HMT MAWT MVT PKT TFT TJT TMT UZT YEKT "},
    NamedOffset{330, " SLT "},
    NamedOffset{345, " NPT "},
    NamedOffset{360, " F ALMT BIOT BTT IOT KGT NOVT OMST YEKST "},
    NamedOffset{390, " CCT MMT "},
    NamedOffset{420, " G CXT DAVT HOVT ICT KRAT NOVST OMSST THA WIB "},
    NamedOffset{480, " H ACT AWST BDT BNT CAST HKT IRKT KRAST MYT PHT SGT ULAT WITA WST "},
    NamedOffset{540, " I AWDT IRKST JST KST PWT TLT WDT WIT YAKT "},
    NamedOffset{570, " ACST "},
    NamedOffset{600, " K AEST ChST PGT VLAT YAKST YAPT "},
    NamedOffset{630, " ACDT LHST "},
    NamedOffset{660, " L AEDT LHDT MAGT NCT PONT SBT VLAST VUT "},
    NamedOffset{690, " NFT "},
    NamedOffset{720, " M ANAST ANAT FJT GILT MAGST MHT NZST PETST PETT TVT WFT "},
    NamedOffset{780, " FJST NZDT "},
};

int number(std::string_view text) {
    if (text.starts_with(' ')) text.remove_prefix(1);
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

template <class Names>
int index_of(const Names& names, std::string_view text) {
    std::string lower = ascii_lower(text);
    return static_cast<int>(std::ranges::find(names, lower) - names.begin());
}

// Minutes east of UTC of "+01:00", "UTC", "CEST", "CET+01".
std::optional<int> zone_minutes(std::string_view text) {
    auto sign = text.find_first_of("+-");
    std::string_view name = text.substr(0, sign);
    int minutes = 0;
    if (!name.empty()) {
        std::string between = " " + std::string(name) + " ";
        auto known = std::ranges::find_if(named_offsets, [&](const NamedOffset& one) {
            return one.names.find(between) != std::string_view::npos;
        });
        if (known == named_offsets.end()) return {};
        minutes = known->minutes;
    }
    if (sign == std::string_view::npos) return minutes;
    std::string_view digits = text.substr(sign + 1);
    int offset = number(digits.substr(0, 2)) * 60;
    if (digits.size() > 2) offset += number(digits.substr(digits[2] == ':' ? 3 : 2));
    return minutes + (text[sign] == '-' ? -offset : offset);
}

bool is_escaped(std::string_view text, std::size_t at) {
    std::size_t slashes = 0;
    while (at > slashes && text[at - slashes - 1] == '\\') ++slashes;
    return slashes % 2 == 1;
}

// "(" that captures and has no name.
bool has_plain_group(std::string_view regex) {
    bool in_class = false;
    for (std::size_t i = 0; i < regex.size(); ++i) {
        if (regex[i] == '\\')
            ++i;
        else if (regex[i] == '[')
            in_class = true;
        else if (regex[i] == ']')
            in_class = false;
        else if (regex[i] == '(' && !in_class && regex.substr(i + 1, 1) != "?")
            return true;
    }
    return false;
}

struct Bounds {
    bool begin = true, end = true;
    bool line = false;
};

// {UNB}, {^LN-BEG} at the beginning.
Bounds take_bounds(std::string& pattern) {
    Bounds bounds;
    if (pattern.starts_with("{UNB}")) {
        pattern.erase(0, 5);
        bounds.begin = bounds.end = false;
    } else if (pattern.starts_with("{^LN-BEG}")) {
        pattern.erase(0, 9);
        bounds.line = true;
    }
    return bounds;
}

bool begins_anchored(std::string_view regex) {
    while (regex.starts_with('(') && !regex.starts_with("(?")) regex.remove_prefix(1);
    if (regex.starts_with("(?:")) regex.remove_prefix(3);
    return regex.starts_with('^') && !regex.starts_with("^|");
}

bool ends_bounded(std::string_view regex) {
    while (regex.ends_with(')')) regex.remove_suffix(1);
    if (regex.ends_with('$')) return !is_escaped(regex, regex.size() - 1);
    return (regex.ends_with("\\b") || regex.ends_with("\\s")) &&
           !is_escaped(regex, regex.size() - 2);
}

// Puts boundaries around a pattern, and a group around what is the date.
std::string bound(std::string regex, Bounds bounds, bool& at_line_begin) {
    std::string flags;
    if (regex.starts_with("(?i)")) {
        flags = "(?i)";
        regex.erase(0, 4);
    }
    bool free_begin = false;
    bool free_end = false;
    while (regex.starts_with("**")) regex.erase(0, 2), free_begin = true;
    while (regex.ends_with("**") && !is_escaped(regex, regex.size() - 2))
        regex.resize(regex.size() - 2), free_end = true;
    bool anchored = begins_anchored(regex);
    bool bound_begin = bounds.begin && !free_begin && !anchored;
    bool bound_end = bounds.end && !free_end && !ends_bounded(regex);
    if (!has_plain_group(regex)) {
        std::string before;
        std::string after;
        if (regex.starts_with('^')) before = "^", regex.erase(0, 1);
        if (regex.ends_with('$') && !is_escaped(regex, regex.size() - 1))
            after = "$", regex.pop_back();
        regex = before + "(" + regex + ")" + after;
    }
    if (bound_begin) regex = (bounds.line ? R"(^(?:\W{0,2})?)" : R"((?=^|\b|\W))") + regex;
    if (bound_end) regex += R"((?=\b|\W|$))";
    at_line_begin = anchored || (bound_begin && bounds.line);
    return flags + regex;
}

}  // namespace

namespace {

constexpr std::string_view epoch_digits = R"(\d{10,11}\b(?:\.\d{3,6})?)";
constexpr std::string_view long_epoch_digits = R"(\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?)";

// EPOCH at a line's begin, in brackets there (nsd), or in "audit(…:123)" (SELinux).
std::string epoch_regex(std::string_view digits, bool line_begin) {
    std::string group = "(" + std::string(digits) + ")";
    if (line_begin)
        return R"(^\W{0,2}(?|(?<=^\[))" + group + R"((?=\])|)" + group + R"((?=\b|\W|$)))";
    return "(?|^" + group + R"((?=\b|\W|$)|(?<=^\[))" + group + R"((?=\])|(?<=\baudit\())" + group +
           R"((?=:\d+\))))";
}

// {EPOCH} within a pattern: the whole is the date, the digits are its value. Empty if the pattern
// holds none.
std::optional<std::string> with_epoch_replaced(const std::string& pattern) {
    std::string upper = ascii_upper(pattern);
    std::string_view tag = upper.contains("{LEPOCH}") ? "{LEPOCH}" : "{EPOCH}";
    auto at = upper.find(tag);
    if (at == std::string::npos) return {};
    std::string regex = pattern;
    std::string_view digits = tag == "{LEPOCH}" ? long_epoch_digits : epoch_digits;
    regex.replace(at, tag.size(), "(?<value>" + std::string(digits) + ")");
    return "(" + regex + ")";
}

// Each %Y, %b, … as a group with the name of its letter and a number. The error has no "what".
Result<std::string> with_codes_replaced(std::string_view pattern) {
    bool letters = false;
    std::string out;
    std::vector<char> seen;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            out += pattern[i];
            continue;
        }
        std::string_view rest = pattern.substr(i + 1);
        if (rest.starts_with('%')) {
            out += '%';
            ++i;
            continue;
        }
        auto code = std::ranges::find_if(
            codes, [&](const Code& one) { return rest.starts_with(one.name); });
        if (code == codes.end())
            return fail({}, "\"%" + std::string(rest.substr(0, 1)) + "\" is no part of a date",
                        "a percent sign itself is written %%");
        letters = letters || code->name == "a" || code->name == "A" || code->name == "b" ||
                  code->name == "B" || code->name == "p";
        if (std::ranges::find(padded, code->name) != padded.end()) out += " ?";
        // A part may be there twice, in alternatives: the group that took part counts.
        out += "(?<" + std::string(1, code->part) +
               std::to_string(std::ranges::count(seen, code->part)) + ">" +
               std::string(code->regex) + ")";
        seen.push_back(code->part);
        i += code->name.size();
    }
    return (letters ? "(?i)" : "") + out;
}

}  // namespace

Result<DatePatterns::Template> DatePatterns::compile_one(std::string pattern) {
    Template made;
    const std::string what = "datepattern \"" + pattern + "\"";
    // Without a '%', letter case of the words does not matter.
    std::string key = pattern.find('%') == std::string::npos ? ascii_upper(pattern) : pattern;
    bool line_begin = take_bounds(key).line || key.starts_with('^');
    std::string word = key.substr(key.starts_with('^') ? 1 : 0);
    std::string regex;
    if (word == "EPOCH" || word == "LEPOCH") {
        made.kind = Kind::epoch;
        regex = epoch_regex(word == "LEPOCH" ? long_epoch_digits : epoch_digits, line_begin);
        made.at_line_begin = line_begin;
    } else if (word == "TAI64N") {
        made.kind = Kind::tai64n;
        regex = std::string(line_begin ? R"(^(?:\W{0,2})?)" : "") + R"((@[0-9a-f]{24})(?=\b|\W|$))";
        made.at_line_begin = line_begin;
    } else if (key == "{NONE}") {
        made.kind = Kind::none;
        regex = "^()";
        made.at_line_begin = true;
    } else {
        Bounds bounds = take_bounds(pattern);
        if (auto epoch = with_epoch_replaced(pattern)) {
            made.kind = Kind::epoch;
            regex = bound(std::move(*epoch), bounds, made.at_line_begin);
        } else {
            auto codes_replaced = with_codes_replaced(pattern);
            if (!codes_replaced)
                return fail(what, codes_replaced.error().reason, codes_replaced.error().hint);
            regex = bound(std::move(*codes_replaced), bounds, made.at_line_begin);
        }
    }
    auto compiled = Pcre::compile(regex);
    if (!compiled) return fail(what, compiled.error().what + ": " + compiled.error().reason);
    made.regex = std::move(*compiled);
    // "?…" makes our own group one that holds flags.
    if (made.regex.group_count() < 1) return fail(what, "holds nothing that could be a date");
    for (const auto& [name, index] : made.regex.names()) {
        if (name == "value") made.value_group = index;
        if (name.size() == 2 && name[1] >= '0' && name[1] <= '9')
            made.parts.emplace_back(name[0], index);
    }
    return made;
}

Result<> DatePatterns::add(std::vector<Template>& into, const std::string& pattern) {
    std::string key = pattern.find('%') == std::string::npos ? ascii_upper(pattern) : pattern;
    auto put = [&](const std::string& one) -> Result<> {
        auto made = compile_one(one);
        if (!made) return std::unexpected(made.error());
        into.push_back(std::move(*made));
        return {};
    };
    auto anchored = [](std::string_view one) {
        return one.starts_with("{^LN-BEG}") || one.starts_with('^');
    };
    if (key == "{DEFAULT}" || key == "{^LN-BEG}") {
        for (std::string_view one : usual) {
            std::string text = anchored(one) ? std::string(one) : "{^LN-BEG}" + std::string(one);
            if (auto done = put(text); !done) return done;
        }
        if (key == "{^LN-BEG}") return {};
        for (std::string_view one : usual)
            if (!anchored(one))
                if (auto done = put(std::string(one)); !done) return done;
        return {};
    }
    if (auto at = ascii_upper(pattern).find("{DATE}"); at != std::string::npos) {
        // Whatever is around it, with each of the usual formats in its place.
        for (std::string_view one : usual) {
            if (one == "TAI64N") continue;
            std::string inner(one);
            take_bounds(inner);
            if (inner.starts_with('^')) inner.erase(0, 1);
            std::string text = pattern;
            text.replace(at, 6, one == "EPOCH" ? "{EPOCH}" : "(?:" + inner + ")");
            if (auto done = put(text); !done) return done;
        }
        return {};
    }
    return put(pattern);
}

Result<DatePatterns> DatePatterns::compile(const std::vector<std::string>& patterns) {
    DatePatterns made;
    if (patterns.empty()) {
        if (auto done = add(made.templates_, "{DEFAULT}"); !done)
            return std::unexpected(done.error());
    }
    for (const std::string& pattern : patterns)
        if (auto done = add(made.templates_, pattern); !done) return std::unexpected(done.error());
    return made;
}

namespace {

using Groups = std::vector<std::string_view>;

Instant read_epoch(std::string_view digits) {
    constexpr std::int64_t second = 1'000'000;
    auto dot = digits.find('.');
    std::string_view whole = digits.substr(0, dot);
    std::int64_t value = 0;
    std::from_chars(whole.data(), whole.data() + whole.size(), value);
    std::int64_t unit = whole.size() >= 16 ? 1 : whole.size() >= 13 ? 1000 : second;
    std::int64_t us = value * unit;
    if (dot != std::string_view::npos)
        for (char c : digits.substr(dot + 1)) us += (c - '0') * (unit /= 10);
    return Instant{us};
}

// "@4…" and 24 hexadecimal digits.
std::optional<Instant> read_tai64n(std::string_view text) {
    std::int64_t value = 0;
    std::string_view hex = text.substr(2, 15);
    std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
    constexpr std::int64_t latest = 253'402'300'799;  // of the year 9999
    if (value > latest) return {};
    return Instant::from_seconds(value);
}

// The parts of a date as a log wrote them. Month and day are 0 if it wrote none.
struct DateParts {
    CivilTime civil{0, 0, 0, 0, 0, 0, 0};
    bool has_year = false;
    std::optional<int> offset;  // minutes east of UTC
    int day_of_year = 0;        // from 1; 0: not written
    int week = -1;              // of the year, and the day in it: Monday is 0
    int weekday = -1;
    bool week_from_sunday = false;
    std::optional<bool> afternoon;
    bool twelve_hours = false;

    // `part` is a letter of strptime; of a letter that is none, nothing is taken.
    void take(char part, std::string_view text);
    bool has_day() const { return civil.month != 0 || civil.day != 0; }
    // Month and day, from the day of the year, or from week and weekday. The year is known.
    void find_day();
};

void DateParts::take(char part, std::string_view text) {
    switch (part) {
        case 'Y':
        case 'y':
            civil.year = number(text) + (part == 'y' ? 2000 : 0);
            has_year = true;
            break;
        case 'm':
            civil.month = number(text);
            break;
        case 'b':
            civil.month = index_of(short_months, text) + 1;
            break;
        case 'B':
            civil.month = index_of(long_months, text) + 1;
            break;
        case 'd':
            civil.day = number(text);
            break;
        case 'H':
        case 'I':
            civil.hour = number(text);
            twelve_hours = twelve_hours || part == 'I';
            break;
        case 'p':
            afternoon = (text[0] | 0x20) == 'p';
            break;
        case 'M':
            civil.minute = number(text);
            break;
        case 'S':
            civil.second = number(text);
            break;
        case 'f':
            for (int scale = 100'000; char c : text) {
                civil.microsecond += (c - '0') * scale;
                scale /= 10;
            }
            break;
        case 'a':
            weekday = index_of(short_days, text);
            break;
        case 'A':
            weekday = index_of(long_days, text);
            break;
        case 'w':
            weekday = (number(text) + 6) % 7;
            break;
        case 'j':
            day_of_year = number(text);
            break;
        case 'U':
        case 'W':
            week = number(text);
            week_from_sunday = part == 'U';
            break;
        case 'z':
        case 'Z':
            offset = zone_minutes(text);
            break;
        default:  // a user's own group
            break;
    }
}

void take_day(std::int64_t days_since_1970, CivilTime& civil) {
    CivilTime date = civil_from_utc(Instant::from_seconds(days_since_1970 * 86400));
    civil.year = date.year;
    civil.month = date.month;
    civil.day = date.day;
}

void DateParts::find_day() {
    bool by_week = week >= 0 && weekday >= 0;
    if ((civil.month != 0 && civil.day != 0) || (day_of_year == 0 && !by_week)) return;
    if (day_of_year == 0) {
        // Week 0 holds the days before the year's first Sunday (or Monday).
        std::int64_t first = (days_from_civil(civil.year, 1, 1) + 3) % 7;  // Monday is 0
        int day = week_from_sunday ? (weekday + 1) % 7 : weekday;
        std::int64_t begin = week_from_sunday ? (first + 1) % 7 : first;
        day_of_year = static_cast<int>((7 - begin) % 7) + (week - 1) * 7 + day + 1;
    }
    take_day(days_from_civil(civil.year, 1, 1) + day_of_year - 1, civil);
}

// Empty if the parts are no date: 31 February.
std::optional<Instant> instant_of(DateParts parts, const Zone& zone, Instant arrival) {
    CivilTime& civil = parts.civil;
    if (parts.twelve_hours)
        civil.hour = civil.hour % 12 + (parts.afternoon.value_or(false) ? 12 : 0);
    Zone written = parts.offset ? Zone::fixed(*parts.offset * 60) : zone;
    CivilTime today = written.to_civil(arrival);
    if (!parts.has_year) civil.year = today.year;
    parts.find_day();
    bool has_day = parts.has_day();
    if (!has_day) {
        civil.month = today.month;
        civil.day = today.day;
    }
    civil.second = std::min(civil.second, 59);  // a leap second is the one before it
    if (!is_valid(civil)) return {};
    Instant at = written.to_instant(civil, arrival);
    if (!has_day && at > arrival) {
        take_day(days_from_civil(civil.year, civil.month, civil.day) - 1, civil);
        at = written.to_instant(civil, arrival);
    } else if (!parts.has_year && at > arrival + std::chrono::hours(24)) {
        --civil.year;
        if (!is_valid(civil)) return {};
        at = written.to_instant(civil, arrival);
    }
    return at;
}

}  // namespace

std::optional<Instant> DatePatterns::Template::time_of(const Groups& groups, const Zone& zone,
                                                       Instant arrival) const {
    switch (kind) {
        case Kind::epoch:
            return read_epoch(groups[static_cast<std::size_t>(value_group)]);
        case Kind::tai64n:
            return read_tai64n(groups[1]);
        case Kind::none:
            return {};
        case Kind::civil:
            break;
    }
    DateParts written;
    for (const auto& [part, group] : parts)
        if (std::string_view text = groups[static_cast<std::size_t>(group)]; !text.empty())
            written.take(part, text);
    return instant_of(written, zone, arrival);
}

std::optional<FoundDate> DatePatterns::find(std::string_view line, const Zone& zone,
                                            Instant arrival, DateScratch& scratch) const {
    std::vector<std::string_view>& groups = scratch.groups;
    std::vector<std::string_view>& best_groups = scratch.best_groups;
    const Template* best = nullptr;
    std::size_t best_at = 0;
    for (const Template& one : templates_) {
        if (one.regex.search(line, groups, scratch.pcre) != Pcre::Outcome::match) continue;
        // Three letters before a date can be a host's name, too.
        bool zone_known = std::ranges::all_of(one.parts, [&](const auto& part) {
            std::string_view text = groups[static_cast<std::size_t>(part.second)];
            return (part.first != 'z' && part.first != 'Z') || text.empty() || zone_minutes(text);
        });
        if (!zone_known) continue;
        auto at = static_cast<std::size_t>(groups[0].data() - line.data());
        if (best == nullptr || at < best_at) {
            best = &one;
            best_at = at;
            best_groups = groups;
        }
        if (one.at_line_begin || at <= 1) break;
    }
    if (best == nullptr) return {};
    FoundDate found;
    // An empty match says that this line needs no date of its own.
    if (best->kind == Kind::none || best_groups[1].empty()) return found;
    found.from = static_cast<std::size_t>(best_groups[1].data() - line.data());
    found.to = found.from + best_groups[1].size();
    found.time = best->time_of(best_groups, zone, arrival);
    return found;
}

}  // namespace bandd
