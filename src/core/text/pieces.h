// SPDX-License-Identifier: GPL-2.0-or-later
// Logs in which a line end is not always the end of what was said. What a container says in one
// long line stands in pieces: Docker cuts after 16 KiB, Kubernetes' runtimes (CRI) where they like.
// A piece that does not end the line is "open":
//
//   {"log":"GET /aaa","stream":"stdout","time":"…"}       no \n: more of the line follows
//   {"log":"aaa 404\n","stream":"stdout","time":"…"}
//   2026-11-21T10:00:00Z stdout P GET /aaa
//   2026-11-21T10:00:01Z stdout F aaa 404
//
// hMailServer ends each of its records with a quote, CR and LF, and writes [nl] for a CR and LF
// that a client sent, but a lone LF as it is:
//
//   "SMTPD"⇥12⇥34⇥"2026-11-21 10:00:00.123"⇥"192.0.2.1"⇥"RECEIVED: RCPT TO:<aaa
//   bbb>"
//
// Pieces are joined before anybody looks at them. Else what a client wrote would begin a line, and
// name any address. Sources: Docker's daemon/logger (copier.go, jsonfilelog), Kubernetes' "CRI
// container log format", hMailServer's Common/Application/Logger.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

enum class PiecesFormat : std::uint8_t { docker, cri, hmailserver };
// Nothing: in a file that begins so, each line is one.
std::optional<PiecesFormat> pieces_format(std::string_view first_bytes);

class Pieces {
  public:
    // No joined line is longer than `line_limit` bytes, of Docker's the text; the rest of it is
    // left out.
    Pieces(PiecesFormat format, std::size_t line_limit)
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
    // The same of another file, which this one goes on with: of streams of which nothing was seen
    // in this one.
    void go_on_from(const Pieces& before);
    // The same, of one who has looked back only: what he saw nothing of is for those before him.
    void look_back_to(const Pieces& before);
    PiecesFormat format() const { return format_; }
    // For a file that goes on with another one, of which nothing is known yet.
    static Pieces after(const Pieces& before);
    // A line that was cut has come to its end: the last bytes of it.
    void pass_end_of_line(std::string_view rest);

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
        std::string text;            // as the log has it
        std::size_t size = 0;        // of what that stands for
    };
    std::optional<Piece> piece(std::string_view line) const;
    std::optional<Piece> docker_piece(std::string_view line) const;
    std::optional<Piece> cri_piece(std::string_view line) const;
    bool may_be_open(std::string_view line) const;
    bool has_open(std::string_view lines) const;
    void note_line_ends(std::string_view lines);
    void add(Line& line, const Piece& piece) const;
    void put(Line& line, std::string& joined) const;
    Taken take(std::string_view lines, bool all, std::string& joined);
    Taken join(std::string_view lines, bool all, std::string& joined);

    PiecesFormat format_;
    std::size_t line_limit_;
    std::array<bool, 2> dropping_{};  // by stream: the rest of a line that was cut
    std::array<bool, 2> seen_{};      // by stream: when looked back
    // hMailServer's: a record ended with a CR before its LF, as Windows has it. Then no other LF
    // ends one. A log that somebody rid of its CR has records that end with quote and LF.
    bool with_cr_ = false;
};

}  // namespace bandd
