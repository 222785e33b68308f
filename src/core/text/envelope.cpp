// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/envelope.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

#include "core/base/ascii.h"
#include "core/text/datetime.h"

namespace bandd {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::array<bool, 256> in_tag = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
    for (std::size_t c = '0'; c <= '9'; ++c) table[c] = true;
    for (char c : {'/', '-', '_', '.', '(', ')', '@', '+'})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

std::string_view take_token(std::string_view& text) {
    auto end = text.find(' ');
    std::string_view token = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return token;
}

constexpr std::size_t longest_tag = 128;

// "postfix/smtpd[1234]: " or "sshd: ". RFC 3164 allows only alphanumerics; real tags have more,
// but never quotes or '#', which begin a message without tag (hMailServer through NXLog).
bool take_tag(std::string_view& text, Envelope& envelope) {
    std::size_t end = 0;
    while (end < text.size() && end < longest_tag && in_tag[static_cast<unsigned char>(text[end])])
        ++end;
    if (end == 0 || end >= text.size()) return false;
    std::size_t after = end;
    std::string_view pid;
    if (text[after] == '[') {
        auto close = text.find(']', after);
        if (close == std::string_view::npos || close - after > 24) return false;
        pid = text.substr(after + 1, close - after - 1);
        after = close + 1;
    }
    if (after >= text.size() || text[after] != ':') return false;
    ++after;
    if (after < text.size() && text[after] != ' ') return false;
    envelope.tag = text.substr(0, end);
    envelope.pid = pid;
    text.remove_prefix(after < text.size() ? after + 1 : after);
    return true;
}

// Whether text begins as hMailServer's records do, which have no tag before them: `"SMTPD"⇥…`, or
// `4376⇥"…` in its event log. rsyslog writes a tab as #011.
bool begins_record(std::string_view text) {
    if (text.starts_with('"')) return true;
    std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    std::string_view rest = text.substr(digits);
    return digits > 0 && (rest.starts_with("\t\"") || rest.starts_with("#011\""));
}

// Where a host stands before it. A message that rsyslog got by RFC 5424 it writes to its files
// without a colon ("sshd[12] Failed …"), and with "-" if it has no tag (`mail - "SMTPD"…`).
bool take_tag_after_host(std::string_view& text, Envelope& envelope) {
    if (take_tag(text, envelope)) return true;
    if (text.starts_with("- ")) {
        text.remove_prefix(2);
        return true;
    }
    std::size_t end = 0;
    while (end < text.size() && end < longest_tag && in_tag[static_cast<unsigned char>(text[end])])
        ++end;
    if (end == 0 || end >= text.size()) return false;
    if (text[end] == ' ' && begins_record(without_mark(text.substr(end + 1)))) {  // no process
        envelope.tag = text.substr(0, end);
        text.remove_prefix(end + 1);
        return true;
    }
    if (text[end] != '[') return false;
    std::size_t close = end + 1;
    while (close < text.size() && is_digit(text[close])) ++close;
    if (close == end + 1 || !text.substr(close).starts_with("] ")) return false;
    envelope.tag = text.substr(0, end);
    envelope.pid = text.substr(end + 1, close - end - 1);
    text.remove_prefix(close + 2);
    return true;
}

// What cannot be a tag, whatever follows the space: no colon follows it.
bool is_only_a_host(std::string_view token) {
    return token.size() < longest_tag &&
           std::ranges::all_of(token, [](char c) { return in_tag[static_cast<unsigned char>(c)]; });
}

void open_rfc3164(std::string_view rest, LastHead* last, Envelope& envelope) {
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    envelope.syslog = true;
    if (last != nullptr && !last->host.empty() && rest.starts_with(last->host)) {
        envelope.host = last->host.substr(0, last->host.size() - 1);
        rest.remove_prefix(last->host.size());
        take_tag_after_host(rest, envelope);
    } else if (!take_tag(rest, envelope)) {
        // Dovecot's own log file has a tag and no host: "Nov 21 03:05:50 imap-login: Info: …".
        // Of 2.4 the tag can hold who asks, which filters are to see:
        // "auth(joe,192.0.2.1,sasl:login)<x>: …".
        std::string_view whole = rest;
        envelope.host = take_token(rest);
        if (envelope.host.ends_with(':')) {
            envelope.tag = envelope.host.substr(0, envelope.host.find_first_of("(<["));
            if (envelope.tag.ends_with(':')) envelope.tag.remove_suffix(1);
            envelope.host = {};
            envelope.message = whole;
            return;
        }
        if (last != nullptr && !rest.empty() && is_only_a_host(envelope.host))
            last->host = whole.substr(0, envelope.host.size() + 1);
        take_tag_after_host(rest, envelope);
    }
    envelope.message = without_mark(rest);
}

// The date is rsyslog's file format if a tag follows the host, or hMailServer's record.
// Otherwise some program wrote a date of its own, and the text after it is the message.
void open_iso(std::string_view rest, bool with_t, Envelope& envelope) {
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    envelope.message = rest;
    if (!with_t) return;
    Envelope head = envelope;
    std::string_view after = rest;
    if (take_tag(after, head)) {
        head.message = after;
    } else {
        head.host = take_token(after);
        after = without_mark(after);
        if (!take_tag_after_host(after, head) && !begins_record(after)) return;
        head.message = after;
    }
    head.message = without_mark(head.message);
    head.syslog = true;
    envelope = head;
}

// RFC 5424: VERSION SP TIMESTAMP SP HOST SP APP SP PROCID SP MSGID SP SD [SP MSG]
bool open_rfc5424(std::string_view rest, const Zone& zone, Instant arrival, Envelope& envelope) {
    if (!rest.starts_with("1 ")) return false;
    rest.remove_prefix(2);
    Envelope head;
    std::string_view stamp = take_token(rest);
    if (stamp != "-") {
        auto date = scan_iso_date(stamp);
        if (!date || date->length != stamp.size()) return false;
        head.time = resolve(*date, zone, arrival);
    }
    auto field = [&] {
        std::string_view token = take_token(rest);
        return token == "-" ? std::string_view{} : token;
    };
    head.host = field();
    std::string_view from_tag = rest;
    head.tag = field();
    head.pid = field();
    field();  // MSGID
    if (rest.starts_with('-')) {
        rest.remove_prefix(1);
    } else {
        while (rest.starts_with('[')) {
            std::size_t at = 1;
            bool quoted = false;
            for (; at < rest.size(); ++at) {
                if (quoted && rest[at] == '\\')
                    ++at;
                else if (rest[at] == '"')
                    quoted = !quoted;
                else if (!quoted && rest[at] == ']')
                    break;
            }
            if (at >= rest.size()) return false;
            rest.remove_prefix(at + 1);
        }
    }
    // rsyslog's template of RFC 5424 writes a second space: RFC 3164's message begins with one.
    for (int i = 0; i < 2 && rest.starts_with(' '); ++i) rest.remove_prefix(1);
    rest = without_mark(rest);
    head.message = rest;
    // What came to rsyslog without a tag: it takes the record up to its first space for one, which
    // is within its date: `mail "SMTPD"#0111#0112#011"2020-08-20 - - -  17:02:34.406"#011…`.
    if (begins_record(head.tag)) {
        head.message = from_tag;
        head.tag = {};
    }
    head.syslog = true;
    envelope = head;
    return true;
}

// hMailServer: `"SMTPD"⇥thread⇥session⇥"date"⇥…`, or `thread⇥"date"⇥…` in its event log.
std::optional<WrittenDate> find_hmailserver_date(std::string_view line) {
    if (line.empty() || (line.front() != '"' && !is_digit(line.front()))) return {};
    constexpr std::size_t farthest = 64;  // kind, thread and session before the date
    std::string_view head = line.substr(0, farthest + 32);
    auto at = head.find("\t\"");
    if (at > farthest) return {};  // not found is further than that
    return scan_iso_date(line.substr(at + 2));
}

// Of a JSON object: what each value of the key begins with. Python writes a space after colons.
template <class Read>
std::optional<WrittenDate> first_value(std::string_view line, std::string_view key, Read&& read) {
    for (auto at = line.find(key); at != std::string_view::npos; at = line.find(key, at + 1)) {
        std::string_view rest = line.substr(at + key.size());
        if (rest.starts_with(' ')) rest.remove_prefix(1);
        if (auto date = read(rest)) return date;
    }
    return {};
}

// Logs of programs that write JSON objects or key=value pairs.
std::optional<WrittenDate> find_keyed_date(std::string_view line) {
    // A quote within a JSON string is escaped, so a client cannot write this key.
    if (line.starts_with('{')) {
        auto quoted = [](std::string_view value) {
            return value.starts_with('"') ? scan_iso_date(value.substr(1)) : std::nullopt;
        };
        for (std::string_view key :
             {"\"time\":", "\"@timestamp\":", "\"timestamp\":", "\"$date\":"})
            if (auto date = first_value(line, key, quoted)) return date;
        return first_value(line, "\"ts\":", scan_epoch);  // Caddy, and others that log by zap
    }
    for (std::string_view key : {"t=", "time=", "time=\"", "ts="})
        if (line.starts_with(key))
            if (auto date = scan_iso_date(line.substr(key.size()))) return date;
    // Before the first quoted value there is nothing that a client chooses.
    std::string_view head = line.substr(0, std::min(line.find('"'), std::size_t{256}));
    for (std::string_view key : {" t=", " time=", " ts="})
        if (auto at = head.find(key); at != std::string_view::npos)
            if (auto date = scan_iso_date(line.substr(at + key.size()))) return date;
    return {};
}

// Access logs: the last bracketed date before the request, which is quoted. Before it are the
// address and two user fields: a client can write a date into these, and no quote (nginx and Apache
// escape it).
std::optional<WrittenDate> find_clf_date(std::string_view line) {
    constexpr std::size_t farthest = 512;
    std::string_view head = line.substr(0, std::min(line.find('"'), farthest));
    for (auto at = head.rfind('['); at != std::string_view::npos; at = head.rfind('[', at - 1)) {
        if (auto date = scan_clf_date(line.substr(at + 1))) return date;
        if (at == 0) break;
    }
    return {};
}

// The head of RFC 3164; false if the line begins with no date of it.
bool open_dated(std::string_view rest, const Zone& zone, Instant arrival, LastHead* last,
                Envelope& envelope) {
    constexpr std::size_t length = std::tuple_size_v<decltype(LastHead::date)>;
    bool fits = last != nullptr && rest.size() >= length && rest[length - 1] == ' ';
    if (fits && std::memcmp(rest.data(), last->date.data(), length) == 0) {
        envelope.time = last->time;
        open_rfc3164(rest.substr(length - 1), last, envelope);
        return true;
    }
    auto date = scan_syslog_date(rest);
    if (!date) return false;
    envelope.time = resolve(*date, zone, arrival);
    if (fits && date->length == length - 1) {
        std::memcpy(last->date.data(), rest.data(), length);
        last->time = *envelope.time;
    }
    open_rfc3164(rest.substr(date->length), last, envelope);
    return true;
}

// A head that is a date alone: the message follows it, after at most one space.
bool take_head(const WrittenDate& date, std::string_view rest, const Zone& zone, Instant arrival,
               Envelope& envelope) {
    envelope.time = resolve(date, zone, arrival);
    envelope.message = rest.substr(date.length);
    if (envelope.message.starts_with(' ')) envelope.message.remove_prefix(1);
    return true;
}

// A line that begins with a digit.
bool open_numeric(std::string_view rest, const Zone& zone, Instant arrival, Envelope& envelope) {
    if (auto date = scan_iso_date(rest)) {
        envelope.time = resolve(*date, zone, arrival);
        bool with_t = rest.size() > 10 && rest[10] == 'T';
        open_iso(rest.substr(date->length), with_t, envelope);
        return true;
    }
    if (auto date = scan_slash_date(rest)) return take_head(*date, rest, zone, arrival, envelope);
    if (auto date = scan_dash_date(rest)) return take_head(*date, rest, zone, arrival, envelope);
    if (rest.starts_with("1 ") && open_rfc5424(rest, zone, arrival, envelope)) return true;
    auto date = scan_epoch(rest);
    if (!date || rest.size() <= date->length ||
        (rest[date->length] != ' ' && rest[date->length] != '\t'))
        return false;
    envelope.time = resolve(*date, zone, arrival);
    envelope.message = rest.substr(date->length + 1);
    return true;
}

// "[date] message", "[date]: message"
bool open_bracket(std::string_view rest, const Zone& zone, Instant arrival, Envelope& envelope) {
    std::string_view inside = rest.substr(1);
    auto date = scan_apache_date(inside);
    if (!date) date = scan_iso_date(inside);
    if (!date) date = scan_compact_date(inside);
    if (!date) date = scan_epoch(inside);
    if (!date) date = scan_dash_date(inside);
    if (!date) date = scan_syslog_date(inside);
    if (!date || !inside.substr(date->length).starts_with(']')) return false;
    envelope.time = resolve(*date, zone, arrival);
    envelope.message = inside.substr(date->length + 1);
    if (envelope.message.starts_with(':')) envelope.message.remove_prefix(1);
    if (envelope.message.starts_with(' ')) envelope.message.remove_prefix(1);
    return true;
}

// rsyslog with $RepeatedMsgReduction: "message repeated 5 times: [ Failed password for …]" stands
// for the message that was written once before, and five times since.
void open_repetition(Envelope& envelope) {
    constexpr std::string_view begin = "message repeated ";
    constexpr std::string_view between = " times: [";
    std::string_view rest = envelope.message;
    if (!envelope.syslog || !rest.starts_with(begin)) return;
    rest.remove_prefix(begin.size());
    std::uint16_t times = 0;
    auto [end, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), times);
    if (fault != std::errc{} || times == 0) return;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.starts_with(between) || !rest.ends_with(']')) return;
    rest = rest.substr(between.size(), rest.size() - between.size() - 1);
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    envelope.message = rest;
    envelope.times = times;
}

Envelope open_head(std::string_view line, const Zone& zone, Instant arrival, LastHead* last,
                   DatesWithin within) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    Envelope envelope;
    envelope.message = line;
    std::string_view rest = line;
    bool with_priority = false;
    if (rest.starts_with('<')) {
        auto close = rest.substr(0, 5).find('>');
        if (close != std::string_view::npos && close >= 2) {
            rest.remove_prefix(close + 1);
            with_priority = true;
            if (open_rfc5424(rest, zone, arrival, envelope)) return envelope;
        }
    }
    if (rest.empty()) return envelope;
    char first = rest.front();
    if (first >= 'A' && first <= 'S') {
        if (open_dated(rest, zone, arrival, last, envelope)) return envelope;
    } else if (is_digit(first)) {
        if (open_numeric(rest, zone, arrival, envelope)) return envelope;
    } else if (first == '[') {
        if (open_bracket(rest, zone, arrival, envelope)) return envelope;
    }
    if (first >= 'F' && first <= 'W')  // Fri … Wed
        if (auto date = scan_apache_date(rest)) {
            take_head(*date, rest, zone, arrival, envelope);
            return envelope;
        }
    if (with_priority) {  // a sender without a date: all after the priority is its message
        envelope.syslog = true;
        envelope.message = rest;
        take_tag(envelope.message, envelope);
        return envelope;
    }
    if (within == DatesWithin::left) return envelope;
    auto date = find_hmailserver_date(line);
    // A record ends with a quote.
    if (date) envelope.cut = !line.ends_with('"');
    if (!date) date = find_clf_date(line);
    if (!date) date = find_keyed_date(line);
    if (date) envelope.time = resolve(*date, zone, arrival);
    envelope.within = date.has_value();
    return envelope;
}

}  // namespace

Envelope open_envelope(std::string_view line, const Zone& zone, Instant arrival, LastHead* last,
                       DatesWithin within) {
    Envelope envelope = open_head(line, zone, arrival, last, within);
    open_repetition(envelope);
    return envelope;
}

}  // namespace bandd
