// SPDX-License-Identifier: GPL-2.0-or-later
// What a container says in one long line stands in pieces in its log: Docker cuts after 16 KiB,
// Kubernetes' runtimes (CRI) where they like. A piece that does not end the line is "open":
//
//   {"log":"GET /aaa","stream":"stdout","time":"…"}       no \n: more of the line follows
//   {"log":"aaa 404\n","stream":"stdout","time":"…"}
//   2026-11-21T10:00:00Z stdout P GET /aaa
//   2026-11-21T10:00:01Z stdout F aaa 404
//
// Pieces are joined before anybody looks at them. Else what a client wrote would begin a line, and
// name any address. Sources: Docker's daemon/logger (copier.go, jsonfilelog), Kubernetes' "CRI
// container log format".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

enum class ContainerFormat : std::uint8_t { docker, cri };
// Nothing: a file that begins so is no container's log.
std::optional<ContainerFormat> container_format(std::string_view first_bytes);

class Pieces {
  public:
    // No joined line is longer than `line_limit` bytes; the rest of it is left out.
    Pieces(ContainerFormat format, std::size_t line_limit)
        : format_(format), line_limit_(line_limit) {}

    struct Taken {
        std::size_t bytes = 0;  // of the lines that were given; the rest waits for its end
        bool as_is = true;      // no piece among them: they need no other text
        std::size_t cut = 0;    // lines that were too long
    };
    // `lines`: whole ones, that follow on what was taken before. Unless they are good as they are,
    // they are added to `joined`.
    Taken take(std::string_view lines, std::string& joined);
    // All of them: the ends of open lines are not waited for. What comes of them later is dropped.
    Taken take_all(std::string_view lines, std::string& joined);

    // What stands before that which is to be read. A line that is open at its end is dropped.
    void look_back(std::string_view lines);
    // The same of another file, which this one goes on with.
    void go_on_from(const Pieces& before) { dropping_ = before.dropping_; }

  private:
    struct Piece {
        std::size_t stream = 0;
        bool open = false;
        std::string_view head, text, end;
    };
    struct Line {  // of one stream
        bool open = false;
        bool cut = false;
        std::string_view head, end;  // of its first and its last piece
        std::string text;
    };
    std::optional<Piece> piece(std::string_view line) const;
    bool may_be_open(std::string_view line) const;
    bool has_open(std::string_view lines) const;
    void add(Line& line, const Piece& piece) const;
    void put(Line& line, std::string& joined) const;
    Taken join(std::string_view lines, bool all, std::string& joined);

    ContainerFormat format_;
    std::size_t line_limit_;
    std::array<bool, 2> dropping_{};  // by stream: the rest of a line that was cut
};

}  // namespace bandd
