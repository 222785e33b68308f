// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/find_start.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "core/text/envelope.h"

namespace bandd {
namespace {

constexpr std::size_t block = 64 << 10;  // a line fits, and it is one disk read
// A log whose first MiB holds no date is taken to have none.
constexpr std::uint64_t looked_at_first = 1 << 20;

struct Dated {
    std::uint64_t offset = 0;
    Instant time;
};

class DatedLines {
  public:
    DatedLines(int fd, std::uint64_t end, Encoding encoding, const Zone& zone, Instant now)
        : fd_(fd), end_(end), encoding_(encoding), zone_(zone), now_(now) {}

    // The first line with a date that begins in [from, to) and is not older than `least`. A line
    // begins at `from` itself only if `at_line`.
    std::optional<Dated> first(std::uint64_t from, std::uint64_t to, bool at_line, Instant least) {
        while (from < to) {
            if (!read(from)) return {};
            std::string_view rest = raw_;
            std::size_t at = 0;
            while (std::size_t length = line_length(rest.substr(at))) {
                if (at_line)
                    if (auto time = time_of(rest.substr(at, length)); time && *time >= least)
                        return Dated{from + at, *time};
                at_line = true;
                at += length;
                if (from + at >= to) return {};
            }
            if (at == 0) {  // one line larger than the block
                at_line = false;
                at = raw_.size();
            }
            from += at;
        }
        return {};
    }

    // Of the lines that begin in what is read from there on, the last one's.
    std::optional<Instant> last(std::uint64_t from, bool at_line) {
        std::optional<Instant> last;
        if (!read(from)) return last;
        std::string_view rest = raw_;
        while (std::size_t length = line_length(rest)) {
            if (at_line)
                if (auto time = time_of(rest.substr(0, length))) last = time;
            at_line = true;
            rest.remove_prefix(length);
        }
        return last;
    }

  private:
    bool read(std::uint64_t from) {
        raw_.resize(std::min<std::uint64_t>(block * 2, end_ - from));
        ssize_t got = pread(fd_, raw_.data(), raw_.size(), static_cast<off_t>(from));
        std::size_t unit = unit_size(encoding_);
        raw_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)) / unit * unit);
        return !raw_.empty();
    }
    // With its end; 0 if there is none. Of UTF-16 one unit at a time.
    std::size_t line_length(std::string_view text) const {
        if (unit_size(encoding_) == 1) return text.find('\n') + 1;
        for (std::size_t i = 0; i + 1 < text.size(); i += 2)
            if (last_line_end(encoding_, text.substr(i, 2)) == 2) return i + 2;
        return 0;
    }
    std::optional<Instant> time_of(std::string_view line) {
        line.remove_suffix(unit_size(encoding_));
        decoded_.clear();
        decode(encoding_, line, decoded_);
        return open_envelope(decoded_, zone_, now_).time;
    }

    int fd_;
    std::uint64_t end_;
    Encoding encoding_;
    const Zone& zone_;
    Instant now_;
    std::string raw_, decoded_;
};

// As a file begins: where its first line does, and how its bytes are read.
struct Beginning {
    std::uint64_t offset = 0;
    Encoding encoding = Encoding::automatic;
};

Beginning beginning_of(int fd, std::uint64_t end, Encoding encoding) {
    std::array<char, 4> head{};
    ssize_t got = pread(fd, head.data(), head.size(), 0);
    auto mark =
        detect_byte_order_mark({head.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))});
    if (encoding == Encoding::automatic) encoding = mark.encoding;
    return {std::min<std::uint64_t>(mark.length, end), encoding};
}

}  // namespace

std::uint64_t find_start(int fd, std::uint64_t end, Encoding encoding, Instant since,
                         const Zone& zone, Instant now) {
    Beginning begin = beginning_of(fd, end, encoding);
    DatedLines lines(fd, end, begin.encoding, zone, now);
    std::uint64_t low = begin.offset;
    std::uint64_t high = end;
    if (!lines.first(low, std::min(end, low + looked_at_first), true, Instant{INT64_MIN}))
        return end;
    while (high - low > block) {
        std::size_t unit = unit_size(begin.encoding);
        std::uint64_t middle = low + (high - low) / 2 / unit * unit;
        auto found = lines.first(middle, high, false, Instant{INT64_MIN});
        if (!found || found->time >= since)
            high = middle;
        else
            low = found->offset;
    }
    auto found = lines.first(low, end, true, since);
    return found ? found->offset : end;
}

std::optional<Instant> find_last_date(int fd, std::uint64_t end, Encoding encoding,
                                      const Zone& zone, Instant now) {
    Beginning begin = beginning_of(fd, end, encoding);
    DatedLines lines(fd, end, begin.encoding, zone, now);
    bool whole = end - begin.offset <= block;
    std::size_t unit = unit_size(begin.encoding);
    return lines.last(whole ? begin.offset : (end - block) / unit * unit, whole);
}

}  // namespace bandd
