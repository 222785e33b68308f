// SPDX-License-Identifier: GPL-2.0-or-later
// Dates anywhere in a line, and fail2ban's datepattern.
#include "core/text/datepattern.h"

#include "support/common.h"

using namespace bandd;

namespace {

const Instant arrival = utc_from_civil({2026, 11, 21, 12, 0, 0});

DatePatterns patterns(const std::vector<std::string>& texts) {
    auto made = DatePatterns::compile(texts);
    if (!made) FAIL(to_line(made.error()));
    return std::move(*made);
}
// "what is left of the line @ the date that was read".
std::string read(const DatePatterns& dates, const std::string& line, const Zone& zone = {}) {
    DateScratch scratch;
    auto found = dates.find(line, zone, arrival, scratch);
    if (!found) return line + " @ none";
    return line.substr(0, found->from) + line.substr(found->to) + " @ " +
           (found->time ? format_rfc3339(*found->time) : "no date");
}
std::string read(const std::string& line, const Zone& zone = {}) {
    static const DatePatterns usual = patterns({});
    return read(usual, line, zone);
}
std::string refusal(const std::string& text) {
    auto made = DatePatterns::compile({text});
    return made ? "none" : to_line(made.error());
}

}  // namespace

TEST_CASE("dates: the usual formats are found, read, and cut out of the line") {
    CHECK(read("Nov 21 03:05:50 mx sshd: x") == " mx sshd: x @ 2026-11-21T03:05:50Z");
    CHECK(read("2026-11-21T03:05:50.25+01:00 x") == " x @ 2026-11-21T02:05:50.250000Z");
    CHECK(read("2026/11/21  3:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("[Sat Nov 21 03:05:50.5 2026] [error] x") ==
          "[] [error] x @ 2026-11-21T03:05:50.500000Z");
    CHECK(read("192.0.2.1 - - [21/Nov/2026:03:05:50 +0100] \"GET /\"") ==
          "192.0.2.1 - - [] \"GET /\" @ 2026-11-21T02:05:50Z");
    CHECK(read("21-Nov-2026 03:05:50.123 client") == " client @ 2026-11-21T03:05:50.123000Z");
    CHECK(read("21/11/26 3:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("11/21/2026:03:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("1763694350.500 x") == " x @ 2025-11-21T03:05:50.500000Z");
    CHECK(read("type=USER_LOGIN msg=audit(1763694350.123:456): x") ==
          "type=USER_LOGIN msg=audit(:456): x @ 2025-11-21T03:05:50.123000Z");
    CHECK(read("03:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("261121  3:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("Nov 21, 2026 3:05:50 PM x") == " x @ 2026-11-21T15:05:50Z");
    CHECK(read("Nov-21-26 03:05:50 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("20261121T030550 x") == " x @ 2026-11-21T03:05:50Z");
    CHECK(read("[PDT Nov 21 03:05:50] x") == "[] x @ 2026-11-21T10:05:50Z");
    CHECK(read("@400000004f2b2d4a0c6f2a1c x") == " x @ 2012-02-03T00:41:46Z");
    CHECK(read("@4aaaaaaaaaaaaaaaaaaaaaaa x") == " x @ no date");
    CHECK(read("no date here") == "no date here @ none");
}

TEST_CASE("dates: what a log leaves out follows from the time it arrived") {
    Zone berlin = *Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3");
    CHECK(read("Nov 21 03:05:50 x", berlin) == " x @ 2026-11-21T02:05:50Z");
    CHECK(read("Jul 21 03:05:50 x", berlin) == " x @ 2026-07-21T01:05:50Z");
    // A day ahead can be a wrong zone, more is last year's.
    CHECK(read("Nov 22 03:05:50 x") == " x @ 2026-11-22T03:05:50Z");
    CHECK(read("Nov 23 03:05:50 x") == " x @ 2025-11-23T03:05:50Z");
    // Without a day: today, or yesterday.
    CHECK(read("11:59:59 x") == " x @ 2026-11-21T11:59:59Z");
    CHECK(read("12:00:01 x") == " x @ 2026-11-20T12:00:01Z");
    CHECK(read("Feb 30 03:05:50 x") == " x @ no date");
    CHECK(read("Nov 21 24:05:50 x") == " x @ no date");
}

TEST_CASE("dates: the leftmost one counts, so that a client's text cannot set the time") {
    CHECK(read("Nov 21 03:05:50 mx: user 2020-01-01 00:00:00") ==
          " mx: user 2020-01-01 00:00:00 @ 2026-11-21T03:05:50Z");
    // A word before it is a zone only if it is one.
    CHECK(read("host Nov 21 03:05:50 x") == "host  x @ 2026-11-21T03:05:50Z");
    CHECK(read("x2026-11-21 03:05:50") == "x2026-11-21 03:05:50 @ none");
}

TEST_CASE("datepattern: parts, anchors and boundaries as in fail2ban") {
    CHECK(read(patterns({"^%Y:%m:%d-%H:%M:%S"}), "2026:11:21-03:05:50 x") ==
          " x @ 2026-11-21T03:05:50Z");
    CHECK(read(patterns({"^%Y:%m:%d-%H:%M:%S"}), " 2026:11:21-03:05:50 x").ends_with("@ none"));
    CHECK(read(patterns({"{^LN-BEG}%d.%m.%y %H:%M"}), "[21.11.26 03:05] x") ==
          "[] x @ 2026-11-21T03:05:00Z");
    CHECK(read(patterns({"{^LN-BEG}"}), "host Nov 21 03:05:50 x").ends_with("@ none"));
    CHECK(read(patterns({"%B %d %Y %I:%M %p"}), "on November 21 2026 03:05 pm x") ==
          "on  x @ 2026-11-21T15:05:00Z");
    CHECK(read(patterns({R"(^[^\[]*\[({DATE}))"}), "who [21/Nov/2026:03:05:50 +0000] x") ==
          "who [] x @ 2026-11-21T03:05:50Z");
    CHECK(read(patterns({R"(^<\d+>{DATE})"}), "<34>Nov 21 03:05:50 x") ==
          " x @ 2026-11-21T03:05:50Z");
    CHECK(read(patterns({R"(^id=\d+ t={EPOCH})"}), "id=7 t=1763694350 x") ==
          " x @ 2025-11-21T03:05:50Z");
    CHECK(read(patterns({"LEPOCH"}), "1763694350123 x") == " x @ 2025-11-21T03:05:50.123000Z");
    CHECK(read(patterns({"%Y-%j"}), "2026-325 x") == " x @ 2026-11-21T00:00:00Z");
    CHECK(read(patterns({"%Y week %W %a"}), "2026 week 46 Sat x") == " x @ 2026-11-21T00:00:00Z");
    CHECK(read(patterns({"%Y-%m-%d %H:%M:%S %Exz"}), "2026-11-21 03:05:50 CET x") ==
          " x @ 2026-11-21T02:05:50Z");
    CHECK(read(patterns({"{NONE}"}), "Nov 21 03:05:50 x") == "Nov 21 03:05:50 x @ no date");
    CHECK(read(patterns({"^%d%%%m%%%Y", "{^LN-BEG}"}), "21%11%2026 x") ==
          " x @ 2026-11-21T00:00:00Z");
    CHECK(read(patterns({"^%d%%%m%%%Y", "{^LN-BEG}"}), "Nov 21 03:05:50 x") ==
          " x @ 2026-11-21T03:05:50Z");
}

TEST_CASE("datepattern: what cannot be read is refused with what is wrong") {
    CHECK(
        refusal("%Q-%m") ==
        "datepattern \"%Q-%m\": \"%Q\" is no part of a date; a percent sign itself is written %%");
    CHECK(refusal("?") == "datepattern \"?\": holds nothing that could be a date");
    CHECK(refusal("^(%Y").starts_with("datepattern \"^(%Y\": PCRE2 refuses it"));
}
