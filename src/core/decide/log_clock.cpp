// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/log_clock.h"

#include <cstdlib>
#include <optional>

namespace bandd {
namespace {

Duration magnitude(Duration offset) { return offset < Duration{0} ? -offset : offset; }

bool can_be_learned(Duration offset) {
    return offset % LogClock::step == Duration{0} && magnitude(offset) >= LogClock::least &&
           magnitude(offset) <= LogClock::most;
}

// By which offset this date would agree; 0 if it does. Nothing: by none.
std::optional<Duration> off_by(Instant written, Instant now) {
    if (LogClock::agrees(written, now)) return Duration{0};
    // Written by strangers: far from any time that can be added to.
    constexpr Duration far = LogClock::most + LogClock::step;
    if (written < now - far || written > now + far) return {};
    Duration behind = now - written + LogClock::early;
    auto steps = behind / LogClock::step;
    if (behind < Duration{0} && behind % LogClock::step != Duration{0}) --steps;
    Duration off = steps * LogClock::step;
    if (!can_be_learned(off) || !LogClock::agrees(written + off, now)) return {};
    return off;
}

}  // namespace

void LogClock::set(Duration offset) {
    offset_ = can_be_learned(offset) ? offset : Duration{0};
    count_ = 0;
}

void LogClock::begin_row(Duration off, Duration behind, Instant now) {
    off_ = off;
    behind_ = behind;
    count_ = 1;
    first_ = last_ = seen_ = now;
}

bool LogClock::observe(Instant written, Instant now) {
    auto off = off_by(written, now);
    if (!off || *off == offset_) {
        count_ = 0;
        return false;
    }
    Duration behind = now - written;
    bool is_zone = *off != Duration{0};
    // The clock may have been set back.
    if (count_ == 0 || *off != off_ || (is_zone && behind < behind_ - steady) || now < seen_) {
        begin_row(*off, behind, now);
        return false;
    }
    seen_ = now;
    if (is_zone && behind > behind_ + steady) return false;
    if (now - last_ < between) return false;
    last_ = now;
    ++count_;
    bool enough = is_zone ? count_ >= lines_to_learn && now - first_ >= time_to_learn
                          : count_ >= lines_to_drop;
    if (!enough) return false;
    offset_ = *off;
    count_ = 0;
    return true;
}

// A line may agree though the log is off: there are several writers, or it is off no more. Of a
// backlog that can be seen only of what would be in the future: nobody has written that yet.
Instant LogClock::correct(Instant written, Instant now, bool just_written) const {
    if (offset_ == Duration{0} || (just_written && agrees(written, now))) return written;
    Instant meant = written + offset_;
    return meant <= now + early ? meant : written;
}

void LogClock::correct(Hits& hits, Instant now, bool just_written) const {
    if (offset_ == Duration{0}) return;
    for (Hit& hit : hits)
        if (hit.dated) hit.time = correct(hit.time, now, just_written);
    for (LineToJoin& line : hits.lines())
        if (line.dated) line.time = correct(line.time, now, just_written);
}

std::string behind_or_ahead(Duration offset) {
    return format_duration(magnitude(offset)) + (offset < Duration{0} ? " ahead of" : " behind");
}

}  // namespace bandd
