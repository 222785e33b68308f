// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/find_start.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/text/docker.h"
#include "core/text/envelope.h"

namespace bandd {
namespace {

constexpr std::size_t block = 64 << 10;  // most lines fit, and it is one disk read
// A log of which no line that begins in the first MiB has a date is taken to have none.
constexpr std::uint64_t looked_at_first = 1 << 20;

// A log's lines by their places.
class LogLines {
  public:
    explicit LogLines(const LogExtent& log) : log_(log) {
        std::string_view head = bytes(0, 4);
        auto mark = detect_byte_order_mark(head);
        if (log_.encoding == Encoding::automatic) log_.encoding = mark.encoding;
        begin_ = std::min<std::uint64_t>(mark.length, log_.end);
    }

    struct Line {
        std::uint64_t end = 0;  // where the next one begins
        std::string_view text;  // with its line end, if that is not beyond the limit
        bool ends = true;       // it has a line end
    };
    // The one that begins at `from`; nothing where the file ends. Good until the next call.
    std::optional<Line> line(std::uint64_t from) {
        for (std::size_t size = block;; size *= 2) {
            size = std::min(size, longest());
            std::string_view text = bytes(from, size);
            if (text.empty()) return {};
            if (std::size_t length = length_of_line(text))
                return Line{from + length, text.substr(0, length)};
            if (text.size() < size) return Line{log_.end, text, false};
            if (size < longest()) continue;
            std::uint64_t end = line_after(from + size);
            return Line{end, bytes(from, size)};
        }
    }
    // Where the first line after the one that `from` is in begins.
    std::uint64_t line_after(std::uint64_t from) {
        for (std::string_view text; !(text = bytes(from, block)).empty(); from += text.size())
            if (std::size_t length = length_of_line(text)) return from + length;
        return log_.end;
    }
    // Where the line begins that has no end; the file's end if all have one. Nothing: too far back.
    std::optional<std::uint64_t> open_line() {
        for (std::uint64_t from = log_.end; from > begin_;) {
            if (log_.end - from >= longest()) return {};
            std::uint64_t to = from;
            from -= std::min<std::uint64_t>(block, from - begin_);
            std::string_view text = bytes(from, static_cast<std::size_t>(to - from));
            if (std::size_t end = last_line_end(log_.encoding, text)) return from + end;
        }
        return begin_;
    }

    std::uint64_t begin() const { return begin_; }  // where the first line does
    std::uint64_t end() const { return log_.end; }
    Encoding encoding() const { return log_.encoding; }
    // Cut so that no code unit is.
    std::uint64_t aligned(std::uint64_t offset) const {
        return offset / unit_size(log_.encoding) * unit_size(log_.encoding);
    }

  private:
    std::size_t longest() const {
        return std::max(block, log_.line_limit * unit_size(log_.encoding));
    }
    // `size` bytes from there on, fewer only where the file ends.
    std::string_view bytes(std::uint64_t from, std::size_t size) {
        size = static_cast<std::size_t>(std::min<std::uint64_t>(size, log_.end - from));
        bool there = from >= raw_from_ && from + size <= raw_from_ + raw_.size();
        if (!there) {
            if (looked_at_ > most_looked_at) return {};
            raw_from_ = from;
            // More than is wanted: lines that follow each other are read together.
            std::uint64_t wanted =
                std::min<std::uint64_t>(std::max(size, block * 2), log_.end - from);
            raw_.resize_and_overwrite(wanted, [&](char* to, std::size_t most) {
                ssize_t got = pread(log_.fd, to, most, static_cast<off_t>(from));
                return static_cast<std::size_t>(std::max<ssize_t>(got, 0));
            });
            looked_at_ += raw_.size();
        }
        std::string_view text = std::string_view(raw_).substr(from - raw_from_, size);
        return text.substr(0, aligned(text.size()));
    }
    // With its end; 0 if there is none. Of UTF-16 one unit at a time.
    std::size_t length_of_line(std::string_view text) const {
        if (unit_size(log_.encoding) == 1) return text.find('\n') + 1;
        for (std::size_t i = 0; i + 1 < text.size(); i += 2)
            if (last_line_end(log_.encoding, text.substr(i, 2)) == 2) return i + 2;
        return 0;
    }

    LogExtent log_;
    std::uint64_t begin_ = 0;
    std::string raw_;
    std::uint64_t raw_from_ = 0;
    std::uint64_t looked_at_ = 0;
};

struct Dated {
    std::uint64_t offset = 0;
    Instant time;
};

class DatedLines {
  public:
    DatedLines(LogLines& lines, const Zone& zone, Instant now)
        : lines_(lines), zone_(zone), now_(now) {}

    // The first line with a date that begins in [from, to) and is not older than `least`. A line
    // begins at `from`.
    std::optional<Dated> first(std::uint64_t from, std::uint64_t to, Instant least) {
        while (from < to) {
            auto line = lines_.line(from);
            if (!line) return {};
            if (auto time = time_of(*line); time && *time >= least) return Dated{from, *time};
            from = line->end;
        }
        return {};
    }
    // Of the lines with an end that begin from there on, the last one's.
    std::optional<Instant> last(std::uint64_t from) {
        std::optional<Instant> last;
        while (auto line = lines_.line(from)) {
            if (auto time = time_of(*line); time && line->ends) last = time;
            from = line->end;
        }
        return last;
    }

  private:
    std::optional<Instant> time_of(const LogLines::Line& line) {
        decoded_.clear();
        decode(lines_.encoding(), line.text, decoded_);
        std::string_view text = decoded_;
        if (text.ends_with('\n')) text.remove_suffix(1);
        if (auto docker = open_docker(text, buffer_); docker && docker->time) return docker->time;
        return open_envelope(text, zone_, now_).time;
    }

    LogLines& lines_;
    const Zone& zone_;
    Instant now_;
    std::string decoded_, buffer_;
};

FirstRead end_of(LogLines& lines) {
    auto open = lines.open_line();
    return open ? FirstRead{*open} : FirstRead{lines.end(), true};
}

}  // namespace

FirstRead find_start(const LogExtent& log, Instant since, const Zone& zone, Instant now) {
    LogLines lines(log);
    DatedLines dated(lines, zone, now);
    std::uint64_t low = lines.begin();
    std::uint64_t high = lines.end();
    constexpr Instant any{INT64_MIN};
    if (!dated.first(low, std::min(high, low + looked_at_first), any)) return end_of(lines);
    while (high - low > block) {
        std::uint64_t middle = lines.aligned(low + (high - low) / 2);
        auto found = dated.first(lines.line_after(middle), high, any);
        if (!found || found->time >= since)
            high = middle;
        else
            low = found->offset;
    }
    auto found = dated.first(low, lines.end(), since);
    return found ? FirstRead{found->offset} : end_of(lines);
}

FirstRead find_end(const LogExtent& log) {
    LogLines lines(log);
    return end_of(lines);
}

std::optional<Instant> find_last_date(const LogExtent& log, const Zone& zone, Instant now) {
    LogLines lines(log);
    bool whole = lines.end() - lines.begin() <= block;
    std::uint64_t from =
        whole ? lines.begin() : lines.line_after(lines.aligned(lines.end() - block));
    return DatedLines(lines, zone, now).last(from);
}

}  // namespace bandd
