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

#include "os/directory.h"

namespace bandd {
namespace fs = std::filesystem;
namespace {

constexpr std::uint32_t directory_events = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                           IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr int most_links = 40;  // as the kernel's own limit

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

void Watch::rescan(std::size_t log, Instant now) {
    ++version_;
    errors_[log].reset();
    for (auto& [watch, directory] : directories_)
        std::erase_if(directory.wishes, [&](const Wish& wish) { return wish.log == log; });
    std::vector<std::string> paths = expand(log);
    paths_[log] = {paths.begin(), paths.end()};
    // Names that are gone, first: their files may have others now.
    std::vector<std::string> gone;
    for (auto named = named_.lower_bound({log, ""}); named != named_.end(); ++named) {
        if (named->first.first != log) break;
        if (!paths_[log].contains(named->first.second)) gone.push_back(named->first.second);
    }
    for (const std::string& path : paths) sight(log, path, now);
    for (const std::string& path : gone) take_name(log, path, now);
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
    for (auto& [key, followed] : followed_)
        std::erase_if(followed.logs, [&](std::size_t log) { return !taken[log]; });
    std::erase_if(named_, [&](const auto& named) {
        if (taken[named.first.first]) return false;
        --named.second->names;
        return true;
    });
    for (std::size_t log = 0; log < logs_.size(); ++log)
        if (!taken[log]) logs_[log] = {};
    std::vector<std::size_t> numbers;
    is_new_.assign(logs_.size(), false);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (!known[i]) {
            auto free = std::ranges::find(taken, false);
            known[i] = static_cast<std::size_t>(free - taken.begin());
            if (free == taken.end()) {
                logs_.emplace_back();
                taken.push_back(false);
                is_new_.push_back(false);
            }
            taken[*known[i]] = true;
            is_new_[*known[i]] = true;
        }
        // Its dates mean something else.
        if (!(logs_[*known[i]].zone == wanted[i].zone))
            for (auto& [key, followed] : followed_)
                if (followed.logs.contains(*known[i])) followed.chain.clock().set(Duration{0});
        logs_[*known[i]] = std::move(wanted[i]);
        numbers.push_back(*known[i]);
    }
    return numbers;
}

std::vector<std::size_t> Watch::set_logs(std::vector<WatchedLog> wanted,
                                         std::vector<FilePosition> saved,
                                         std::optional<FileId> forbidden, Instant now) {
    std::vector<std::size_t> numbers = renumber(std::move(wanted));
    ++version_;
    for (auto it = readers_.begin(); it != readers_.end();) {
        Reader& reader = *it++;
        if (reader.logs.empty()) {
            reader.tail.look();
            note(reader);
            drop(reader);
        } else if (reader.names == 0) {
            mark_finished(reader, now);
        }
    }
    leave_unwanted(now);
    for (auto& [watch, directory] : directories_) directory.wishes.clear();
    errors_.assign(logs_.size(), std::nullopt);
    paths_.resize(logs_.size());
    forbidden_ = forbidden;
    resume(std::move(saved), now);
    starting_ = true;
    rescan_all(now);
    // A log that is just being rotated has no file of its name, but what it was has lines left.
    for (auto& [key, followed] : followed_) {
        if (!followed.resumed || followed.adopted) continue;
        for (std::size_t log = 0; log < logs_.size(); ++log)
            if (fnmatch(logs_[log].spec.path.c_str(), followed.path.c_str(), FNM_PATHNAME) == 0) {
                followed.logs.insert(log);
                followed.reading = logs_[log].spec;
                look(followed, log, "", now);
                break;
            }
    }
    starting_ = false;
    listings_.clear();
    for (auto& [key, followed] : followed_) followed.sighted.clear();
    forget_unwanted();
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
                    set_ready(*it->second, true);
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
        for (Reader& reader : readers_) set_ready(reader, true);
        return;
    }
    for (std::size_t log : changed) rescan(log, now);
}

void Watch::set_ready(Reader& reader, bool ready) {
    reader.ready = ready;
    unnoted_.emplace(reader.order, &reader);
    if (ready)
        ready_.emplace(reader.order, &reader);
    else
        ready_.erase(reader.order);
}

std::vector<Reader*> Watch::ready() {
    std::vector<Reader*> ready;
    // Of each log the file that was written first. The one that has its name is the last, also if
    // it had it before: moved away and back, or by a link.
    auto age = [](const Reader& reader) { return std::pair(reader.names > 0, reader.number); };
    std::map<const Chain*, std::pair<bool, std::uint64_t>> oldest;
    for (const auto& [order, reader] : ready_) {
        auto [known, is_new] = oldest.try_emplace(reader->chain, age(*reader));
        known->second = std::min(known->second, age(*reader));
    }
    bool unpacking = false;
    for (auto at = ready_.begin(); at != ready_.end();) {
        Reader& reader = *(at++)->second;
        if (age(reader) > oldest[reader.chain]) continue;
        // One archive at a time: each takes memory, and a turn of the loop.
        if (reader.tail.is_archive() && std::exchange(unpacking, true)) continue;
        if (!reader.tail.is_open()) {
            if (auto woken = reader.tail.wake(); !woken) {
                set_ready(reader, false);
                continue;
            }
            unwatch_file(reader);
            watch_file(reader);
        }
        ready.push_back(&reader);
    }
    // Those that ban many wait for each other, and nobody waits for them.
    std::ranges::stable_sort(ready, {}, [](const Reader* reader) {
        return reader->share.bans_many() ? reader->read_turn : 0;
    });
    return ready;
}

// Of one file that is a backlog, in one turn; then the others have theirs, and bandctl its answers.
constexpr std::size_t backlog_a_turn = 8 << 20;

Result<Watch::Progress> Watch::read_on(Reader& reader, const Visitor& visitor, Instant now) {
    bool parts = reader.backlog && visitor.takes_parts;
    Progress progress{.more = true};
    for (std::size_t left = reader.share.bytes();
         progress.more && left > 0 && progress.bans < ReadShare::most_bans;) {
        std::size_t bytes = 0;
        bool part = false;
        auto read = reader.tail.read_on(left, parts, [&](const Readable& what) {
            part = std::holds_alternative<FilePart>(what);
            return visitor.take(reader, what);
        });
        if (!read) return std::unexpected(read.error());
        if (read->truncated) {
            // What it was comes first, and this is another file of the log now.
            reader.chain->lose(reader.number, *read->truncated);
            look_again_at(reader, now);
            return Progress{true, progress.bans + read->bans};
        }
        progress.more = read->more;
        progress.bans += read->bans;
        if (!parts) break;
        // What gave no lines counts, too: within a line that was cut.
        bytes = part ? read->bytes : Tail::backlog_read_size;
        left -= std::min(left, bytes);
    }
    reader.share.note(progress.bans, parts ? backlog_a_turn : Tail::read_size);
    return progress;
}

// As `read_on`, within the day's limit.
Result<Watch::Progress> Watch::read_archive(Reader& reader, const Visitor& visitor, Instant now) {
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
    auto progress = read_on(reader, visitor, now);
    unpacked_ += reader.tail.counts().unpacked - before;
    return progress;
}

void Watch::read_ready(const Visitor& visitor, Instant now) {
    ++turns_;
    std::size_t bans = 0;
    for (Reader* reader : ready()) {
        if (bans >= ReadShare::most_bans && reader->share.bans_many()) break;
        if (!std::exchange(reader->begun, true)) go_on_from_last(*reader);
        reader->read_turn = turns_;
        auto progress = reader->tail.is_archive() ? read_archive(*reader, visitor, now)
                                                  : read_on(*reader, visitor, now);
        if (!progress && visitor.on_error) visitor.on_error(progress.error());
        set_ready(*reader, progress && progress->more);
        if (progress) bans += progress->bans;
        note_held(*reader, now);
        if (!reader->ready) {
            reader->backlog.reset();
            reader->appended = progress.has_value();
            reader->share.begin_again();
        }
    }
    let_go(visitor, now);
    drop_expired(visitor, now);
}

// A log may be rotated within a line that is in pieces.
void Watch::go_on_from_last(Reader& reader) {
    std::uint64_t last = 0;
    for (const Chain::File& file : reader.chain->files())
        if (file.at.file.number < reader.number) last = file.at.file.number;
    for (const Reader& other : readers_)
        if (other.chain == reader.chain && other.number == last)
            reader.tail.go_on_from(other.tail, Tail::Known::all);
}

void Watch::note_held(Reader& reader, Instant now) {
    if (!reader.tail.holds_pieces()) {
        reader.held_since.reset();
        held_.erase(reader.order);
        return;
    }
    // Each line has its time: a busy writer has one open whenever his log is read.
    std::uint64_t at = reader.tail.position().offset;
    if (reader.held_since && reader.held_at == at) return;
    reader.held_since = now;
    reader.held_at = at;
    held_.emplace(reader.order, &reader);
}

// An open line of one stream must not keep those of the other one, or of everybody, for long.
void Watch::let_go(const Visitor& visitor, Instant now) {
    for (auto at = held_.begin(); at != held_.end();) {
        Reader& reader = *(at++)->second;
        if (now < *reader.held_since + limits_.patience) continue;
        std::string_view lines = reader.tail.let_go();
        if (!lines.empty()) visitor.take(reader, Chunk{0, lines, {}});
        unnoted_.emplace(reader.order, &reader);
        note_held(reader, now);
    }
}

std::optional<Instant> Watch::reached() const {
    std::optional<Instant> slowest;
    // What is a backlog has something to read.
    for (const auto& [order, reader] : ready_)
        if (reader->backlog && (!slowest || reader->backlog->reached < *slowest))
            slowest = reader->backlog->reached;
    return slowest;
}

// Files that had their name long ago: their last words, then they are forgotten.
void Watch::drop_expired(const Visitor& visitor, Instant now) {
    for (auto at = finished_.begin(); at != finished_.end();) {
        Reader& reader = *(at++)->second;
        if (reader.ready || now < reader.finished_at + limits_.linger) continue;
        std::string_view rest = reader.tail.flush_partial();
        if (!rest.empty()) visitor.take(reader, Chunk{0, rest, {}});
        note(reader);
        drop(reader, Chain::State::gone);
    }
}

std::optional<Instant> Watch::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [order, reader] : finished_) {
        Instant due = reader->finished_at + limits_.linger;
        if (!next || due < *next) next = due;
    }
    for (const auto& [order, reader] : held_) {
        Instant due = *reader->held_since + limits_.patience;
        if (!next || due < *next) next = due;
    }
    return next;
}

void Watch::drop(Reader& reader, Chain::State state) {
    reader.chain->set_state(reader.number, state);
    ++version_;
    cut_lines_gone_ += reader.tail.counts().cut_lines;
    cut_archives_gone_ += reader.tail.counts().cut_archives;
    unwatch_file(reader);
    for (Some* some : {&ready_, &finished_, &held_, &unnoted_}) some->erase(reader.order);
    std::erase_if(named_, [&](const auto& named) { return named.second == &reader; });
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

std::uint64_t Watch::forgotten() const {
    std::uint64_t forgotten = forgotten_gone_;
    for (const auto& [key, followed] : followed_) forgotten += followed.chain.forgotten();
    return forgotten;
}

const Error* Watch::error(std::size_t log) const { return errors_[log] ? &*errors_[log] : nullptr; }

bool Watch::waiting(std::size_t log) const {
    return std::ranges::none_of(readers_, [&](const Reader& reader) {
        return !reader.finished && reader.logs.contains(log);
    });
}

}  // namespace bandd
