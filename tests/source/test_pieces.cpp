// SPDX-License-Identifier: GPL-2.0-or-later
// Logs as Docker and Kubernetes' runtimes write them, read in any portions, with restarts between.
// What comes out is held against what the container said, line by line.
#include <random>

#include <fmt/format.h>

#include "core/text/docker.h"
#include "source/tail.h"
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
std::vector<std::string> pieces_of(const Said& said, bool docker, std::mt19937& random) {
    static int time = 0;
    std::vector<std::string> pieces;
    std::string_view stream = said.stream == 0 ? "stdout" : "stderr";
    std::string rest = said.line;
    for (bool last = false; !last;) {
        std::size_t most = docker ? 16384 : 1 + random() % 9000;
        // A line of exactly 16 KiB has its end in a piece of its own.
        last = rest.size() < most;
        std::string part = rest.substr(0, most);
        rest.erase(0, part.size());
        std::string date =
            fmt::format("2026-11-30T10:{:02}:{:02}.{}Z", time / 60 % 60, time % 60, 1 + time % 997);
        ++time;
        if (docker)
            pieces.push_back("{\"log\":\"" + escaped(part + (last ? "\n" : "")) +
                             "\",\"stream\":\"" + std::string(stream) + "\"" +
                             (time % 3 == 0 ? ",\"attrs\":{\"stream\":\"stdout\"}" : "") +
                             ",\"time\":\"" + date + "\"}\n");
        else
            pieces.push_back(date + " " + std::string(stream) + (last ? " F " : " P ") + part +
                             "\n");
    }
    return pieces;
}

class Container {
  public:
    explicit Container(unsigned seed) : random_(seed), docker_(seed % 2 == 0) {}
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
                left[stream] = pieces_of(said, docker_, random_);
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
};

// What a line of the tail says.
Said heard(std::string_view line, bool docker) {
    if (docker) {
        std::string buffer;
        auto opened = open_docker(line, buffer);
        REQUIRE(opened);
        bool err = line.contains("\",\"stream\":\"stderr\"");
        return {err ? 1 : 0, std::string(opened->line)};
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
           (docker ? escaped(line).size() : line.size()) > limit - 300;
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
    next.go_on_from(old);
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
