// SPDX-License-Identifier: GPL-2.0-or-later
// A log whose dates are off by a time zone: a container that logs in UTC, a wrong `timezone`. Its
// lines would be too old for ever, or from the future. What they are off by is the log's offset. It
// is learned from lines that were just written, and added to all dates from then on.
//
// Only whoever sees a line when it is written can tell: an old line is old, and not off. So lines
// of a backlog, and of a file's first read, are no evidence. What was learned is kept with the
// log's position, and holds for a backlog, too: it is decided as it would have been live.
#pragma once

#include <string>

#include "core/match/hit.h"

namespace bandd {

class LogClock {
  public:
    // Zones differ by quarters of an hour; and none that differ do so by less than half an hour.
    static constexpr Duration step = std::chrono::minutes(15);
    static constexpr Duration least = std::chrono::minutes(30);
    static constexpr Duration most = std::chrono::hours(26);  // from UTC-12 to UTC+14
    // A line's date may be so much before or after the time of reading, and still agree with it:
    // writers wait for a request's end, or for a buffer to fill; clocks differ.
    static constexpr Duration late = std::chrono::minutes(2);
    static constexpr Duration early = std::chrono::minutes(1);
    // Evidence: so many lines in a row that are off alike, one a second at most, over this time.
    // What was queued up and is written down late (a relay that was cut off) comes nearer to the
    // clock from line to line, be it slowly: what lines are off by may not shrink by more than
    // `steady`, so a queue that catches up at 1.1 times the clock's speed is known for one. A line
    // that is later than the first one was written late: it tells nothing.
    static constexpr Duration steady = std::chrono::seconds(2);
    static constexpr int lines_to_learn = 5;
    static constexpr Duration time_to_learn = std::chrono::seconds(20);
    static constexpr Duration between = std::chrono::seconds(1);
    // That it is off no more is believed sooner: a wrong offset makes old lines young.
    static constexpr int lines_to_drop = 3;

    // What is added to dates: behind the clock it is positive. 0: nothing.
    Duration offset() const { return offset_; }
    // Of a checkpoint, or as somebody says; not an offset that could not be learned.
    void set(Duration offset);
    // Nothing is known, and nothing has been seen that would have to be remembered.
    bool is_idle() const { return offset_ == Duration{0} && count_ == 0; }

    static bool agrees(Instant written, Instant now) {
        return written <= now + early && written >= now - late;
    }
    // A line that was just written, and the date in its head, which names no zone. True if the
    // offset is another one now. To one that is idle, a date that agrees says nothing.
    bool observe(Instant written, Instant now);

    // What a date means. `just_written`: the line is read when it is written, as far as we know.
    Instant correct(Instant written, Instant now, bool just_written) const;
    // The same for all dates of these hits and lines.
    void correct(Hits& hits, Instant now, bool just_written) const;

  private:
    void begin_row(Duration off, Duration behind, Instant now);

    Duration offset_{0};
    // The lines seen last that are off alike, but not by the offset.
    Duration off_{0};
    Duration behind_{0};  // the first of them, to the microsecond
    int count_ = 0;
    Instant first_, last_;  // when they were read: the first, the last one that counts
    Instant seen_;          // and the last
};

// "1h behind", "1h 30m ahead of": what dates are to which this is added.
std::string behind_or_ahead(Duration offset);

}  // namespace bandd
