// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/pieces.h"

#include <algorithm>

#include "core/text/datetime.h"
#include "core/text/docker.h"

namespace bandd {
namespace {

// So much of the container's is in an open piece, at least.
constexpr std::size_t shortest_docker_piece = 16 << 10;
constexpr std::string_view docker_line_end = "\\n";
// In place of a line end within a record, as hMailServer itself writes CR and LF.
constexpr std::string_view line_end_within = "[nl]";

// 0: stdout, 1: stderr.
std::optional<std::size_t> stream_named(std::string_view text) {
    if (text.starts_with("stdout")) return 0;
    if (text.starts_with("stderr")) return 1;
    return {};
}

// `\\n` is a backslash and an n.
bool ends_with_line_end(std::string_view escaped) {
    if (!escaped.ends_with(docker_line_end)) return false;
    escaped.remove_suffix(1);
    std::size_t backslashes =
        escaped.size() - std::min(escaped.size(), escaped.find_last_not_of('\\') + 1);
    return backslashes % 2 == 1;
}

template <class Visit>
void for_each_line(std::string_view lines, Visit&& visit) {
    while (!lines.empty()) {
        std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
        visit(lines.substr(0, end));
        lines.remove_prefix(end);
    }
}

// `2026-11-21T10:00:00.123456789+01:00 stdout F …`: where the stream stands. npos: no such line.
std::size_t cri_stream(std::string_view line) {
    constexpr std::size_t shortest = 20;
    constexpr std::size_t longest = 35;
    if (line.size() < shortest || line[4] != '-' || line[10] != 'T') return std::string_view::npos;
    std::size_t at = line.substr(0, longest + 1).find(' ');
    if (at == std::string_view::npos || at < shortest) return std::string_view::npos;
    return line.substr(at + 1).starts_with("std") ? at + 1 : std::string_view::npos;
}

// `"SMTPD"⇥12⇥34⇥"2026-11-21 10:00:00.123"⇥`, `"TCPIP"⇥12⇥"2026-…"⇥`, of events `12⇥"2026-…"⇥`.
bool begins_hmailserver(std::string_view line) {
    constexpr std::string_view kinds = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    constexpr std::size_t longest_kind = 16;
    if (line.starts_with('"')) {
        std::size_t end = std::min(line.find_first_not_of(kinds, 1), line.size());
        if (end == 1 || end > longest_kind || !line.substr(end).starts_with("\"\t")) return false;
        line.remove_prefix(end + 2);
    }
    for (int number = 0; number < 2 && !line.starts_with('"'); ++number) {
        std::size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
        if (digits == 0 || !line.substr(digits).starts_with('\t')) return false;
        line.remove_prefix(digits + 1);
    }
    return line.starts_with('"') && scan_iso_date(line.substr(1));
}

}  // namespace

std::optional<PiecesFormat> pieces_format(std::string_view first_bytes) {
    if (find_docker_parts(first_bytes)) return PiecesFormat::docker;
    // A copy may have been made within a record.
    std::size_t record = first_bytes.find("\"\r\n");
    if (begins_hmailserver(first_bytes) ||
        (record != std::string_view::npos && begins_hmailserver(first_bytes.substr(record + 3))))
        return PiecesFormat::hmailserver;
    std::size_t stream = cri_stream(first_bytes);
    if (stream == std::string_view::npos) return {};
    std::string_view rest = first_bytes.substr(stream);
    for (std::string_view head : {"stdout F", "stdout P", "stderr F", "stderr P"})
        if (rest.starts_with(head)) return PiecesFormat::cri;
    return {};
}

std::optional<Pieces::Piece> Pieces::docker_piece(std::string_view line) const {
    auto parts = find_docker_parts(line);
    if (!parts || !parts->ends) return {};
    auto stream = stream_named(parts->stream);
    if (!stream) return {};
    auto begin = static_cast<std::size_t>(parts->log.data() - line.data());
    return Piece{*stream, !ends_with_line_end(parts->log), line.substr(0, begin), parts->log,
                 line.substr(begin + parts->log.size())};
}

std::optional<Pieces::Piece> Pieces::cri_piece(std::string_view line) const {
    std::size_t at = cri_stream(line);
    if (at == std::string_view::npos) return {};
    constexpr std::size_t name = std::string_view("stdout").size();
    auto stream = stream_named(line.substr(at));
    // Tags, of which the first one says whether the line ends: `P`, `F:other`.
    std::size_t tag_at = at + name + 1;
    if (!stream || line.size() <= tag_at || line[tag_at - 1] != ' ') return {};
    std::size_t tags_end = std::min(line.find(' ', tag_at), line.size());
    char tag = line[tag_at];
    if (tag != 'P' && tag != 'F') return {};
    return Piece{*stream,
                 tag == 'P',
                 line.substr(0, tag_at),
                 line.substr(std::min(tags_end + 1, line.size())),
                 {}};
}

std::optional<Pieces::Piece> Pieces::piece(std::string_view line) const {
    if (line.ends_with('\n')) line.remove_suffix(1);
    switch (format_) {
        case PiecesFormat::docker:
            return docker_piece(line);
        case PiecesFormat::cri:
            return cri_piece(line);
        case PiecesFormat::hmailserver:
            return Piece{0, may_be_open(line), {}, line, {}};
    }
    return {};
}

// Quickly; false is certain.
bool Pieces::may_be_open(std::string_view line) const {
    switch (format_) {
        case PiecesFormat::docker:
            return line.size() >= shortest_docker_piece;
        case PiecesFormat::cri: {
            std::size_t at = cri_stream(line);
            return at != std::string_view::npos && line.substr(at + 6).starts_with(" P");
        }
        case PiecesFormat::hmailserver:
            if (line.ends_with('\n')) line.remove_suffix(1);
            if (with_cr_) return !line.ends_with("\"\r");
            return !line.ends_with('"') && !line.ends_with("\"\r");
    }
    return false;
}

void Pieces::note_line_ends(std::string_view lines) {
    if (format_ == PiecesFormat::hmailserver && !with_cr_) with_cr_ = lines.contains("\"\r\n");
}

bool Pieces::has_open(std::string_view lines) const {
    bool open = false;
    for_each_line(lines, [&](std::string_view line) {
        if (open || !may_be_open(line)) return;
        auto one = piece(line);
        open = one && one->open;
    });
    return open;
}

void Pieces::add(Line& line, const Piece& piece) const {
    bool first = !line.open;
    if (first) line = {.open = true, .head = piece.head};
    line.end = piece.end;
    if (line.cut) return;
    if (format_ == PiecesFormat::hmailserver && !first) line.text += line_end_within;
    // CRI's head is of some bytes.
    std::size_t most = line_limit_ - std::min(line_limit_, line.size + line.head.size() + 8);
    EscapedPart part{std::min(piece.text.size(), most), std::min(piece.text.size(), most)};
    if (format_ == PiecesFormat::docker)
        part = escaped_part(piece.text, line_limit_ + 1 - line.size);  // with its line end
    line.cut = part.escaped < piece.text.size();
    line.text += piece.text.substr(0, part.escaped);
    line.size = format_ == PiecesFormat::docker ? line.size + part.text : line.text.size();
}

void Pieces::put(Line& line, std::string& joined) const {
    joined += line.head;
    // As a piece whose end is elsewhere, if it was cut.
    if (format_ == PiecesFormat::cri) joined += line.cut ? "P " : "F ";
    joined += line.text;
    // Its last quote may be a client's.
    if (format_ == PiecesFormat::hmailserver && line.cut) joined += line_end_within;
    if (format_ == PiecesFormat::docker && !line.cut && !ends_with_line_end(line.text))
        joined += docker_line_end;
    joined += line.end;
    joined += '\n';
    line = {};
}

Pieces::Taken Pieces::join(std::string_view lines, bool all, std::string& joined) {
    std::array<Line, 2> open;
    Taken taken{.as_is = false};
    std::size_t good = joined.size();  // of it: up to where no line was open
    std::size_t cut = 0;
    std::size_t at = 0;
    auto dropping = dropping_;
    auto finish = [&](Line& line) {
        cut += line.cut ? 1 : 0;
        put(line, joined);
    };
    for_each_line(lines, [&](std::string_view line) {
        at += line.size();
        auto one = piece(line);
        if (!one) {
            joined += line;
        } else if (dropping[one->stream]) {
            dropping[one->stream] = one->open;
        } else if (one->open || open[one->stream].open) {
            add(open[one->stream], *one);
            if (!one->open) finish(open[one->stream]);
        } else {
            joined += line;
        }
        if (open[0].open || open[1].open) return;
        taken.bytes = at;
        taken.cut = cut;
        good = joined.size();
        dropping_ = dropping;
    });
    if (!all) {
        joined.resize(good);
        return taken;
    }
    for (std::size_t stream = 0; stream < open.size(); ++stream) {
        if (!open[stream].open) continue;
        dropping[stream] = true;
        open[stream].cut = true;
        finish(open[stream]);
    }
    dropping_ = dropping;
    taken.bytes = lines.size();
    taken.cut = cut;
    return taken;
}

Pieces::Taken Pieces::take(std::string_view lines, bool all, std::string& joined) {
    note_line_ends(lines);
    if (!dropping_[0] && !dropping_[1] && !has_open(lines)) return {.bytes = lines.size()};
    return join(lines, all, joined);
}

Pieces::Taken Pieces::take(std::string_view lines, std::string& joined) {
    return take(lines, false, joined);
}

Pieces::Taken Pieces::take_all(std::string_view lines, std::string& joined) {
    return take(lines, true, joined);
}

void Pieces::look_back(std::string_view lines) {
    note_line_ends(lines);
    for_each_line(lines, [&](std::string_view line) {
        auto one = piece(line);
        if (!one) return;
        dropping_[one->stream] = one->open;
        seen_[one->stream] = true;
    });
}

void Pieces::go_on_from(const Pieces& before) {
    for (std::size_t stream = 0; stream < dropping_.size(); ++stream)
        if (!seen_[stream]) dropping_[stream] = before.dropping_[stream];
    with_cr_ = with_cr_ || before.with_cr_;
}

void Pieces::look_back_to(const Pieces& before) {
    go_on_from(before);
    for (std::size_t stream = 0; stream < seen_.size(); ++stream)
        seen_[stream] = seen_[stream] || before.seen_[stream];
}

Pieces Pieces::after(const Pieces& before) {
    Pieces after(before.format_, before.line_limit_);
    after.go_on_from(before);
    return after;
}

void Pieces::pass_end_of_line(std::string_view rest) {
    if (format_ == PiecesFormat::hmailserver) dropping_[0] = may_be_open(rest);
}

}  // namespace bandd
