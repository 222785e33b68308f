// SPDX-License-Identifier: GPL-2.0-or-later
// How a look at a log is made, and what its chain says about it carried out.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <ranges>

#include "source/archive.h"
#include "source/watch.h"

namespace bandd {
namespace fs = std::filesystem;
namespace {

// While a log's directory, or the log, changes all the time.
constexpr int most_looks = 20;

// Two logs whose files can share a reader.
bool same_reading(const LogSpec& a, const LogSpec& b) {
    return a.encoding == b.encoding && a.timezone == b.timezone && a.escapes == b.escapes;
}

// Under which a chain is kept. The same file may be read in two ways: it is two chains then.
std::string key_of(const LogSpec& spec, const std::string& path) {
    if (same_reading(spec, LogSpec{})) return path;
    return path + "\n" + std::to_string(static_cast<int>(spec.encoding)) + " " +
           std::to_string(static_cast<int>(spec.escapes)) + " " + spec.timezone;
}

std::string real_path(const std::string& path) {
    constexpr int most_links = 40;  // as the kernel's own limit
    std::error_code fault;
    fs::path at = path;
    // While a log is rotated there may be nothing at the end of its links.
    for (int hops = 0; hops < most_links && fs::is_symlink(fs::symlink_status(at, fault)); ++hops)
        at = at.parent_path() / fs::read_symlink(at, fault);
    fs::path real = fs::weakly_canonical(at, fault);
    return fault ? path : real.string();
}

// What was modified before is old at a log's first look.
std::int64_t long_before(Instant now) {
    constexpr Duration long_ago = std::chrono::hours(24);
    return (now - long_ago).us * 1000;
}

}  // namespace

void Watch::resume(std::vector<FilePosition> saved, Instant now) {
    for (FilePosition& position : saved) {
        // An older bandd kept no name but the path.
        std::string key = position.file.log.empty() ? position.at.path : position.file.log;
        auto [followed, is_new] = followed_.try_emplace(
            key,
            Followed{Chain(key, long_before(now)), {}, key.substr(0, key.find('\n')), {}, true});
        if (is_new || followed->second.resumed) followed->second.chain.restore(position);
    }
}

bool Watch::is_unwanted(const Followed& followed) const {
    return followed.logs.empty() && std::ranges::none_of(readers_, [&](const Reader& reader) {
               return reader.chain == &followed.chain;
           });
}

// They stay known: as after a restart, nothing is read twice when they are wanted again.
void Watch::leave_unwanted(Instant now) {
    for (auto& [key, followed] : followed_) {
        if (followed.resumed || !is_unwanted(followed)) continue;
        followed.chain.leave();
        followed.resumed = true;
        followed.left = now;
    }
}

void Watch::forget(const Followed& followed) {
    for (const Chain::File& file : followed.chain.files()) gone_.push_back(file.at.file);
    gone_.push_back({followed.chain.log(), 0});
    forgotten_gone_ += followed.chain.forgotten();
    followed_.erase(followed.chain.log());
}

// What is known under another key now, and of logs that nobody wants those that are too many.
void Watch::forget_unwanted() {
    std::vector<const Followed*> unwanted;
    for (auto at = followed_.begin(); at != followed_.end();) {
        Followed& followed = (at++)->second;
        bool adopted = std::exchange(followed.adopted, false);
        if (!is_unwanted(followed)) continue;
        if (adopted)
            forget(followed);
        else
            unwanted.push_back(&followed);
    }
    std::ranges::stable_sort(unwanted, std::ranges::greater{}, &Followed::left);
    for (std::size_t i = most_unwanted; i < unwanted.size(); ++i) {
        ++forgotten_gone_;
        forget(*unwanted[i]);
    }
}

Watch::Followed* Watch::find_followed(std::size_t log, const std::string& path) {
    std::string key = key_of(logs_[log].spec, path);
    if (auto found = followed_.find(key); found != followed_.end()) return &found->second;
    // Before, it was read in another way.
    for (auto& [other, followed] : followed_)
        if (followed.resumed && followed.path == path) {
            followed.adopted = true;
            auto [adopted, is_new] = followed_.try_emplace(
                key, Followed{followed.chain.under(key), logs_[log].spec, path, {}, true});
            adopted->second.left = followed.left;
            return &adopted->second;
        }
    return nullptr;
}

Watch::Followed* Watch::followed_by(const Chain* chain) {
    auto found = followed_.find(chain->log());
    return found == followed_.end() ? nullptr : &found->second;
}

Watch::Followed& Watch::follow(std::size_t log, const std::string& path, Instant now) {
    std::string key = key_of(logs_[log].spec, path);
    Chain chain(key, long_before(now));
    return followed_
        .try_emplace(key, Followed{std::move(chain), logs_[log].spec, path, {log}, false})
        .first->second;
}

Reader* Watch::find_reader(FileId id, const LogSpec& spec) {
    for (Reader& reader : readers_)
        if (reader.tail.id() == id &&
            (reader.logs.empty() || same_reading(logs_[*reader.logs.begin()].spec, spec)))
            return &reader;
    return nullptr;
}

void Watch::mark_finished(Reader& reader, Instant now) {
    if (reader.finished) return;
    reader.finished = true;
    reader.finished_at = now;
    finished_.emplace(reader.order, &reader);
    set_ready(reader, true);
    reader.chain->set_state(reader.number, Chain::State::held);
}

void Watch::give_name(Reader& reader, std::size_t log, const std::string& path) {
    Reader*& named = named_[{log, path}];
    if (named != &reader) ++reader.names;
    named = &reader;
    reader.logs.insert(log);
    reader.finished = false;
    finished_.erase(reader.order);
    unnoted_.emplace(reader.order, &reader);
    reader.chain->set_state(reader.number, Chain::State::reading);
    if (reader.names == 1) reader.tail.set_path(path);
}

void Watch::take_name(std::size_t log, const std::string& path, Instant now) {
    auto named = named_.find({log, path});
    if (named == named_.end()) return;
    Reader& reader = *named->second;
    named_.erase(named);
    if (--reader.names > 0) return;
    // It was never opened, as it had nothing to tell.
    if (!reader.tail.is_open())
        drop(reader);
    else
        mark_finished(reader, now);
}

void Watch::note(const Reader& reader) const {
    reader.chain->note(reader.number, reader.tail.position(), reader.tail.modified());
}

Reader& Watch::add_reader(Tail tail, Followed& followed, std::uint64_t number) {
    Reader& reader = readers_.emplace_back(Reader{std::move(tail)});
    reader.order = ++last_order_;
    reader.chain = &followed.chain;
    reader.number = number;
    reader.logs = followed.logs;
    return reader;
}

bool Watch::is_too_many(std::size_t log, const std::string& path) {
    if (readers_.size() < limits_.readers) return false;
    errors_[log] = Error{"\"" + path + "\"",
                         "more than " + std::to_string(limits_.readers) + " files are read",
                         "name fewer files in \"logpath\"",
                         {}};
    return true;
}

// A file that nobody has touched for findtime has nothing to tell at first sight (one log a day
// makes thousands of these): it is only noted, and opened once it grows. True if `path` is one.
bool Watch::note_dormant(std::size_t log, const std::string& path, FileId id, Instant now) {
    const WatchedLog& wanted = logs_[log];
    if (!starting_ || !is_new_[log] || wanted.spec.start == Start::beginning ||
        wanted.spec.path.find_first_of("*?[") == std::string::npos)
        return false;
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        Instant::from_seconds(status.st_mtim.tv_sec) >= now - wanted.findtime)
        return false;
    Followed& followed = follow(log, path, now);
    auto size = static_cast<std::uint64_t>(status.st_size);
    Sighting seen{path, path,  id,  size, status.st_mtim.tv_sec * std::int64_t{1'000'000'000},
                  {},   false, true};
    auto steps = followed.chain.look({&seen, 1}, {});
    Reader& reader =
        add_reader(Tail::dormant(path, id, size, wanted.spec.encoding, limits_.line_limit),
                   followed, steps.front().number);
    reader.base = path;
    give_name(reader, log, path);
    note(reader);
    watch_file(reader);
    return true;
}

// Where reading begins in the first file of a log.
FirstRead Watch::first_read(std::size_t log, const Tail& tail, Instant now) const {
    if (!starting_ || !is_new_[log]) return {};
    switch (logs_[log].spec.start) {
        case Start::beginning:
            return {};
        case Start::end:
            return tail.find_end();
        case Start::findtime:
            return tail.find_start(now - logs_[log].findtime, logs_[log].zone, now);
    }
    return {};
}

void Watch::sight(std::size_t log, const std::string& path, Instant now) {
    auto id = file_id(path);
    std::error_code fault;
    if (auto named = named_.find({log, path}); named != named_.end()) {
        if (id && named->second->tail.id() == *id) return;
        take_name(log, path, now);
    }
    Followed* followed = find_followed(log, path);
    if (id && forbidden_ == id) {
        errors_[log] = Error{"\"" + path + "\"",
                             "bandd does not read its own log",
                             "take it out of \"logpath\"",
                             {}};
        return;
    }
    if (id && followed == nullptr) return sight_new(log, path, *id, now);
    if (followed == nullptr) {
        // Whatever appears under a name that has no file yet was written after this.
        if (!fs::is_directory(fs::path(path).parent_path(), fault)) return;
        followed = &follow(log, path, now);
    }
    followed->logs.insert(log);
    followed->reading = logs_[log].spec;
    // Another log has the same name, and has just been looked at.
    for (std::size_t other : followed->logs)
        if (auto named = named_.find({other, path});
            id && named != named_.end() && named->second->tail.id() == *id)
            return give_name(*named->second, log, path);
    look(*followed, log, path, now);
}

// A name of which nothing is known. Its file may be.
void Watch::sight_new(std::size_t log, const std::string& path, FileId id, Instant now) {
    if (Followed* owner = find_owner(log, path, id, now)) {
        if (Reader* reader = find_reader(id, logs_[log].spec))
            give_name(*reader, log, path);
        else if (owner->chain.knows(id))
            look(*owner, log, path, now);
        return;
    }
    if (is_too_many(log, path) || note_dormant(log, path, id, now)) return;
    // It is no regular file, or must not be read: said, and not kept.
    auto tail = Tail::open(path, logs_[log].spec.encoding, limits_.line_limit);
    if (!tail) {
        errors_[log] = tail.error();
        return;
    }
    Followed& followed = follow(log, path, now);
    look(followed, log, path, now);
}

// The log whose file this is, or a copy of its file.
Watch::Followed* Watch::find_owner(std::size_t log, const std::string& path, FileId id,
                                   Instant now) {
    if (Reader* reader = find_reader(id, logs_[log].spec)) return followed_by(reader->chain);
    std::size_t name_at = path.rfind('/') + 1;
    for (auto& [key, followed] : followed_) {
        if (followed.chain.knows(id) && same_reading(followed.reading, logs_[log].spec) &&
            followed.logs.contains(log))
            return &followed;
        if (!followed.logs.contains(log) || !path.starts_with(followed.path.substr(0, name_at)) ||
            followed.path.rfind('/') + 1 != name_at ||
            !is_rotated_name(path.substr(name_at), followed.path.substr(name_at)))
            continue;
        // Of many logs with such names each look at one shows the others, too.
        if (!followed.sighted.contains(id)) look(followed, log, "", now);
        if (followed.chain.claims(id)) return &followed;
    }
    return nullptr;
}

// ---- a look

void Watch::see(Found& found, const std::string& path, const std::string& base, Tail tail) {
    Sighting seen{.path = path, .base = base, .id = tail.id(), .archive = tail.is_archive()};
    found.seen.push_back(std::move(seen));
    found.opened.emplace_back(std::move(tail));
    found.readers.push_back(nullptr);
}

void Watch::see(Found& found, Reader& reader) {
    Sighting seen{.base = reader.base, .id = reader.tail.id(), .archive = reader.tail.is_archive()};
    seen.named = reader.names > 0;
    seen.open = true;
    found.seen.push_back(std::move(seen));
    found.opened.emplace_back();
    found.readers.push_back(&reader);
}

// What is beside a log comes before the log: so no copy seems larger than its original.
void Watch::observe(Found& found) {
    for (std::size_t i = found.seen.size(); i-- > 0;) {
        const Tail& tail = found.tail(i);
        Sighting& seen = found.seen[i];
        seen.size = tail.size();
        seen.modified = tail.modified();
        seen.head = tail.first_bytes();
    }
}

// What the name means now, and all files that are open.
void Watch::find_named(Followed& followed, std::size_t log, const std::string& path, Found& found) {
    found.base = real_path(followed.path);
    for (Reader& reader : readers_) {
        if (reader.chain != &followed.chain) continue;
        see(found, reader);
    }
    if (path.empty()) return;
    auto id = file_id(path);
    if (!id) return;
    if (Reader* reader = find_reader(*id, logs_[log].spec)) {
        // Of another log it only has the name.
        if (reader->chain != &followed.chain) return give_name(*reader, log, path);
        for (std::size_t i = 0; i < found.seen.size(); ++i)
            if (found.readers[i] == reader) {
                found.seen[i].named = true;
                found.seen[i].path = path;
                found.seen[i].base = found.base;
            }
        return;
    }
    if (is_too_many(log, path)) return;
    auto tail = Tail::open(path, logs_[log].spec.encoding, limits_.line_limit);
    if (!tail) {
        errors_[log] = tail.error();
        return;
    }
    // By now the name may mean another one, which is read already.
    if (tail->id() != *id) return;
    see(found, path, found.base, std::move(*tail));
    found.seen.back().named = true;
}

// What lies beside `base`. False if a file was another one by the time that it was opened.
bool Watch::find_beside(Followed& followed, std::size_t log, const std::string& base, bool is_own,
                        std::vector<std::pair<std::string, FileId>>& names, Found& found) {
    bool all = true;
    bool first = !followed.chain.has_begun();
    std::size_t old = 0;
    auto take = [&](const Rotated& one) {
        names.emplace_back(one.path, one.id);
        if (std::ranges::find(found.seen, one.id, &Sighting::id) != found.seen.end()) return;
        Reader* reader = find_reader(one.id, followed.reading);
        if (reader != nullptr) return;  // of another log
        auto known = followed_.find(key_of(followed.reading, one.path));
        bool is_log = known != followed_.end() && (starting_ || !known->second.logs.empty());
        bool other_log = !is_own || is_log || paths_[log].contains(one.path);
        // Nothing is known yet that it could be; and what is older is old, too.
        if (first && (other_log || ++old > Chain::most_old + 1)) return;
        auto tail = open_rotated(one, followed.reading.encoding, limits_.line_limit);
        if (file_id(one.path) != one.id || (tail && tail->id() != one.id)) {
            all = false;
        } else if (!tail) {
            errors_[log] = tail.error();
        } else {
            see(found, one.path, base, std::move(*tail));
            found.seen.back().other_log = other_log;
        }
    };
    // Names of other logs may look like this one's; they must not take all places.
    std::size_t most = first ? SIZE_MAX : most_rotated;
    for (const Rotated& one : find_rotated(base, most, listings_)) take(one);
    // The log's name leads elsewhere now: what it led to.
    struct stat status{};
    if (base != followed.path && ::lstat(base.c_str(), &status) == 0 && S_ISREG(status.st_mode))
        take({base, {status.st_dev, status.st_ino}, 0});
    return all;
}

// A rotation may be under way: a file on its way from one name to the next can be missed by a
// listing. So all is taken that any listing showed, until two in a row are alike.
Watch::Found Watch::find(Followed& followed, std::size_t log, const std::string& path) {
    Found found;
    find_named(followed, log, path, found);
    std::map<std::string, bool> bases = followed.chain.bases();
    bases[followed.path] = bases[real_path(followed.path)] = true;
    std::vector<std::pair<std::string, FileId>> names, before;
    for (int look = 0; look < most_looks; ++look) {
        names.clear();
        bool all = true;
        for (const auto& [base, is_own] : bases)
            all = find_beside(followed, log, base, is_own, names, found) && all;
        std::ranges::sort(names);
        // Of the first look all is old.
        if (!followed.chain.has_begun() || (all && look > 0 && names == before)) break;
        before = names;
    }
    // Each was sighted under the name that it had then. Their numbers tell which is older.
    for (const auto& [name, id] : names)
        if (auto seen = std::ranges::find(found.seen, id, &Sighting::id);
            seen != found.seen.end() && !seen->named)
            seen->path = name;
    return found;
}

// True if all that a look saw is still as it was then, but for what was added to files.
bool Watch::holds(const Followed& followed, const Found& found) {
    for (std::size_t i = 0; i < found.seen.size(); ++i) {
        const Sighting& seen = found.seen[i];
        const Tail& tail = found.tail(i);
        if (!tail.is_open() || tail.is_archive()) continue;
        if (tail.is_truncated() || tail.size() < seen.size ||
            !tail.first_bytes().starts_with(seen.head))
            return false;
        // It is known by its time when it is compressed.
        if (!seen.named && !seen.open && tail.modified() != seen.modified) return false;
    }
    return real_path(followed.path) == found.base;
}

// A look takes many calls, and a rotation may be under way: a file is sighted, copied and
// truncated, then its copy is sighted, and there seem to be two. So in the end all is looked at
// once more. What is still as it was when it was sighted was so at one instant, between both. If
// something is not, the look is made anew.
std::vector<Chain::Step> Watch::take_in(Followed& followed, std::size_t log,
                                        const std::string& path, Found& found) {
    for (int looks = 1;; ++looks) {
        for (Reader& reader : readers_)
            if (reader.chain == &followed.chain) {
                note(reader);
                if (auto before = reader.tail.find_truncation())
                    followed.chain.lose(reader.number, *before);
            }
        found = find(followed, log, path);
        observe(found);
        Chain chain = followed.chain;
        auto steps = chain.look(found.seen, [&](std::size_t a, std::size_t b, std::uint64_t end) {
            return found.tail(a).is_alike(found.tail(b), end);
        });
        bool settled = holds(followed, found);
        if (settled || looks == most_looks) {
            if (!settled) ++unsettled_;
            followed.chain = std::move(chain);
            return steps;
        }
    }
}

// Looks at a log whose name means another file now, or whose file was truncated.
void Watch::look(Followed& followed, std::size_t log, const std::string& path, Instant now) {
    bool resumed = std::exchange(followed.resumed, false);
    Found found;
    auto steps = take_in(followed, log, path, found);
    if (starting_)
        for (const Sighting& seen : found.seen) followed.sighted.insert(seen.id);
    bool backlog = resumed || std::ranges::any_of(readers_, [&](const Reader& reader) {
                       return reader.chain == &followed.chain && reader.backlog;
                   });
    for (const Chain::Step& step : steps) {
        carry_out(step, followed, found, backlog);
        Reader* reader = found.readers[step.seen];
        if (resumed && found.seen[step.seen].named) doubt_clock(followed, log, reader->tail, now);
        if (found.seen[step.seen].named && !path.empty() && found.seen[step.seen].path == path)
            give_name(*reader, log, path);
        else if (reader->names == 0)
            mark_finished(*reader, now);
        if (step.first && reader->tail.is_open()) {
            FirstRead begin = first_read(log, reader->tail, now);
            reader->tail.seek(begin.offset, begin.skipping);
        }
        if (step.cut && reader->tail.is_open()) {
            Instant since{*step.cut / 1000 - followed.chain.clock().offset().count()};
            FirstRead begin = reader->tail.find_start(since, logs_[log].zone, now);
            reader->tail.seek(begin.offset, begin.skipping);
        }
        // A look may see a file before its notice comes, and others of the log have lines that were
        // not told of either: they were written before, and are read before.
        if (reader->tail.is_open() && !reader->tail.is_archive()) set_ready(*reader, true);
    }
    if (!starting_) listings_.clear();
}

// While bandd was away, the writer's zone may have been set right. If the last line would be later
// than its file was written, what was added to dates before makes old lines young.
void Watch::doubt_clock(Followed& followed, std::size_t log, const Tail& tail, Instant now) const {
    LogClock& clock = followed.chain.clock();
    if (clock.offset() <= Duration{0}) return;
    auto last = tail.find_last_date(logs_[log].zone, now);
    Instant written{tail.modified() / 1000};
    if (last && *last + clock.offset() > std::min(written, now) + LogClock::early)
        clock.set(Duration{0});
}

// A file may begin within a line that is in pieces, and what it began in have been let go: before a
// kill, say.
void Watch::go_on_from_gone(Tail& tail, std::uint64_t number, const Chain& chain, Found& found) {
    int left = most_parted;
    for (const Chain::File& file : std::views::reverse(chain.files())) {
        const TailPosition& at = file.at.at;
        if (file.at.file.number >= number) continue;
        auto seen = std::ranges::find(found.seen, at.id, &Sighting::id);
        if (seen == found.seen.end() || left-- == 0) return;
        auto index = static_cast<std::size_t>(seen - found.seen.begin());
        std::optional<Tail>& before = found.opened[index];
        if (found.readers[index] != nullptr || !before || before->is_archive()) return;
        before->seek(at.offset, at.skipping);
        tail.go_on_from(*before, Tail::Known::end);
    }
}

void Watch::carry_out(const Chain::Step& step, Followed& followed, Found& found, bool backlog) {
    Reader*& reader = found.readers[step.seen];
    if (reader != nullptr) reader->base = found.seen[step.seen].base;
    if (reader != nullptr) {
        if (reader->number == step.number) return;
        reader->number = step.number;
        reader->appended = false;
        reader->begun = false;
        if (step.offset > 0) reader->tail.seek(step.offset, step.skipping);
        set_ready(*reader, true);
    } else {
        Tail tail = std::move(*found.opened[step.seen]);
        tail.seek(step.offset, step.skipping);
        go_on_from_gone(tail, step.number, followed.chain, found);
        tail.set_path(followed.path);
        reader = &add_reader(std::move(tail), followed, step.number);
        reader->base = found.seen[step.seen].base;
        if (backlog || step.resumed) reader->backlog.emplace(LogTime{.since = followed.left});
        set_ready(*reader, true);
        if (!reader->tail.is_archive()) watch_file(*reader);
    }
}

void Watch::look_again_at(Reader& reader, Instant now) {
    Followed* followed = followed_by(reader.chain);
    if (followed != nullptr) look(*followed, *reader.logs.begin(), "", now);
    set_ready(reader, true);
}

void Watch::take_changes(std::vector<FilePosition>& changed, std::vector<FileNumber>& gone,
                         Instant now) {
    // Of all others inotify would have told. A look may add to them.
    for (const auto& [order, reader] : unnoted_) {
        if (reader->tail.has_changed()) {
            reader->tail.note_empty();
            look_again_at(*reader, now);
        }
        reader->tail.look();
        note(*reader);
    }
    unnoted_.clear();
    gone.insert(gone.end(), gone_.begin(), gone_.end());
    gone_.clear();
    for (auto& [key, followed] : followed_) followed.chain.take_changes(changed, gone);
}

void Watch::mark_all_changed() {
    for (auto& [key, followed] : followed_) followed.chain.mark_all_changed();
}

}  // namespace bandd
