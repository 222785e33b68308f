// SPDX-License-Identifier: GPL-2.0-or-later
// Logs as Docker, Kubernetes' runtimes and hMailServer write them, read in any portions, with
// restarts between. What comes out is held against what the container said, line by line.
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "core/text/docker.h"
#include "source/watch.h"
#include "support/common.h"

using namespace bandd;

namespace {

constexpr std::size_t limit = 40'000;

struct Said {
    int stream = 0;
    std::string line;
};

// As Go's encoding/json, of ASCII.
std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += std::string("\\") + c;
        else if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&')
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out;
}

// Its file, piece by piece.
// `style`: 0 as Docker, 1 with spaces, 2 in another order, 3 both.
std::vector<std::string> pieces_of(const Said& said, bool docker, unsigned style,
                                   std::mt19937& random) {
    static int time = 0;
    std::vector<std::string> pieces;
    std::string_view stream = said.stream == 0 ? "stdout" : "stderr";
    std::string left = said.line;
    const std::string space = style % 2 == 0 ? "" : " ";
    bool reordered = style / 2 % 2 == 1;
    for (bool last = false; !last;) {
        std::size_t most = docker ? 16384 : 1 + random() % 9000;
        // A line of exactly 16 KiB has its end in a piece of its own.
        last = left.size() < most;
        std::string part = left.substr(0, most);
        left.erase(0, part.size());
        std::string date =
            fmt::format("2026-11-30T10:{:02}:{:02}.{}Z", time / 60 % 60, time % 60, 1 + time % 997);
        ++time;
        std::string log = "\"log\":" + space + "\"" + escaped(part + (last ? "\n" : "")) + "\"";
        std::string rest = "\"stream\":" + space + "\"" + std::string(stream) + "\"" +
                           (time % 3 == 0 ? ",\"attrs\":{\"stream\":\"stdout\"}" : "") + "," +
                           space + "\"time\":" + space + "\"" + date + "\"";
        if (docker)
            pieces.push_back(reordered ? "{" + rest + "," + space + log + "}\n"
                                       : "{" + log + "," + space + rest + "}\n");
        else
            pieces.push_back(date + " " + std::string(stream) + (last ? " F " : " P ") + part +
                             "\n");
    }
    return pieces;
}

class Container {
  public:
    explicit Container(unsigned seed)
        : random_(seed), docker_(seed % 2 == 0), style_(seed / 2 % 4) {}
    bool docker() const { return docker_; }

    Said invent() {
        static const std::vector<std::string> bits{"a",
                                                   "\\",
                                                   "\\n",
                                                   "\"",
                                                   "\",\"stream\":\"stderr\",\"time\":\"x\"}",
                                                   "\t",
                                                   "\x01",
                                                   "<>",
                                                   "stdout",
                                                   " 2026-11-30T10:00:00Z stdout P x",
                                                   "é",
                                                   "\\\\",
                                                   "{\"log\":\"",
                                                   "Failed password from 198.51.100.7",
                                                   "]"};
        Said said{static_cast<int>(random_() % 2), {}};
        std::size_t most = random_() % 4 == 0 ? random_() % 60'000 : random_() % 100;
        if (random_() % 10 == 0) most = 16384 * (1 + random_() % 2);
        bool exact = random_() % 3 == 0;
        while (said.line.size() < most) said.line += bits[random_() % bits.size()];
        if (exact) said.line.resize(most, 'x');
        return said;
    }
    // Lines of both streams, their pieces mixed.
    std::string write(std::size_t lines, std::vector<Said>& ended) {
        std::string out;
        std::array<std::vector<std::string>, 2> left;
        std::array<Said, 2> now;
        for (std::size_t i = 0; i < lines || !left[0].empty() || !left[1].empty();) {
            std::size_t stream = random_() % 2;
            if (left[stream].empty()) {
                if (i >= lines) continue;
                Said said = invent();
                said.stream = static_cast<int>(stream);
                left[stream] = pieces_of(said, docker_, style_, random_);
                now[stream] = said;
                ++i;
            }
            out += left[stream].front();
            left[stream].erase(left[stream].begin());
            if (left[stream].empty()) ended.push_back(now[stream]);
        }
        return out;
    }
    std::mt19937& random() { return random_; }

  private:
    std::mt19937 random_;
    bool docker_;
    unsigned style_;
};

// What a line of the tail says.
Said heard(std::string_view line, bool docker) {
    if (docker) {
        std::string buffer;
        auto opened = open_docker(line, buffer);
        REQUIRE(opened);
        auto parts = find_docker_parts(line);
        REQUIRE(parts);
        return {parts->stream == "stderr" ? 1 : 0, std::string(opened->line)};
    }
    std::size_t at = line.find(' ');
    REQUIRE((line.substr(at + 8, 2) == "F " || line.substr(at + 8, 2) == "P "));
    return {line.substr(at + 4, 3) == "err" ? 1 : 0, std::string(line.substr(at + 10))};
}

void hear(std::string_view bytes, bool docker, std::vector<Said>& out) {
    while (!bytes.empty()) {
        std::size_t end = bytes.find('\n');
        REQUIRE(end != std::string_view::npos);
        out.push_back(heard(bytes.substr(0, end), docker));
        bytes.remove_prefix(end + 1);
    }
}

bool is_same(const Said& said, const Said& one, bool docker) {
    if (said.stream != one.stream) return false;
    std::string line = said.line;
    // Docker's reader takes CR off the end, as a terminal's line end.
    while (docker && line.ends_with('\r')) line.pop_back();
    if (line == one.line) return true;
    // Cut: by far more than what stands around the text.
    return line.starts_with(one.line) && line.size() > one.line.size() &&
           one.line.size() > limit - (docker ? 1 : 300);
}

}  // namespace

TEST_CASE("pieces: what a container said in one line is one, however it is read") {
    unsigned seed = GENERATE(range(0U, 24U));
    Container container(seed);
    std::vector<Said> said;
    TempDirectory dir;
    std::string all = container.write(150, said);
    write_file(dir / "log", all.substr(0, container.random()() % all.size()));
    std::vector<Said> got;
    std::optional<TailPosition> at;
    std::optional<Tail> tail;
    std::size_t written = std::filesystem::file_size(dir / "log");
    int restarts = 0;
    while (true) {
        if (!tail || container.random()() % 5 == 0) {
            tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
            tail->seek(at ? at->offset : 0, at && at->skipping);
            ++restarts;
        }
        auto read = tail->read(1 + container.random()() % 60'000);
        REQUIRE(read);
        hear(read->bytes, container.docker(), got);
        at = tail->position();
        if (read->more) continue;
        if (written == all.size()) break;
        std::size_t grown =
            std::min<std::size_t>(all.size() - written, 1 + container.random()() % 100'000);
        append_file(dir / "log", all.substr(written, grown));
        written += grown;
    }
    CHECK_FALSE(tail->holds_pieces());
    REQUIRE(got.size() == said.size());
    for (std::size_t i = 0; i < said.size(); ++i) {
        INFO(i << ": " << got[i].line.substr(0, 200) << "\n" << said[i].line.substr(0, 200));
        CHECK(is_same(said[i], got[i], container.docker()));
    }
    CHECK(restarts > 3);
}

TEST_CASE("pieces: a line without end holds the others up only for a while, and names nobody") {
    TempDirectory dir;
    std::string open = std::string("2026-11-30T10:00:00Z stdout P begun\n");
    write_file(dir / "log", "2026-11-30T10:00:00Z stderr F one\n" + open +
                                "2026-11-30T10:00:00Z stderr F two\n");
    Tail tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    CHECK(tail.read()->bytes == "2026-11-30T10:00:00Z stderr F one\n");
    CHECK(tail.holds_pieces());
    std::uint64_t held_at = tail.position().offset;
    CHECK(tail.let_go() ==
          "2026-11-30T10:00:00Z stderr F two\n2026-11-30T10:00:00Z stdout P begun\n");
    CHECK(tail.position().offset > held_at);
    CHECK(tail.counts().cut_lines == 1);
    // Its rest, also after a restart.
    std::string rest =
        "2026-11-30T10:00:01Z stdout P from 198.51.100.7\n"
        "2026-11-30T10:00:01Z stderr F three\n"
        "2026-11-30T10:00:02Z stdout F from 198.51.100.7\n"
        "2026-11-30T10:00:02Z stdout F four\n";
    append_file(dir / "log", rest);
    Tail again = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    again.seek(tail.position().offset);
    for (Tail* one : {&tail, &again})
        CHECK(one->read()->bytes ==
              "2026-11-30T10:00:01Z stderr F three\n2026-11-30T10:00:02Z stdout F four\n");
}

TEST_CASE("pieces: a log that is rotated within a line goes on within it") {
    TempDirectory dir;
    write_file(dir / "old",
               "2026-11-30T10:00:00Z stdout F one\n2026-11-30T10:00:00Z stdout P tw\n");
    write_file(dir / "new",
               "2026-11-30T10:00:00Z stdout F from 198.51.100.7\n2026-11-30T10:00:00Z stdout F "
               "three\n");
    Tail old = std::move(*Tail::open(dir / "old", Encoding::automatic, limit));
    old.seek(0);
    CHECK(old.read()->bytes == "2026-11-30T10:00:00Z stdout F one\n");
    Tail next = std::move(*Tail::open(dir / "new", Encoding::automatic, limit));
    next.seek(0);
    next.go_on_from(old, Tail::Known::all);
    CHECK(next.read()->bytes == "2026-11-30T10:00:00Z stdout F three\n");
    // It was copied and truncated.
    write_file(dir / "old",
               "2026-11-30T10:00:00Z stdout F o 198.51.100.7\n"
               "2026-11-30T10:00:00Z stdout F four\n");
    while (old.read()->truncated) {
    }
    CHECK(old.position().offset == std::filesystem::file_size(dir / "old"));
}

TEST_CASE("pieces: a log that only looks like a container's is read as it is") {
    TempDirectory dir;
    std::string lines;
    for (int i = 0; i < 3; ++i)
        lines += "{\"log\":\"" + std::string(20'000, 'x') + "\",\"level\":\"info\"}\n";
    write_file(dir / "log", lines);
    Tail tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    CHECK(tail.read()->bytes == lines);
}

namespace {

// hMailServer's, of which `said` is a client's text.
std::string record(int number, const std::string& said) {
    return fmt::format(
        "\"SMTPD\"\t{}\t{}\t\"2026-11-30 10:00:{:02}.123\"\t\"203.0.113.{}\"\t\"{}\"", number,
        number, number % 60, number % 250, said);
}

std::string utf16(std::string_view text) {
    std::string out;
    for (char c : text) out += {c, '\0'};
    return out;
}

}  // namespace

TEST_CASE("pieces: what a client sends hMailServer begins no record, and ends none") {
    unsigned seed = GENERATE(range(0U, 24U));
    bool marked = seed % 3 == 0;  // as in the event log: UTF-16, with a mark on each record
    std::mt19937 random(seed);
    std::string forged = "\n" + record(7, "SENT: 503 Bad sequence of commands");
    const std::vector<std::string> bits{"a",  "\"", "\n",   "\"\n", forged,
                                        "\r", "\t", "\n\n", "[nl]"};
    std::vector<std::string> said;
    std::string all;
    for (int i = 0; i < 120; ++i) {
        std::string text = "RECEIVED: ";
        for (auto left = i == 0 ? 0 : random() % 8; left > 0; --left)
            text += bits[random() % bits.size()];
        // hMailServer itself does so with CR and LF.
        for (std::size_t at; (at = text.find("\r\n")) != std::string::npos;)
            text.replace(at, 2, "[nl]");
        std::string whole = record(i, text) + "\r\n";
        all += marked ? "\xff\xfe" + utf16(whole) : whole;
        for (std::size_t at; (at = whole.find('\n')) != whole.size() - 1;)
            whole.replace(at, 1, "[nl]");
        said.push_back(whole);
    }
    TempDirectory dir;
    std::size_t written = random() % all.size();
    write_file(dir / "log", all.substr(0, written));
    std::string got;
    std::optional<TailPosition> at;
    std::optional<Tail> tail;
    while (true) {
        if (!tail || random() % 4 == 0) {
            tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
            tail->seek(at ? at->offset : 0, at && at->skipping);
        }
        auto read = tail->read(1 + random() % 300);
        REQUIRE(read);
        got += read->bytes;
        at = tail->position();
        if (read->more) continue;
        if (written == all.size()) break;
        std::size_t grown = std::min<std::size_t>(all.size() - written, 1 + random() % 500);
        append_file(dir / "log", all.substr(written, grown));
        written += grown;
    }
    std::string expected;
    for (const std::string& one : said) expected += one;
    CHECK(got == expected);
    CHECK_FALSE(tail->holds_pieces());
}

TEST_CASE(
    "pieces: a record of hMailServer's that never ends is let go, and what follows it dropped") {
    TempDirectory dir;
    std::string one = record(1, "one") + "\r\n";
    write_file(dir / "log", one + record(2, "never ends\nand goes on") + "\n");
    Tail tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    CHECK(tail.read()->bytes == one);
    CHECK(tail.holds_pieces());
    // Without a quote at its end: that may be a client's.
    CHECK(tail.let_go() == record(2, "never ends[nl]and goes on") + "[nl]\n");
    CHECK(tail.counts().cut_lines == 1);
    append_file(dir / "log", record(3, "forged\n") + "\r\n" + record(4, "four") + "\r\n");
    CHECK(tail.read()->bytes == record(4, "four") + "\r\n");
}

TEST_CASE("pieces: records of hMailServer's whose CR somebody took off end with a quote") {
    TempDirectory dir;
    std::string log = record(1, "one") + "\n" + record(2, "two") + "\n";
    write_file(dir / "log", log);
    Tail tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    CHECK(tail.read()->bytes == log);
    append_file(dir / "log", record(3, "three\nfour") + "\n" + record(5, "five") + "\n");
    CHECK(tail.read()->bytes == record(3, "three[nl]four") + "\n" + record(5, "five") + "\n");
}

TEST_CASE("pieces: a log of hMailServer's that is copied and truncated within a record") {
    TempDirectory dir;
    std::string one = record(1, "one") + "\r\n";
    write_file(dir / "log", one + record(2, "two\nthree") + "\n");
    Tail tail = std::move(*Tail::open(dir / "log", Encoding::automatic, limit));
    CHECK(tail.read()->bytes == one);
    write_file(dir / "log", record(9, "forged") + "\r\n" + record(4, "four") + "\r\n");
    std::string got;
    for (bool more = true; more;) {
        auto read = tail.read();
        got += read->bytes;
        more = read->more;
    }
    CHECK(got == record(4, "four") + "\r\n");
}

namespace {

// A container's log that is rotated, and who follows it until he is killed.
struct FollowedContainer {
    TempDirectory dir;
    std::string log = dir / "log";
    bool docker = false;
    Instant now = at(0);
    std::map<FileNumber, FilePosition> saved;
    std::vector<std::string> got, got_when_saved;
    std::optional<Watch> watch;

    void start() {
        watch = std::move(*Watch::create({}));
        got = got_when_saved;
        WatchedLog wanted;
        wanted.spec.path = log;
        wanted.spec.start = Start::beginning;
        std::vector<FilePosition> positions;
        for (const auto& [file, position] : saved) positions.push_back(position);
        watch->set_logs({wanted}, positions, {}, now);
    }
    void read() {
        watch->on_notify(now);
        Watch::Visitor visitor{[this](Reader&, const Readable& what) {
            std::vector<Said> heard;
            hear(std::get<Chunk>(what).bytes, docker, heard);
            for (const Said& one : heard) got.push_back(one.line);
            return PartRead{};
        }};
        do watch->read_ready(visitor, now);
        while (watch->is_ready());
    }
    void save() {
        std::vector<FilePosition> changed;
        std::vector<FileNumber> gone;
        watch->take_changes(changed, gone, now);
        for (const FilePosition& position : changed) saved[position.file] = position;
        for (const FileNumber& one : gone) saved.erase(one);
        got_when_saved = got;
    }
    void rotate(bool copy) {
        for (int i = 8; i > 0; --i)
            if (std::filesystem::exists(log + "." + std::to_string(i)))
                std::filesystem::rename(log + "." + std::to_string(i),
                                        log + "." + std::to_string(i + 1));
        if (copy) {
            std::filesystem::copy_file(log, log + ".1");
            std::filesystem::resize_file(log, 0);
        } else {
            std::filesystem::rename(log, log + ".1");
            write_file(log, "");
        }
    }
};

}  // namespace

TEST_CASE("pieces: rotations and kills lose no line, and count none twice") {
    unsigned seed = GENERATE(range(0U, 20U));
    std::mt19937 random(seed);
    FollowedContainer c;
    c.docker = seed % 2 == 0;
    write_file(c.log, "");
    c.start();
    c.read();
    c.save();
    struct Open {
        std::vector<std::string> pieces;
        int number = 0;
        bool parted = false;  // by a rotation
    };
    std::array<Open, 2> open;
    std::set<int> whole, parted;
    int number = 0;
    auto write_piece = [&] {
        Open& one = open[random() % 2];
        if (one.pieces.empty()) {
            Said said{static_cast<int>(&one - open.data()), fmt::format("line {} ", ++number)};
            // No two alike: files are known by their first bytes.
            std::size_t length = random() % 3 == 0 ? random() % 60'000 : 0;
            while (said.line.size() < length) said.line += std::to_string(random());
            one = {pieces_of(said, c.docker, 0, random), number, false};
        }
        append_file(c.log, one.pieces.front());
        one.pieces.erase(one.pieces.begin());
        if (one.pieces.empty()) (one.parted ? parted : whole).insert(one.number);
        return one.pieces.size();
    };
    std::size_t rotations = 0;
    for (int step = 0; step < 500; ++step) {
        c.now = c.now + std::chrono::milliseconds(random() % 3);
        unsigned what = random() % 100;
        if (what < 60) {
            write_piece();
        } else if (what < 64 && rotations < 60 && std::filesystem::file_size(c.log) > 300) {
            ++rotations;
            // Of another tick of the clock.
            std::this_thread::sleep_for(std::chrono::milliseconds(6));
            c.rotate(random() % 2 == 0);
            for (Open& one : open) one.parted = one.parted || !one.pieces.empty();
            // Lines wait for the rest of one that is parted; no longer than its file has a name.
            if (rotations % 6 == 0) {
                c.read();
                c.now = c.now + std::chrono::seconds(3);
                c.read();
                c.save();
            }
            // Docker writes on at once, so it is seldom seen empty.
            if (random() % 4 != 0) write_piece();
        } else if (what < 84) {
            c.read();
        } else if (what < 92) {
            c.save();
        } else if (what < 96) {
            c.start();
        }
    }
    while (!open[0].pieces.empty() || !open[1].pieces.empty()) write_piece();
    c.read();
    c.now = c.now + std::chrono::seconds(3);
    c.read();
    std::map<int, int> times;
    for (const std::string& line : c.got) {
        if (line.starts_with("line ")) ++times[std::atoi(line.c_str() + 5)];
    }
    for (int one : whole) {
        INFO("seed " << seed << ", line " << one << " of " << number);
        CHECK(times[one] == 1);
    }
    for (int one : parted) CHECK(times[one] <= 1);
}

TEST_CASE("pieces: a busy writer, who has always a line open, loses none by that") {
    FollowedContainer c;
    std::string head = "2026-11-30T10:00:00Z stdout ";
    write_file(c.log, head + "P line 1\n");
    c.start();
    for (int i = 1; i < 8; ++i) {
        c.read();
        c.now = c.now + std::chrono::milliseconds(1500);
        append_file(c.log, head + "F  ends\n" + head + fmt::format("P line {}\n", i + 1));
    }
    c.read();
    std::vector<std::string> expected;
    for (int i = 1; i < 8; ++i) expected.push_back(fmt::format("line {} ends", i));
    CHECK(c.got == expected);
    // One that does not end is let go.
    c.now = c.now + std::chrono::seconds(2);
    c.read();
    CHECK(c.got.back() == "line 8");
}

TEST_CASE("pieces: a file that is read on after a kill does not go on with the one before it") {
    FollowedContainer c;
    std::string head = "2026-11-30T10:00:00Z stdout ";
    write_file(c.log, head + "F one\n" + head + "P parted by a rotation\n");
    c.start();
    c.read();
    c.rotate(false);
    append_file(c.log, head + "F  from 198.51.100.7\n" + head + "F two\n");
    c.read();
    c.save();
    append_file(c.log, head + "F three\n");
    c.start();
    c.read();
    CHECK(c.got == std::vector<std::string>{"one", "two", "three"});
}

TEST_CASE("pieces: the rest of a line that a rotation parts is no line, also after a kill") {
    bool copied = GENERATE(false, true);
    bool gone = GENERATE(false, true);  // what was rotated is not read any more
    FollowedContainer c;
    std::string head = "2026-11-30T10:00:00Z stdout ";
    write_file(c.log, head + "F one\n" + head + "P parted by a rotation\n");
    c.start();
    c.read();
    c.rotate(copied);
    if (gone) {
        c.read();
        c.now = c.now + std::chrono::seconds(61);
        c.read();
    }
    c.save();
    append_file(c.log, head + "F denied 198.51.100.7\n" + head + "F two\n");
    c.start();
    c.read();
    for (const std::string& line : c.got) CHECK_FALSE(line.starts_with("denied"));
    CHECK(c.got.back() == "two");
}
