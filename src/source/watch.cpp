// SPDX-License-Identifier: GPL-2.0-or-later
// Which directories are watched: the one that holds the log; on the way to it every one that has a
// wildcard or a symbolic link in it; and, while something is missing, the nearest one that exists.
// Files themselves are watched by inode, through /proc/self/fd, so that the watch and the open file
// cannot be two different things.
#include "source/watch.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>

#include "os/directory.h"
#include "source/archive.h"

namespace bandd {
namespace fs = std::filesystem;
namespace {

constexpr std::uint32_t directory_events = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                           IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr int most_links = 40;  // as the kernel's own limit
// The kernel stamps files with the time of its last tick: up to this much too early.
constexpr std::int64_t tick_us = 10'000;

bool has_wildcard(const std::string& text) {
    return text.find_first_of("*?[") != std::string::npos;
}

bool is_symlink(const std::string& path) {
    struct stat status{};
    return lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

bool is_directory(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::vector<std::string> list_matching(const std::string& directory, const std::string& pattern) {
    std::vector<std::string> names;
    for_names_in(directory, [&](const char* name) {
        if (fnmatch(pattern.c_str(), name, FNM_PERIOD) == 0) names.emplace_back(name);
    });
    std::ranges::sort(names);
    return names;
}

// Two logs whose files can share a reader.
bool same_reading(const LogSpec& a, const LogSpec& b) {
    return a.encoding == b.encoding && a.timezone == b.timezone && a.escapes == b.escapes;
}

}  // namespace

Result<Watch> Watch::create(Limits limits) {
    auto inotify = Inotify::create();
    if (!inotify) return std::unexpected(inotify.error());
    return Watch(std::move(*inotify), limits);
}

void Watch::wish(std::size_t log, const std::string& directory, const std::string& name) {
    auto watch = inotify_.add(directory, directory_events);
    if (!watch) {
        if (!errors_[log]) errors_[log] = watch.error();
        return;
    }
    Directory& entry = directories_[*watch];
    entry.path = directory;
    entry.wishes.insert({log, name});
}

void Watch::follow_links(std::size_t log, const std::string& path) {
    fs::path at = path;
    for (int hops = 0; hops < most_links && is_symlink(at.string()); ++hops) {
        wish(log, at.parent_path().string(), at.filename().string());
        std::error_code fault;
        fs::path target = fs::read_symlink(at, fault);
        if (fault) return;
        at = target.is_absolute() ? target : (at.parent_path() / target);
        at = at.lexically_normal();
        // The target itself can be replaced: rotated where it really lives.
        if (is_directory(at.parent_path().string()))
            wish(log, at.parent_path().string(), at.filename().string());
    }
}

// Files that the log's path means now; wishes for all that could change that.
std::vector<std::string> Watch::expand(std::size_t log) {
    std::vector<std::string> parts;
    for (const fs::path& part : fs::path(logs_[log].spec.path).relative_path())
        if (!part.empty()) parts.push_back(part.string());
    std::vector<std::string> current{"/"};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        bool last = i + 1 == parts.size();
        bool wild = has_wildcard(parts[i]);
        std::vector<std::string> next;
        for (const std::string& directory : current) {
            std::vector<std::string> names =
                wild ? list_matching(directory, parts[i]) : std::vector<std::string>{parts[i]};
            if (wild || last) wish(log, directory, parts[i]);
            for (const std::string& name : names) {
                std::string path = join_path(directory, name);
                if (is_symlink(path)) follow_links(log, path);
                if (last || is_directory(path))
                    next.push_back(path);
                else
                    wish(log, directory, parts[i]);
            }
        }
        current = std::move(next);
    }
    return current;
}

Reader* Watch::find_reader(FileId id, const LogSpec& spec) {
    for (Reader& reader : readers_)
        if (reader.tail.id() == id &&
            (reader.logs.empty() || same_reading(logs_[*reader.logs.begin()].spec, spec)))
            return &reader;
    return nullptr;
}

// Of the files that had the name `path`, the one written to last.
Reader* Watch::last_finished(std::size_t log, const std::string& path) {
    Reader* last = nullptr;
    for (Reader& reader : readers_)
        if (reader.finished && reader.logs.contains(log) && reader.tail.path() == path &&
            (last == nullptr || reader.tail.modified() > last->tail.modified()))
            last = &reader;
    return last;
}

Reader* Watch::find_reader(std::size_t log, const std::string& path) {
    for (Reader& reader : readers_)
        if (!reader.finished && reader.logs.contains(log) && reader.tail.path() == path)
            return &reader;
    return nullptr;
}

void Watch::watch_file(Reader& reader) {
    std::string path = reader.tail.is_open() ? "/proc/self/fd/" + std::to_string(reader.tail.fd())
                                             : reader.tail.path();
    auto watch = inotify_.add(path, IN_MODIFY);
    if (!watch) {
        for (std::size_t log : reader.logs) errors_[log] = watch.error();
        return;
    }
    reader.watch = *watch;
    by_watch_.emplace(*watch, &reader);
}

void Watch::unwatch_file(Reader& reader) {
    if (reader.watch < 0) return;
    std::erase_if(by_watch_, [&](const auto& entry) { return entry.second == &reader; });
    if (!by_watch_.contains(reader.watch)) inotify_.remove(reader.watch);
    reader.watch = -1;
}

// Reads on where a checkpoint stopped. True if `reader`'s position is settled.
bool Watch::resume(std::size_t log, Reader& reader, Instant now) {
    bool known = false;
    bool sure = false;  // an empty file may have been filled, copied and emptied since
    // Which it has not by its time, unless the clock was set back.
    bool unchanged = saved_at_ <= now && reader.tail.modified() / 1000 + tick_us < saved_at_.us;
    for (const TailPosition& saved : saved_) {
        if (saved.id != reader.tail.id() || !reader.tail.matches(saved.fingerprint) ||
            saved.offset > reader.tail.size())
            continue;
        reader.tail.seek(saved.offset, saved.skipping);
        saved_used_.insert(saved.id);
        known = true;
        sure = saved.fingerprint.length > 0 || unchanged;
        break;
    }
    // The name was other files, too: it was rotated while we were away, perhaps more than once.
    // What is left of those comes first; a file that is new to us is read from its beginning.
    bool rotated = std::ranges::any_of(saved_, [&](const TailPosition& saved) {
        return saved.path == reader.tail.path() &&
               (!saved_used_.contains(saved.id) || (known && !sure));
    });
    if (rotated) finish_rotated(log, reader.tail.path(), &reader.tail, sure, now);
    if (known || rotated) reader.backlog.emplace();
    return reader.backlog.has_value();
}

// Opens those of the files that rotation made of `path` which `wanted` asks for, oldest first. A
// rotation may be under way meanwhile: a file on its way from one name to the next can be missed by
// a listing, or be another one by the time that it is opened. So all is taken that any listing
// showed, until two in a row are alike.
std::vector<Watch::Opened> Watch::open_all(std::size_t log, const std::string& path,
                                           const Tail* current,
                                           const std::vector<TailPosition>& positions,
                                           std::int64_t since,
                                           const std::function<bool(const Rotated&)>& wanted) {
    constexpr int most_looks = 20;  // in a directory where names change all the time
    std::vector<Opened> opened;
    auto is_opened = [&](const Rotated& one) {
        return std::ranges::any_of(opened, [&](const Opened& other) {
            // gzip and zstd keep the time: it was compressed since it was opened.
            return other.rotated.id == one.id ||
                   (is_archive(one.path) && other.rotated.modified == one.modified);
        });
    };
    std::vector<std::pair<std::string, FileId>> before;
    for (int look = 0; look < most_looks; ++look) {
        bool all = true;
        std::vector<std::pair<std::string, FileId>> names;
        for (const Rotated& one : find_rotated(path, current, positions, since)) {
            names.emplace_back(one.path, one.id);
            if (!wanted(one) || is_opened(one)) continue;
            if (find_reader(one.id, logs_[log].spec) != nullptr) continue;
            auto tail = open_rotated(one, logs_[log].spec.encoding, limits_.line_limit);
            if (!still_there(one) || (tail && !is_the_same(*tail, one)))
                all = false;
            else if (!tail)
                errors_[log] = tail.error();
            else
                opened.push_back({one, std::move(*tail)});
        }
        std::ranges::sort(names);
        if (all && look > 0 && names == before) break;
        before = std::move(names);
    }
    std::ranges::sort(opened, {}, [](const Opened& one) { return one.rotated.modified; });
    return opened;
}

void Watch::finish_rotated(std::size_t log, const std::string& path, const Tail* current,
                           bool current_sure, Instant now) {
    // Files newer than the newest that we know were written while we were away; unless we know the
    // current one, which is newer still.
    std::optional<std::int64_t> newest_known;
    auto newer = [&](const Rotated& one) {
        return newest_known ? one.modified > *newest_known
                            : one.modified / 1000 + tick_us > saved_at_.us;
    };
    std::vector<Opened> all =
        open_all(log, path, current, saved_, INT64_MIN, [&](const Rotated& one) {
            if (one.saved != nullptr)
                newest_known = std::max(newest_known.value_or(one.modified), one.modified);
            return one.saved != nullptr || (!current_sure && newer(one));
        });
    Reader* before = nullptr;
    for (auto& [rotated, tail] : all) {
        if (rotated.saved == nullptr && !newer(rotated)) continue;
        if (rotated.saved != nullptr) {
            if (rotated.saved->offset > tail.size()) continue;
            tail.seek(rotated.saved->offset, rotated.saved->skipping);
        }
        before = &add_rotated(std::move(tail), rotated, {log}, path, before, true, now);
    }
    for (const TailPosition& saved : saved_)
        if (saved.path == path) saved_used_.insert(saved.id);
}

// Files that had this log's name later than `since` and lost it before we looked. They are read
// whole, after `before`; the last of them is returned. `since` is by the file system's clock.
Reader* Watch::take_missed(std::size_t log, const std::string& path, const Tail& current,
                           std::int64_t since, Reader* before, bool backlog, Instant now) {
    std::vector<TailPosition> known;
    for (const Reader& reader : readers_)
        if (reader.logs.contains(log)) known.push_back(reader.tail.position());
    auto missed = open_all(log, path, &current, known, since,
                           [&](const Rotated& one) { return one.saved == nullptr; });
    for (auto& [rotated, tail] : missed)
        before = &add_rotated(std::move(tail), rotated, {log}, path, before, backlog, now);
    return before;
}

// What comes after a file that is read in log time has the same times to tell, if not later ones.
void Watch::read_after(Reader& reader, Reader* before) {
    reader.after = before;
    if (before != nullptr && before->backlog && !reader.backlog) reader.backlog.emplace();
}

Reader& Watch::add_rotated(Tail tail, const Rotated& rotated, std::set<std::size_t> logs,
                           const std::string& path, Reader* before, bool backlog, Instant now) {
    Reader& reader = readers_.emplace_back(Reader{std::move(tail)});
    if (backlog) reader.backlog.emplace();
    reader.logs = std::move(logs);
    reader.tail.set_path(path);
    read_after(reader, before);
    if (!is_archive(rotated.path)) watch_file(reader);
    mark_finished(reader, now);
    return reader;
}

// A file that nobody has touched for findtime has nothing to tell at first sight (one log a day
// makes thousands of these): it is only noted, and opened once it grows. True if `path` is one.
bool Watch::note_dormant(std::size_t log, const std::string& path, FileId id, Instant now) {
    const WatchedLog& wanted = logs_[log];
    bool known = std::ranges::any_of(
        saved_, [&](const TailPosition& saved) { return saved.id == id || saved.path == path; });
    if (!starting_ || known || wanted.spec.start == Start::beginning ||
        !has_wildcard(wanted.spec.path))
        return false;
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        Instant::from_seconds(status.st_mtim.tv_sec) >= now - wanted.findtime)
        return false;
    Reader& reader = readers_.emplace_back(
        Reader{Tail::dormant(path, id, static_cast<std::uint64_t>(status.st_size),
                             wanted.spec.encoding, limits_.line_limit)});
    reader.logs.insert(log);
    watch_file(reader);
    return true;
}

// If `tail` is a copy of what we read already (an editor's save, a rotation that copies): how far
// that was read.
std::optional<std::uint64_t> Watch::read_of_original(std::size_t log, const Tail& tail) const {
    constexpr std::uint32_t telling = 32;  // bytes: fewer could be alike by chance
    std::optional<std::uint64_t> furthest;
    for (const Reader& other : readers_) {
        TailPosition there = other.tail.position();
        if (other.logs.contains(log) && there.fingerprint.length >= telling &&
            tail.size() >= there.offset && tail.matches(there.fingerprint))
            furthest = std::max(furthest.value_or(0), there.offset);
    }
    return furthest;
}

// Where reading begins in a file that is new to us.
std::uint64_t Watch::first_offset(const WatchedLog& log, const Tail& tail, Instant now) const {
    if (!starting_) return 0;
    switch (log.spec.start) {
        case Start::beginning:
            return 0;
        case Start::end:
            return tail.size();
        case Start::findtime:
            return tail.find_start(now - log.findtime, log.zone, now);
    }
    return 0;
}

void Watch::begin(std::size_t log, const std::string& path, FileId id, Reader* before,
                  Instant now) {
    const WatchedLog& wanted = logs_[log];
    if (readers_.size() >= limits_.readers) {
        errors_[log] = Error{"\"" + path + "\"",
                             "more than " + std::to_string(limits_.readers) + " files are read",
                             "name fewer files in \"logpath\"",
                             {}};
        return;
    }
    if (note_dormant(log, path, id, now)) return;
    auto tail = Tail::open(path, wanted.spec.encoding, limits_.line_limit);
    if (!tail) {
        errors_[log] = tail.error();
        return;
    }
    // It was replaced between the look and the opening.
    if (tail->id() != id && find_reader(tail->id(), wanted.spec) != nullptr) return;
    if (!starting_ && before != nullptr)
        before = take_missed(log, path, *tail, before->tail.modified(), before, false, now);
    auto copied = read_of_original(log, *tail);
    std::size_t older = readers_.size();
    Reader reader{std::move(*tail)};
    reader.logs.insert(log);
    if (!resume(log, reader, now))
        reader.tail.seek(copied ? *copied : first_offset(wanted, reader.tail, now));
    // `resume` may have brought the rotated file in.
    if (before == nullptr && readers_.size() > older) before = &readers_.back();
    Reader& placed = readers_.emplace_back(std::move(reader));
    read_after(placed, before);
    placed.ready = true;
    watch_file(placed);
}

void Watch::mark_finished(Reader& reader, Instant now) {
    if (reader.finished) return;
    reader.finished = true;
    reader.finished_at = now;
    reader.ready = true;
}

void Watch::sight(std::size_t log, const std::string& path, Instant now) {
    auto id = file_id(path);
    Reader* named = find_reader(log, path);
    if (!id) {
        if (named != nullptr) mark_finished(*named, now);
        return;
    }
    if (forbidden_ == id) {
        errors_[log] = Error{"\"" + path + "\"",
                             "bandd does not read its own log",
                             "take it out of \"logpath\"",
                             {}};
        return;
    }
    if (named != nullptr && named->tail.id() == *id) return;
    if (named != nullptr) {
        if (!named->tail.is_open()) {
            drop(*named);
            named = nullptr;
        } else {
            mark_finished(*named, now);
        }
    }
    if (Reader* same = find_reader(*id, logs_[log].spec)) {
        same->logs.insert(log);
        // Renamed to a name that we watch as well.
        if (!same->finished && file_id(same->tail.path()) != same->tail.id())
            same->tail.set_path(path);
        return;
    }
    begin(log, path, *id, named != nullptr ? named : last_finished(log, path), now);
}

void Watch::rescan(std::size_t log, Instant now) {
    ++version_;
    errors_[log].reset();
    for (auto& [watch, directory] : directories_)
        std::erase_if(directory.wishes, [&](const Wish& wish) { return wish.log == log; });
    std::vector<std::string> paths = expand(log);
    // Readers whose name now means another file, or nothing.
    std::vector<std::pair<Reader*, std::string>> gone;
    for (Reader& reader : readers_)
        if (!reader.finished && reader.logs.contains(log) &&
            std::ranges::find(paths, reader.tail.path()) == paths.end())
            gone.emplace_back(&reader, reader.tail.path());
    for (const std::string& path : paths) sight(log, path, now);
    for (auto& [reader, path] : gone)
        if (reader->tail.path() == path) mark_finished(*reader, now);
    for (auto it = directories_.begin(); it != directories_.end();) {
        if (!it->second.wishes.empty()) {
            ++it;
            continue;
        }
        inotify_.remove(it->first);
        it = directories_.erase(it);
    }
}

void Watch::rescan_all(Instant now) {
    for (std::size_t log = 0; log < logs_.size(); ++log)
        if (!logs_[log].spec.path.empty()) rescan(log, now);
}

// Puts `wanted` in place of what is watched. Readers name logs by number, so those stay.
std::vector<std::size_t> Watch::renumber(std::vector<WatchedLog> wanted) {
    std::vector<bool> taken(logs_.size());
    std::vector<std::optional<std::size_t>> known(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
        for (std::size_t log = 0; log < logs_.size() && !known[i]; ++log)
            if (!taken[log] && logs_[log].spec == wanted[i].spec) {
                known[i] = log;
                taken[log] = true;
            }
    for (Reader& reader : readers_)
        std::erase_if(reader.logs, [&](std::size_t log) { return !taken[log]; });
    for (std::size_t log = 0; log < logs_.size(); ++log)
        if (!taken[log]) logs_[log] = {};
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!known[i]) {
            auto free = std::ranges::find(taken, false);
            known[i] = static_cast<std::size_t>(free - taken.begin());
            if (free == taken.end()) {
                logs_.emplace_back();
                taken.push_back(false);
            }
            taken[*known[i]] = true;
        }
        logs_[*known[i]] = std::move(wanted[i]);
        numbers.push_back(*known[i]);
    }
    return numbers;
}

std::vector<std::size_t> Watch::set_logs(std::vector<WatchedLog> wanted, Saved saved,
                                         std::optional<FileId> forbidden, Instant now) {
    std::vector<std::size_t> numbers = renumber(std::move(wanted));
    ++version_;
    for (auto it = readers_.begin(); it != readers_.end();) {
        Reader& reader = *it++;
        if (reader.logs.empty()) drop(reader);
    }
    for (auto& [watch, directory] : directories_) directory.wishes.clear();
    errors_.assign(logs_.size(), std::nullopt);
    saved_ = std::move(saved.positions);
    saved_at_ = saved.at;
    saved_used_.clear();
    forbidden_ = forbidden;
    starting_ = true;
    rescan_all(now);
    // A log that is just being rotated has no file of its name, but what it was has lines left.
    for (std::size_t log = 0; log < logs_.size(); ++log)
        for (const TailPosition& position : saved_)
            if (!saved_used_.contains(position.id) && !file_id(position.path) &&
                fnmatch(logs_[log].spec.path.c_str(), position.path.c_str(), FNM_PATHNAME) == 0)
                finish_rotated(log, position.path, nullptr, false, now);
    starting_ = false;
    saved_.clear();
    saved_used_.clear();
    return numbers;
}

void Watch::on_notify(Instant now) {
    std::set<std::size_t> changed;
    bool everything = false;
    inotify_.read([&](const Inotify::Event& event) {
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
            // Events were lost: look at everything again.
            ++overflows_;
            everything = true;
            return;
        }
        if (auto [first, last] = by_watch_.equal_range(event.watch); first != last) {
            bool gone = (event.mask & IN_IGNORED) != 0;
            for (auto it = first; it != last; ++it) {
                if (gone)
                    it->second->watch = -1;
                else
                    it->second->ready = true;
            }
            if (gone) by_watch_.erase(event.watch);
            return;
        }
        auto directory = directories_.find(event.watch);
        if (directory == directories_.end()) return;
        std::string entry(event.name);
        std::string path = join_path(directory->second.path, entry);
        bool self = (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0;
        std::set<std::size_t> wanting;
        for (const Wish& wish : directory->second.wishes)
            if (self || fnmatch(wish.name.c_str(), entry.c_str(), 0) == 0) wanting.insert(wish.log);
        changed.insert(wanting.begin(), wanting.end());
        if ((event.mask & IN_IGNORED) != 0)
            directories_.erase(directory);
        else if (self)
            inotify_.remove(event.watch);  // it is somewhere else now, or soon gone
    });
    if (everything) {
        rescan_all(now);
        for (Reader& reader : readers_) reader.ready = true;
        return;
    }
    for (std::size_t log : changed) rescan(log, now);
}

// A file that was empty may have been filled, copied and emptied since, even more than once.
void Watch::take_copies(Reader& reader, std::int64_t since, Instant now) {
    reader.after = take_missed(*reader.logs.begin(), reader.tail.path(), reader.tail, since + 1,
                               reader.after, reader.backlog.has_value(), now);
}

void Watch::look(Instant now) {
    for (Reader& reader : readers_) {
        std::optional<std::int64_t> since;
        if (reader.tail.has_changed()) since = reader.tail.take_empty_since();
        reader.tail.look();
        if (since) take_copies(reader, *since, now);
    }
}

std::vector<Reader*> Watch::ready() {
    std::vector<Reader*> ready;
    bool unpacking = false;
    for (Reader& reader : readers_) {
        if (!reader.ready) continue;
        if (reader.after != nullptr && reader.after->ready) continue;
        // One archive at a time: each takes memory, and a turn of the loop.
        if (reader.tail.is_archive() && std::exchange(unpacking, true)) continue;
        if (!reader.tail.is_open()) {
            if (auto woken = reader.tail.wake(); !woken) {
                reader.ready = false;
                continue;
            }
            unwatch_file(reader);
            watch_file(reader);
        }
        ready.push_back(&reader);
    }
    return ready;
}

// Of one file that is a backlog, in one turn; then the others have theirs, and bandctl its answers.
constexpr std::size_t backlog_a_turn = 8 << 20;

// True if there is more to read at once.
Result<bool> Watch::read_on(Reader& reader, const Visitor& visitor, Instant now) {
    bool parts = reader.backlog && visitor.takes_parts;
    bool more = true;
    for (std::size_t left = backlog_a_turn; more && left > 0;) {
        std::size_t bytes = 0;
        bool part = false;
        auto read = reader.tail.read_on(parts ? left : 0, [&](const Readable& what) {
            part = std::holds_alternative<FilePart>(what);
            return visitor.take(reader, what);
        });
        if (!read) return std::unexpected(read.error());
        if (read->truncated) find_copy(reader, *read->truncated, now);
        more = read->more;
        if (!parts) break;
        // What gave no lines counts, too: within a line that was cut.
        bytes = part ? read->bytes : Tail::backlog_read_size;
        left -= std::min(left, bytes);
    }
    return more;
}

// As `read_on`, within the day's limit.
Result<bool> Watch::read_archive(Reader& reader, const Visitor& visitor, Instant now) {
    constexpr Duration day = std::chrono::hours(24);
    if (unpacking_since_ == never || now < unpacking_since_ || now >= unpacking_since_ + day) {
        unpacking_since_ = now;
        unpacked_ = 0;
    }
    if (unpacked_ >= limits_.unpacked_a_day) {
        reader.tail.give_up();
        ++cut_archives_gone_;
        return fail("rotated logs of \"" + reader.tail.path() + "\"",
                    "compressed ones held more than " +
                        std::to_string(limits_.unpacked_a_day >> 30) + " GiB in a day",
                    "the rest of this one is not read");
    }
    std::uint64_t before = reader.tail.counts().unpacked;
    auto more = read_on(reader, visitor, now);
    unpacked_ += reader.tail.counts().unpacked - before;
    return more;
}

void Watch::read_ready(const Visitor& visitor, Instant now) {
    for (Reader* reader : ready()) {
        auto more = reader->tail.is_archive() ? read_archive(*reader, visitor, now)
                                              : read_on(*reader, visitor, now);
        if (!more && visitor.on_error) visitor.on_error(more.error());
        reader->ready = more && *more;
        if (!reader->ready) reader->backlog.reset();
    }
    drop_expired(visitor, now);
}

bool Watch::is_ready() const { return std::ranges::any_of(readers_, &Reader::ready); }

std::optional<Instant> Watch::reached() const {
    std::optional<Instant> slowest;
    for (const Reader& reader : readers_)
        if (reader.backlog && (!slowest || reader.backlog->reached < *slowest))
            slowest = reader.backlog->reached;
    return slowest;
}

void Watch::find_copy(Reader& reader, const TailPosition& before, Instant now) {
    if (before.fingerprint.length == 0) {
        if (auto since = reader.tail.take_empty_since()) take_copies(reader, *since, now);
        return;
    }
    std::vector<TailPosition> positions{before};
    std::optional<std::int64_t> copied;
    auto copies = open_all(*reader.logs.begin(), before.path, &reader.tail, positions, INT64_MIN,
                           [&](const Rotated& one) {
                               if (one.saved != nullptr)
                                   copied = std::min(copied.value_or(one.modified), one.modified);
                               return copied && one.modified >= *copied;
                           });
    for (auto& [rotated, tail] : copies) {
        // What was copied later, and is not read yet, was written and truncated before we looked.
        bool whole = rotated.saved == nullptr;
        if (!whole && tail.size() <= before.offset) continue;
        if (!whole) tail.seek(before.offset, before.skipping);
        reader.after = &add_rotated(std::move(tail), rotated, reader.logs, before.path,
                                    reader.after, reader.backlog.has_value(), now);
    }
}

// Files that had their name long ago: their last words, then they are forgotten.
void Watch::drop_expired(const Visitor& visitor, Instant now) {
    for (auto it = readers_.begin(); it != readers_.end();) {
        Reader& reader = *it++;
        if (!reader.finished || reader.ready || now < reader.finished_at + limits_.linger) continue;
        std::string_view rest = reader.tail.flush_partial();
        if (!rest.empty()) visitor.take(reader, Chunk{0, rest, {}});
        drop(reader);
    }
}

std::optional<Instant> Watch::next_deadline() const {
    std::optional<Instant> next;
    for (const Reader& reader : readers_)
        if (reader.finished) {
            Instant due = reader.finished_at + limits_.linger;
            if (!next || due < *next) next = due;
        }
    return next;
}

void Watch::drop(Reader& reader) {
    ++version_;
    cut_lines_gone_ += reader.tail.counts().cut_lines;
    cut_archives_gone_ += reader.tail.counts().cut_archives;
    unwatch_file(reader);
    for (Reader& other : readers_)
        if (other.after == &reader) other.after = nullptr;
    readers_.remove_if([&](const Reader& other) { return &other == &reader; });
}

std::uint64_t Watch::cut_lines() const {
    std::uint64_t cut = cut_lines_gone_;
    for (const Reader& reader : readers_) cut += reader.tail.counts().cut_lines;
    return cut;
}

std::uint64_t Watch::cut_archives() const {
    std::uint64_t cut = cut_archives_gone_;
    for (const Reader& reader : readers_) cut += reader.tail.counts().cut_archives;
    return cut;
}

const Error* Watch::error(std::size_t log) const { return errors_[log] ? &*errors_[log] : nullptr; }

bool Watch::waiting(std::size_t log) const {
    return std::ranges::none_of(readers_, [&](const Reader& reader) {
        return !reader.finished && reader.logs.contains(log);
    });
}

}  // namespace bandd
