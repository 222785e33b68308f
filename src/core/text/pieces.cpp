// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/pieces.h"

#include <algorithm>

#include "core/text/docker.h"

namespace bandd {
namespace {

// Behind what the container said.
constexpr std::string_view docker_stream = "\",\"stream\":\"std";
// So much of the container's is in an open piece, at least.
constexpr std::size_t docker_piece = 16 << 10;
constexpr std::string_view docker_line_end = "\\n";

// 0: stdout, 1: stderr.
std::optional<std::size_t> stream_named(std::string_view text) {
    if (text.starts_with("out")) return 0;
    if (text.starts_with("err")) return 1;
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

// The length of the first whole characters of `escaped` that fit into `most` bytes.
std::size_t whole_characters(std::string_view escaped, std::size_t most) {
    std::size_t at = 0;
    while (at < escaped.size()) {
        std::size_t length = 1;
        if (escaped[at] == '\\') length = escaped.substr(at + 1).starts_with('u') ? 6 : 2;
        if (at + length > most) break;
        at += length;
    }
    return std::min(at, escaped.size());
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
    return line.substr(at + 1).starts_with("std") ? at + 4 : std::string_view::npos;
}

}  // namespace

std::optional<ContainerFormat> container_format(std::string_view first_bytes) {
    if (first_bytes.starts_with(docker_head)) return ContainerFormat::docker;
    std::size_t stream = cri_stream(first_bytes);
    if (stream == std::string_view::npos) return {};
    std::string_view rest = first_bytes.substr(stream);
    for (std::string_view head : {"out F", "out P", "err F", "err P"})
        if (rest.starts_with(head)) return ContainerFormat::cri;
    return {};
}

std::optional<Pieces::Piece> Pieces::piece(std::string_view line) const {
    if (line.ends_with('\n')) line.remove_suffix(1);
    Piece found;
    if (format_ == ContainerFormat::docker) {
        if (!line.starts_with(docker_head)) return {};
        // A quote that the container wrote has a backslash, so this is none of its text.
        std::size_t end = line.find(docker_stream, docker_head.size());
        if (end == std::string_view::npos) return {};
        auto stream = stream_named(line.substr(end + docker_stream.size()));
        if (!stream) return {};
        found = {*stream, false, docker_head,
                 line.substr(docker_head.size(), end - docker_head.size()), line.substr(end)};
        found.open = !ends_with_line_end(found.text);
        return found;
    }
    std::size_t at = cri_stream(line);
    if (at == std::string_view::npos) return {};
    auto stream = stream_named(line.substr(at));
    // Tags, of which the first one says whether the line ends: `P`, `F:other`.
    if (!stream || line.size() < at + 5 || line[at + 3] != ' ') return {};
    std::size_t tags_end = std::min(line.find(' ', at + 4), line.size());
    std::string_view tag = line.substr(at + 4, 1);
    if (tag != "P" && tag != "F") return {};
    found = {*stream,
             tag == "P",
             line.substr(0, at + 4),
             line.substr(std::min(tags_end + 1, line.size())),
             {}};
    return found;
}

// Quickly; false is certain.
bool Pieces::may_be_open(std::string_view line) const {
    if (format_ == ContainerFormat::docker) return line.size() >= docker_piece;
    std::size_t at = cri_stream(line);
    return at != std::string_view::npos && line.substr(at + 3).starts_with(" P");
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
    if (!line.open) line = {true, false, piece.head, {}, {}};
    line.end = piece.end;
    // What stands around the text is of some hundred bytes.
    std::size_t most = line_limit_ - std::min(line_limit_, line.head.size() + piece.end.size() + 8);
    std::size_t room = most - std::min(most, line.text.size());
    if (!line.cut) {
        std::size_t length = piece.text.size();
        if (length > room) {
            line.cut = true;
            length = format_ == ContainerFormat::docker ? whole_characters(piece.text, room) : room;
        }
        line.text += piece.text.substr(0, length);
    }
}

void Pieces::put(Line& line, std::string& joined) const {
    joined += line.head;
    // As a piece whose end is elsewhere, if it was cut.
    if (format_ == ContainerFormat::cri) joined += line.cut ? "P " : "F ";
    joined += line.text;
    if (format_ == ContainerFormat::docker && !line.cut && !ends_with_line_end(line.text))
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

Pieces::Taken Pieces::take(std::string_view lines, std::string& joined) {
    if (!dropping_[0] && !dropping_[1] && !has_open(lines)) return {.bytes = lines.size()};
    return join(lines, false, joined);
}

Pieces::Taken Pieces::take_all(std::string_view lines, std::string& joined) {
    if (!dropping_[0] && !dropping_[1] && !has_open(lines)) return {.bytes = lines.size()};
    return join(lines, true, joined);
}

void Pieces::look_back(std::string_view lines) {
    for_each_line(lines, [&](std::string_view line) {
        if (auto one = piece(line)) dropping_[one->stream] = one->open;
    });
}

}  // namespace bandd
