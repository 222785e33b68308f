// SPDX-License-Identifier: GPL-2.0-or-later
// Where lines come from. Each kind of source is a class of its own: log files, the journal, syslog
// messages, standard input. A new one is a file with such a class, and what ARCHITECTURE.md's
// table says of "a new log source".
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/listening_sockets.h"
#include "source/lines.h"
#include "source/watch.h"

namespace bandd {

// Whoever is handed what sources read. It is used while `read` runs, on the loop.
class LineTaker {
  public:
    virtual ~LineTaker() = default;
    // Takes all of it before it returns. Of a part of a file it returns what it read.
    virtual PartRead take(const Lines& lines, Instant now) = 0;
    // True if it is worth handing it parts of files, which it reads with several threads.
    virtual bool takes_parts() const = 0;
};

// A jail as sources know it.
struct SourceJail {
    JailIndex number = 0;
    const JailConfig* config = nullptr;
};

// How far sources were read, as a checkpoint has it.
struct SavedSources {
    std::vector<FilePosition> logs;
    std::string journal_cursor;
};
// What has changed of it since it was asked for the last time.
struct SourceChanges {
    std::vector<FilePosition> logs;
    std::vector<FileNumber> gone;  // files that need not be known any more
    std::string journal_cursor;    // as it is
};

// On the loop's thread, and on its descriptors: a source registers its own. What it has to say
// that nobody asked for goes to the OnError that it was made with.
class Source {
  public:
    using OnError = std::function<void(const Error&)>;

    virtual ~Source() = default;

    // Opens what needs rights, closes what nobody wants any more; takes the sockets that it listens
    // at anew out of `sockets`. Called before rights are dropped (`starting`), and at each reload.
    virtual Result<> open(const Config&, ListeningSockets&, bool /*starting*/) { return {}; }
    // Called once, when rights were dropped.
    virtual Result<> start(const Config&) { return {}; }
    // Who reads what from now on. `saved`: empty but at the start.
    virtual void configure(const Config& config, std::span<const SourceJail> jails,
                           SavedSources& saved, Instant now) = 0;

    // True if there is something to read at once.
    virtual bool is_ready() const = 0;
    // Reads what is ready, but no more than its share of a turn.
    virtual void read(LineTaker& taker, Instant now) = 0;
    // While lines are read in the time of their log: how far the slowest log has come.
    virtual std::optional<Instant> reached() const { return {}; }
    // For a checkpoint: what `SavedSources` gives back after a restart.
    virtual void take_changes(SourceChanges&, Instant /*now*/) {}
    // The state was lost: all is a change.
    virtual void mark_all_changed() {}

    virtual std::optional<Instant> next_deadline() const { return {}; }
    virtual void on_time(Instant /*now*/) {}
};

}  // namespace bandd
