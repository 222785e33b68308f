// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/stat.h>

#include "source/tail.h"
#include "support/common.h"

using namespace bandd;

namespace {

Tail tail_of(const std::string& path, Encoding encoding = Encoding::automatic,
             std::size_t limit = 65536) {
    auto tail = Tail::open(path, encoding, limit);
    REQUIRE(tail);
    return std::move(*tail);
}
// All that can be read now.
std::string rest(Tail& tail) {
    std::string text;
    while (true) {
        auto read = tail.read();
        REQUIRE(read);
        text += read->bytes;
        if (!read->more) return text;
    }
}
std::string utf16(const std::string& text, bool big) {
    std::string out;
    for (char c : text) {
        if (big) out += '\0';
        out += c;
        if (!big) out += '\0';
    }
    return out;
}

}  // namespace

TEST_CASE("tail: whole lines are handed on, a partial one waits for its end") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "one\ntw");
    Tail tail = tail_of(log);
    CHECK(rest(tail) == "one\n");
    CHECK(tail.position().offset == 4);
    append_file(log, "o");
    CHECK(rest(tail).empty());
    append_file(log, "\nthree\nfo");
    CHECK(rest(tail) == "two\nthree\n");
    CHECK(tail.flush_partial() == "fo");  // the file is finished: no line end will come
}

TEST_CASE("tail: NUL, CR and invalid UTF-8 are handed on as they are, neighbours too") {
    TempDirectory dir;
    std::string bytes = "a\n" + std::string("x\0y\n", 4) + "crlf\r\n\xff\xfe\x80z\n\r\n\nend\n";
    write_file(dir / "log", bytes);
    Tail tail = tail_of(dir / "log", Encoding::utf8);
    CHECK(rest(tail) == bytes);
}

TEST_CASE("tail: copytruncate begins anew, also if the file grew past the old offset meanwhile") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "old one\nold two\n");
    Tail tail = tail_of(log);
    CHECK(rest(tail) == "old one\nold two\n");
    SECTION("smaller than before") {
        write_file(log, "new\n");
        CHECK(rest(tail) == "new\n");
    }
    SECTION("as long as before") {
        write_file(log, "new one\nnew two\n");
        CHECK(rest(tail) == "new one\nnew two\n");
    }
    SECTION("longer than before") {
        write_file(log, "new one\nnew two\nnew three\n");
        CHECK(rest(tail) == "new one\nnew two\nnew three\n");
    }
    SECTION("empty, then one line at a time") {
        write_file(log, "");
        CHECK(rest(tail).empty());
        append_file(log, "new\n");
        CHECK(rest(tail) == "new\n");
    }
    CHECK(tail.counts().truncations == 1);
}

TEST_CASE("tail: a line over the limit is cut once, and the next line is whole") {
    TempDirectory dir;
    std::string log = dir / "log";
    std::string long_line(3'000'000, 'x');
    write_file(log, "before\n" + long_line);
    Tail tail = tail_of(log, Encoding::automatic, 1000);
    std::string got = rest(tail);
    CHECK(got == "before\n" + long_line.substr(0, 1000));
    append_file(log, long_line + "\nafter\n");
    CHECK(rest(tail) == "after\n");
    CHECK(tail.counts().cut_lines == 1);
}

TEST_CASE("tail: UTF-16 by its mark or by name, Latin-1 by name") {
    TempDirectory dir;
    std::string log = dir / "log";
    bool big = GENERATE(false, true);
    std::string mark = big ? "\xfe\xff" : "\xff\xfe";
    SECTION("with a mark, and a character cut in two by the writer") {
        std::string text = utf16("one \n two\r\n", big);
        write_file(log, mark + text.substr(0, 5));
        Tail tail = tail_of(log);
        CHECK(rest(tail).empty());
        append_file(log, text.substr(5));
        CHECK(rest(tail) == "one \n two\r\n");
    }
    SECTION("with a mark before every line, as hMailServer writes its events since 5.6") {
        write_file(log, mark + utf16("one\r\n", big) + mark + utf16("two\r\n", big));
        Tail tail = tail_of(log);
        CHECK(rest(tail) == "one\r\ntwo\r\n");
        append_file(log, mark + utf16("three\r\n", big));
        CHECK(rest(tail) == "three\r\n");
    }
    SECTION("without a mark, named") {
        write_file(log, utf16("abc\n", big));
        Tail tail = tail_of(log, big ? Encoding::utf16be : Encoding::utf16le);
        CHECK(rest(tail) == "abc\n");
    }
    SECTION("a line end's bytes within characters are none") {
        // U+0A0A and U+0D0A hold the byte 0x0a twice or once.
        std::string text = mark + utf16("x", big) + "\x0a\x0a" + (big ? "\x0d\x0a" : "\x0a\x0d") +
                           utf16("y\n", big);
        write_file(log, text);
        Tail tail = tail_of(log);
        CHECK(rest(tail) == "x\u0a0a\u0d0ay\n");
    }
    SECTION("resumed in the middle") {
        write_file(log, mark + utf16("one\ntwo\n", big));
        Tail tail = tail_of(log);
        tail.seek(2 + 8);
        CHECK(rest(tail) == "two\n");
    }
    SECTION("Latin-1") {
        write_file(log, "caf\xe9\n");
        Tail tail = tail_of(log, Encoding::latin1);
        CHECK(rest(tail) == "caf\u00e9\n");
    }
    SECTION("UTF-8 with a mark") {
        write_file(log, "\xef\xbb\xbfone\n");
        Tail tail = tail_of(log);
        CHECK(rest(tail) == "one\n");
    }
}

TEST_CASE("tail: a UTF-16 line over the limit is cut, and the next one is read") {
    TempDirectory dir;
    bool big = GENERATE(false, true);
    write_file(dir / "log", (big ? "\xfe\xff" : "\xff\xfe") +
                                utf16(std::string(400'000, 'x') + "\nafter\n", big));
    Tail tail = tail_of(dir / "log", Encoding::automatic, 1000);
    CHECK(rest(tail) == std::string(1000, 'x') + "after\n");
}

TEST_CASE("tail: a position is good for the same file only") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "Nov 21 10:00:00 first line\nsecond\n");
    Tail tail = tail_of(log);
    rest(tail);
    TailPosition saved = tail.position();
    CHECK(saved.offset == 34);
    CHECK(tail_of(log).matches(saved.fingerprint));
    append_file(log, "third\n");
    CHECK(tail_of(log).matches(saved.fingerprint));
    write_file(log, "Nov 21 10:00:00 First line\nsecond\n");  // an inode reused
    CHECK_FALSE(tail_of(log).matches(saved.fingerprint));
}

TEST_CASE("tail: what is no regular file is refused") {
    TempDirectory dir;
    mkfifo((dir / "fifo").c_str(), 0600);
    auto fifo = Tail::open(dir / "fifo", Encoding::automatic, 100);
    REQUIRE_FALSE(fifo);
    CHECK(to_line(fifo.error()) ==
          "cannot read \"" + dir / "fifo" + "\": it is not a regular file");
    auto missing = Tail::open(dir / "missing", Encoding::automatic, 100);
    REQUIRE_FALSE(missing);
    CHECK(to_line(missing.error()) ==
          "cannot read \"" + dir / "missing" + "\": No such file or directory");
}

TEST_CASE("tail: the first line to read is found by its date") {
    TempDirectory dir;
    std::string log = dir / "log";
    Instant start = at(0);  // 2026-11-21 10:00:00
    auto line = [&](int second) {
        CivilTime c = civil_from_utc(start + std::chrono::seconds(second));
        char text[100];
        std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d+00:00 mx app: number %d\n",
                      c.year, c.month, c.day, c.hour, c.minute, c.second, second);
        return std::string(text);
    };
    std::string text;
    std::vector<std::size_t> offsets;
    bool undated = GENERATE(false, true);
    for (int i = 0; i < 20'000; ++i) {
        offsets.push_back(text.size());
        text += line(i);
        if (undated && i % 3 == 0) text += "\tat com.example.Stack.trace\n";
    }
    Instant now = start + std::chrono::seconds(20'000);
    SECTION("8 bit") {
        write_file(log, text);
        Tail tail = tail_of(log);
        for (int second : {0, 1, 2, 777, 9999, 15'000, 19'998, 19'999})
            CHECK(tail.find_start(start + std::chrono::seconds(second), Zone{}, now) ==
                  FirstRead{offsets[static_cast<std::size_t>(second)]});
        CHECK(tail.find_start(start - std::chrono::hours(1), Zone{}, now) == FirstRead{0});
        CHECK(tail.find_start(now + std::chrono::hours(1), Zone{}, now) == FirstRead{text.size()});
        CHECK(tail.find_last_date(Zone{}, now) == start + std::chrono::seconds(19'999));
        append_file(log, "no date\n" + line(20'000).substr(0, 40));  // not yet a line
        CHECK(tail.find_last_date(Zone{}, now) == start + std::chrono::seconds(19'999));
    }
    SECTION("16 bit") {
        write_file(log, "\xff\xfe" + utf16(text, false));
        Tail tail = tail_of(log);
        for (int second : {1, 777, 19'999})
            CHECK(tail.find_start(start + std::chrono::seconds(second), Zone{}, now) ==
                  FirstRead{2 + 2 * offsets[static_cast<std::size_t>(second)]});
        CHECK(tail.find_last_date(Zone{}, now) == start + std::chrono::seconds(19'999));
    }
}

TEST_CASE("tail: a log without dates starts at its end, an empty one at 0") {
    TempDirectory dir;
    write_file(dir / "log", "no date\nno date either\n");
    CHECK(tail_of(dir / "log").find_start(at(0), Zone{}, at(0)) == FirstRead{23});
    write_file(dir / "empty", "");
    CHECK(tail_of(dir / "empty").find_start(at(0), Zone{}, at(0)) == FirstRead{0});
    for (const char* name : {"log", "empty"})
        CHECK_FALSE(tail_of(dir / name).find_last_date(Zone{}, at(0)));
    write_file(dir / "one", "2026-11-21T09:00:00Z mx app: x\n");
    CHECK(tail_of(dir / "one").find_last_date(Zone{}, at(0)) == at(-3600));
    // In the last 64 KiB no line begins.
    append_file(dir / "one", std::string(100'000, 'x') + "\n");
    CHECK_FALSE(tail_of(dir / "one").find_last_date(Zone{}, at(0)));
}

TEST_CASE("tail: where a new log is begun does not hang on how its newest line looks") {
    TempDirectory dir;
    Instant now = at(10'000);
    bool docker = GENERATE(false, true);
    auto line = [&](int second, std::size_t length) {
        std::string date = format_rfc3339(at(second));
        std::string text(length, 'x');
        return docker ? "{\"log\":\"" + text + R"(\n","stream":"stdout","time":")" + date + "\"}\n"
                      : "{\"uri\":\"/" + text + R"(","time":")" + date + "\"}\n";
    };
    std::size_t length = GENERATE(10U, 60'000U, 200'000U, 3'000'000U);
    bool all_long = GENERATE(false, true);
    std::string text;
    std::vector<std::size_t> offsets;
    int lines = all_long && length > 1'000'000 ? 10 : 200;
    for (int i = 0; i < lines; ++i) {
        offsets.push_back(text.size());
        text += line(i, all_long ? length : 100);
    }
    auto start = [&](const std::string& file, int second) {
        return tail_of(file, Encoding::automatic, 8 << 20).find_start(at(second), Zone{}, now);
    };
    std::string log = dir / "log";
    SECTION("it is long") {
        write_file(log, text + line(lines, length));
        CHECK(start(log, lines) == FirstRead{text.size()});
        CHECK(start(log, 7) == FirstRead{offsets[7]});
        CHECK(start(log, lines + 1) == FirstRead{text.size() + line(lines, length).size()});
    }
    SECTION("it has no end yet") {
        std::string begun = line(lines, length);
        begun.resize(begun.size() - 5);
        write_file(log, text + begun);
        CHECK(start(log, 7) == FirstRead{offsets[7]});
        // When it ends it is new, whatever it says by then.
        CHECK(start(log, lines + 1) == FirstRead{text.size()});
        Tail tail = tail_of(log, Encoding::automatic, 8 << 20);
        CHECK(tail.find_end() == FirstRead{text.size()});
    }
}

TEST_CASE("tail: of a line without end that is over the limit, the rest is no line") {
    TempDirectory dir;
    std::string log = dir / "log";
    write_file(log, "2026-11-21T09:00:00Z mx app: x\n" + std::string(300'000, 'y'));
    Tail tail = tail_of(log, Encoding::automatic, 1000);
    FirstRead end{std::filesystem::file_size(log), true};
    CHECK(tail.find_end() == end);
    CHECK(tail.find_start(at(0), Zone{}, at(0)) == end);
    tail.seek(end.offset, end.skipping);
    append_file(log, "attack\nnext\n");
    CHECK(rest(tail) == "next\n");
}

TEST_CASE("a file of a terabyte without line ends holds nobody up") {
    TempDirectory dir;
    write_file(dir / "log", "2026-11-21T10:00:00Z mx app: one\n");
    constexpr std::uint64_t size = std::uint64_t{1} << 40;
    std::filesystem::resize_file(dir / "log", size);
    Tail tail = tail_of(dir / "log");
    CHECK(tail.find_start(at(0), Zone{}, at(0)) ==
          FirstRead{size, true});  // minutes, if all is read
}
