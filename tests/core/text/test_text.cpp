// SPDX-License-Identifier: GPL-2.0-or-later
#include <deque>
#include <random>

#include "core/text/datetime.h"
#include "core/text/encoding.h"
#include "core/text/envelope.h"
#include "core/text/syslog_line.h"
#include "core/text/unescape.h"
#include "support/common.h"

using namespace bandd;

namespace {
std::string file_line(const std::string& message) {
    std::string line;
    append_file_line(message, line);
    return line;
}
const Instant arrival = at(0);  // 2026-11-21 10:00:00 UTC

Envelope open(const std::string& line, const Zone& zone = {}) {
    static std::string kept;
    kept = line;
    return open_envelope(kept, zone, arrival);
}
std::string time_of(const std::string& line, const Zone& zone = {}) {
    auto time = open(line, zone).time;
    return time ? format_rfc3339(*time) : "none";
}
std::string unescaped(std::string_view text) {
    std::string out;
    unescape(text, out);
    return out;
}
}  // namespace

TEST_CASE("a date and a host that are remembered from the line before change nothing") {
    const std::vector<std::string> dates{
        "Nov 21 09:59:58", "Nov 21 09:59:59",      "Nov  1 09:59:58",      "Nov 21 09:59:58.123",
        "Nov 1 09:59:58",  "Nov 31 09:59:58",      "Nov 21 2025 09:59:58", "Nov 21 09:59:5",
        "Nov 22 11:00:00", "2026-11-21T09:59:58Z", "<13>Nov 21 09:59:58",  "x"};
    const std::vector<std::string> behind{"mx app[1]: said",
                                          "mx app: said",
                                          "mx[1 app]: said",
                                          "mx[1 app said",
                                          "mx: app: said",
                                          "mx said",
                                          "imap-login: Info: x",
                                          "mx",
                                          "mx ",
                                          "",
                                          "2001:db8::1 app: said",
                                          "mx \"SMTPD\"#0111"};
    std::mt19937 random(5);
    for (int round = 0; round < 500; ++round) {
        LastHead last;
        std::deque<std::string> lines;  // which `last` looks into
        for (int i = 0; i < 20; ++i) {
            const std::string& line = lines.emplace_back(
                dates[random() % (random() % 2 == 0 ? 2 : dates.size())] +
                (random() % 5 == 0 ? "" : " ") + behind[random() % behind.size()]);
            INFO(line);
            Envelope fresh = open_envelope(line, {}, arrival);
            Envelope remembering = open_envelope(line, {}, arrival, &last);
            CHECK(remembering.time == fresh.time);
            CHECK(remembering.host == fresh.host);
            CHECK(remembering.tag == fresh.tag);
            CHECK(remembering.pid == fresh.pid);
            CHECK(remembering.message == fresh.message);
            CHECK(remembering.syslog == fresh.syslog);
        }
    }
}

TEST_CASE("RFC 3164 heads, with and without tag and host") {
    auto line = open("Nov 21 09:59:58 gate sshd[811]: Failed password for root");
    CHECK(line.host == "gate");
    CHECK(line.tag == "sshd");
    CHECK(line.pid == "811");
    CHECK(line.message == "Failed password for root");
    CHECK(line.syslog);
    CHECK(time_of("Nov 21 09:59:58 gate sshd[811]: x") == "2026-11-21T09:59:58Z");
    CHECK(open("Nov 21 09:59:58 mx postfix/submission/smtpd[2]: connect").tag ==
          "postfix/submission/smtpd");

    auto seed =
        open(R"(Aug 20 17:02:35 mail "SMTPD"#0112824#0119493#011"2020-08-20 17:02:34.406")");
    CHECK(seed.host == "mail");
    CHECK(seed.tag.empty());
    CHECK(seed.message.starts_with("\"SMTPD\"#0112824"));

    auto dovecot = open("Nov 21 09:59:58 imap-login: Info: Disconnected");
    CHECK(dovecot.tag == "imap-login");
    CHECK(dovecot.message == "Info: Disconnected");

    CHECK(open("<189>Nov 21 09:59:58 gate sshd: hello").message == "hello");
    CHECK(open("Nov  1 09:59:58 gate a: b").message == "b");
    CHECK(time_of("Nov  1 09:59:58 gate a: b") == "2026-11-01T09:59:58Z");
}

// As rsyslogd 8.2302 writes to files what it got by RFC 5424.
TEST_CASE("rsyslog writes no colon after the tag of a message that came by RFC 5424") {
    for (const char* date : {"Nov 21 09:59:58", "2026-11-21T09:59:58.000+00:00"}) {
        std::string head = std::string(date) + " gate ";
        auto line = open(head + "sshd[811] Failed password for root");
        CHECK(line.host == "gate");
        CHECK(line.tag == "sshd");
        CHECK(line.pid == "811");
        CHECK(line.message == "Failed password for root");
        CHECK(line.syslog);
        auto record = open(head + R"(- "SMTPD"#0112824#0119493)");
        CHECK(record.host == "gate");
        CHECK(record.tag.empty());
        CHECK(record.message == R"("SMTPD"#0112824#0119493)");
        for (const char* none :
             {"sshd[x] y", "sshd[] y", "sshd[1]y", "sshd[1", "a b[1] y", "[1] y"}) {
            CHECK(open(head + none).tag.empty());
            CHECK(open(head + none).message.ends_with(none));
        }
    }
    LastHead last;
    open_envelope("Nov 21 09:59:58 gate sshd[811]: a", {}, arrival, &last);
    CHECK(open_envelope("Nov 21 09:59:58 gate sshd[812] b", {}, arrival, &last).pid == "812");
}

// NXLog sends no tag, so rsyslog takes the record for one, up to its first space.
TEST_CASE("hMailServer's records in the forms in which rsyslog's templates write them") {
    std::string rest = R"( 17:02:34.406"#011"203.0.113.9"#011"SENT: 503 Bad")";
    std::string tag = R"("SMTPD"#0112824#0119493#011"2020-08-20)";
    for (const std::string& line :
         {"<189>1 2026-11-21T09:59:58+00:00 mail " + tag + " - - - " + rest,
          "<189>2026-11-21T09:59:58+00:00 mail " + tag.substr(0, 32) + rest,
          "2026-11-21T09:59:58+00:00 mail " + tag + rest, "Nov 21 09:59:58 mail " + tag + rest}) {
        INFO(line);
        auto record = open(line);
        CHECK(record.host == "mail");
        CHECK(record.tag.empty());
        CHECK(record.syslog);
        CHECK(time_of(line) == "2026-11-21T09:59:58Z");
        CHECK(record.message.starts_with(tag.substr(0, 32)));
        CHECK(record.message.ends_with(rest));
    }
    for (const char* event : {R"(4376#011"2020-02-08 03:36:46.319"#011"[Blacklist] x")",
                              "4376\t\"2020-02-08 03:36:46.319\"\t\"[Blacklist] x\""}) {
        auto record = open("2026-11-21T09:59:58+00:00 mail " + std::string(event));
        CHECK(record.host == "mail");
        CHECK(record.message == event);
    }
    // With a tag, but no number of a process; with a mark before the record; and both.
    std::string record = R"("SMTPD"#0112824#0119493#011"2020-08-20 17:02:34.406"#011"x")";
    std::string mark = "\xef\xbb\xbf";
    for (const std::string& line :
         {"Nov 21 09:59:58 mail hMail " + record, "2026-11-21T09:59:58+00:00 mail hMail " + record,
          "2026-11-21T09:59:58+00:00 mail hMail: " + mark + record,
          "Nov 21 09:59:58 mail hMail[12]: " + mark + record,
          "Nov 21 09:59:58 mail hMail " + mark + record,
          "<189>1 2026-11-21T09:59:58+00:00 mail hMail 12 - -  " + record,
          "<189>1 2026-11-21T09:59:58+00:00 mail hMail - - -  " + mark + record}) {
        INFO(line);
        CHECK(open(line).host == "mail");
        CHECK(open(line).tag == "hMail");
        CHECK(open(line).message == record);
    }
    // Numbers alone begin no record.
    CHECK(open("2026-11-21T09:59:58+00:00 mail 4376 #011\"x").host.empty());
    CHECK(open("<189>1 2026-11-21T09:59:58+00:00 mail 4376 - - - x").tag == "4376");
}

TEST_CASE("a syslog date has the newest year that does not put it more than a day ahead") {
    CHECK(time_of("Nov 22 09:59:58 gate a: b") == "2026-11-22T09:59:58Z");
    CHECK(time_of("Nov 22 10:00:01 gate a: b") == "2025-11-22T10:00:01Z");
    CHECK(time_of("Dec 31 23:59:59 gate a: b") == "2025-12-31T23:59:59Z");
    CHECK(time_of("Feb 29 12:00:00 gate a: b") == "2024-02-29T12:00:00Z");
    // a line of 31 December read on 1 January
    auto date = scan_syslog_date("Dec 31 23:59:59");
    CHECK(format_rfc3339(resolve(*date, Zone{}, utc_from_civil({2027, 1, 1, 0, 0, 5}))) ==
          "2026-12-31T23:59:59Z");
    CHECK(time_of("Aug 20 2020 17:02:35 fw a: b") == "2020-08-20T17:02:35Z");
}

TEST_CASE("ISO 8601 heads as rsyslog writes them, and a program's own date") {
    auto line = open("2026-11-21T03:05:50.123456+01:00 gate sshd[811]: Failed");
    CHECK(format_rfc3339(*line.time) == "2026-11-21T02:05:50.123456Z");
    CHECK(line.tag == "sshd");
    CHECK(line.message == "Failed");
    auto record = open(R"(2026-11-21T03:05:50+01:00 mail "SMTPD"#011)");
    CHECK(record.host == "mail");
    CHECK(record.message == R"("SMTPD"#011)");
    auto plain = open("2026-11-21 03:05:50,123 WARNING login failed");
    CHECK(plain.message == "WARNING login failed");
    CHECK_FALSE(plain.syslog);
    CHECK(format_rfc3339(*plain.time) == "2026-11-21T03:05:50.123000Z");
    CHECK(open("2026-11-21T03:05:50Z login of joe failed").message == "login of joe failed");
}

TEST_CASE("RFC 5424, with structured data, nil values and a byte-order mark") {
    auto line = open(
        "<165>1 2026-11-21T03:05:50.003Z mx postfix/smtpd 2412 ID47 [a@1 x=\"]\" y=\"\\\"\"][b "
        "z=\"1\"] "
        "\xef\xbb\xbfwarning: unknown");
    CHECK(line.host == "mx");
    CHECK(line.tag == "postfix/smtpd");
    CHECK(line.pid == "2412");
    CHECK(line.message == "warning: unknown");
    CHECK(format_rfc3339(*line.time) == "2026-11-21T03:05:50.003000Z");
    auto nil = open("<165>1 - - - - - - just text");
    CHECK(nil.message == "just text");
    CHECK_FALSE(nil.time);
}

TEST_CASE("hMailServer's own records are dated by their field, in the log's zone") {
    std::string line =
        "\"SMTPD\"\t2824\t9493\t\"2026-11-21 10:02:34.406\"\t\"203.0.113.9\"\t\"SENT: 220\"\r";
    CHECK(time_of(line) == "2026-11-21T10:02:34.406000Z");
    CHECK(time_of(line, Zone::fixed(7200)) == "2026-11-21T08:02:34.406000Z");
    CHECK(open(line).message.ends_with("SENT: 220\""));
    CHECK(time_of("4376\t\"2026-02-08 03:36:46.319\"\t\"[Blacklist] OnClientConnect\"") ==
          "2026-02-08T03:36:46.319000Z");
}

TEST_CASE("web servers, epoch, and lines without a date") {
    std::string clf = "203.0.113.9 - - [21/Nov/2026:03:05:50 +0100] \"GET / HTTP/1.1\" 404 1";
    CHECK(time_of(clf) == "2026-11-21T02:05:50Z");
    CHECK(open(clf).message == clf);
    // A client writes into the user what looks like a date.
    CHECK(time_of("203.0.113.9 - x [10/Nov/2000:00:00:00 +0000] [21/Nov/2026:03:05:50 +0100] "
                  "\"GET /[10/Nov/2000:00:00:00 +0000] HTTP/1.1\" 404 1 \"-\" \"[x\"") ==
          "2026-11-21T02:05:50Z");
    auto nginx = open("2026/11/21 03:05:50 [error] 12#12: *1 no user");
    CHECK(format_rfc3339(*nginx.time) == "2026-11-21T03:05:50Z");
    CHECK(nginx.message == "[error] 12#12: *1 no user");
    auto apache = open("[Sat Nov 21 03:05:50.123456 2026] [auth:error] x");
    CHECK(format_rfc3339(*apache.time) == "2026-11-21T03:05:50.123456Z");
    CHECK(apache.message == "[auth:error] x");
    CHECK(time_of("[20261121-03:05:50] [INFO ] AUTHFAIL: x") == "2026-11-21T03:05:50Z");
    CHECK(open("[20261121-03:05:50] [INFO ] AUTHFAIL: x").message == "[INFO ] AUTHFAIL: x");
    CHECK(time_of("2026.11.21 03:05:50 LOG3[1:2]: x") == "2026-11-21T03:05:50Z");
    CHECK(time_of("2026.11/21 03:05:50 x") == "none");
    CHECK(time_of("1795255200.5 something") == "2026-11-21T10:00:00.500000Z");
    CHECK(time_of("[1795255200] something") == "2026-11-21T10:00:00Z");
    CHECK(time_of("no date here at all") == "none");
    CHECK(open("no date here at all").message == "no date here at all");
}

TEST_CASE("a first word that ends with a colon is a program, and no host") {
    auto line =
        open("Nov 21 03:05:50 auth(joe,192.0.2.110,sasl:login)<CvN+E95U>: Info: sql: wrong");
    CHECK(line.host.empty());
    CHECK(line.tag == "auth");
    CHECK(line.message == "auth(joe,192.0.2.110,sasl:login)<CvN+E95U>: Info: sql: wrong");
    CHECK(open("Nov 21 03:05:50 imap-login: Info: x").tag == "imap-login");
    CHECK(open("Nov 21 03:05:50 <x>: y z: w").message == "<x>: y z: w");
    CHECK(open("Nov 21 03:05:50 fe80::1: x y: z").tag == "fe80::1");
}

TEST_CASE("a repeated message is the message that was repeated") {
    auto line = open("Nov 21 03:05:50 gate sshd[811]: message repeated 5 times: [ Failed x [y]]");
    CHECK(line.message == "Failed x [y]");
    CHECK(line.times == 5);
    CHECK(open("2026-11-21T09:59:58+00:00 gate sshd[811]: message repeated 65535 times: [Failed]")
              .times == 65535);
    for (const char* none :
         {"message repeated 65536 times: [ x]", "message repeated 0 times: [ x]",
          "message repeated -1 times: [ x]", "message repeated x times: [ y]",
          "message repeated 5 times: [ x", "message repeated 5 times: ", "message repeated ",
          "Message repeated 5 times: [ x]", " message repeated 5 times: [ x]"}) {
        INFO(none);
        auto as_it_is = open("Nov 21 03:05:50 gate sshd[811]: " + std::string(none));
        CHECK(as_it_is.message == none);
        CHECK(as_it_is.times == 1);
    }
    CHECK(open("message repeated 5 times: [ x]").times == 1);  // no syslog
}

TEST_CASE("half a head, or a wrong one, is message and never an error") {
    for (const char* line :
         {"", "<", "<13>", "<13>1", "<13>1 ", "N", "Nov", "Nov 31 10:00:00 x y: z",
          "2026-13-01T00:00:00 a b: c", "Nov 21 25:00:00 a", "[Sat Nov", "\"SMTPD\"", "1795255200",
          "<9999>x", "<13>1 2026-11-21T03:05:50Z a b c d [x"}) {
        INFO(line);
        open(line);
    }
    CHECK(time_of("Nov 31 10:00:00 x y: z") == "none");
    CHECK(time_of("Nov 21 25:00:00 a b: c") == "none");
}

TEST_CASE("rsyslog's escapes are undone, and nothing else") {
    CHECK(unescaped("#0112824") == "\t2824");
    CHECK(unescaped("a#015#012b") == "a\r\nb");
    CHECK(unescaped("#000#177") == std::string("\0\x7f", 2));
    CHECK(unescaped("#377") == "\xff");
    CHECK(unescaped("#303#274 ") == "\xc3\xbc ");
    CHECK(unescaped("client 203.0.113.9#32768: x#101") == "client 203.0.113.9#32768: x#101");
    for (const char* same : {"#", "##", "#1", "#12", "#128", "#400", "#abc", "C# 011", "#01"})
        CHECK(unescaped(same) == same);
    CHECK(unescaped("##011") == "#\t");
    CHECK(has_escape("x#011"));
    CHECK_FALSE(has_escape("x#01"));
}

TEST_CASE("UTF-16 and Latin-1 become UTF-8") {
    auto decoded = [](Encoding encoding, std::string_view bytes) {
        std::string out;
        decode(encoding, bytes, out);
        return out;
    };
    CHECK(decoded(Encoding::utf16le, std::string_view("a\0\xe4\0\x3d\xd8\x00\xde", 8)) == "aä😀");
    CHECK(decoded(Encoding::utf16be, std::string_view("\0a\0\xe4", 4)) == "aä");
    CHECK(decoded(Encoding::utf16le, std::string_view("\x00\xd8x\0", 4)) == "\xef\xbf\xbdx");
    CHECK(decoded(Encoding::utf16le, std::string_view("a\0b", 3)) == "a");
    CHECK(decoded(Encoding::latin1, "M\xfcller") == "Müller");
    CHECK(decoded(Encoding::utf8, "broken \xff stays") == "broken \xff stays");
    CHECK(detect_byte_order_mark("\xff\xfe"
                                 "a")
              .encoding == Encoding::utf16le);
    CHECK(detect_byte_order_mark("\xef\xbb\xbfx").length == 3);
    // U+0A00 has the byte of a line end in it, and is none
    CHECK(last_line_end(Encoding::utf16le, std::string_view("\x00\x0a\x0a\x00x\x00", 6)) == 4);
    CHECK(last_line_end(Encoding::utf16be, std::string_view("\x0a\x00x\x00", 4)) == 0);
}

TEST_CASE("a syslog message is a line of a file without its priority; what is none stays") {
    CHECK(file_line("<34>Oct 11 22:14:15 mymachine su: 'su root' failed on /dev/pts/8") ==
          "Oct 11 22:14:15 mymachine su: 'su root' failed on /dev/pts/8");
    CHECK(file_line("<34>1 2003-10-11T22:14:15.003Z mx su 12 ID47 - failed") ==
          "2003-10-11T22:14:15.003Z mx su[12]: failed");
    CHECK(file_line("<34>1 2003-10-11T22:14:15.003Z mx su - - [a b=\"]\\\"\"] failed") ==
          "2003-10-11T22:14:15.003Z mx su: failed");
    CHECK(file_line("<34>1 2003-10-11T22:14:15.003Z mx su 12 ID47 -  failed") ==
          "2003-10-11T22:14:15.003Z mx su[12]: failed");
    CHECK(file_line("<34>1 2003-10-11T22:14:15.003Z mx su - - -") ==
          "2003-10-11T22:14:15.003Z mx su: ");
    for (const char* other : {"", "<", "<>x", "<38>app: no date", "<38>Not 1 date", "<38>Nov", "<3",
                              "<1234>x", "<3x>x", "no priority", "<34>1 - mx su - - - no time",
                              "<34>1 2003-10-11T22:14:15.003Z mx - - - - no program",
                              "<34>1 2003-10-11T22:14:15.003Z mx su - - [never ends",
                              "<34>1 2003-10-11T22:14:15.003Z mx su - - [x \"] never ends",
                              "<34>1 2003", "<34>1 2003-10-11T22:14:15.003Z mx su - - broken"})
        CHECK(file_line(other) == other);
}
