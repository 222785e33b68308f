// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/chain.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <tuple>
#include <utility>

#include "source/archive.h"

namespace bandd {
namespace {

// Beginnings of fewer bytes could be alike by chance.
constexpr std::size_t telling = 32;

// Its end was not on the disk when power was lost, but a checkpoint that knew it was.
bool is_cut(const Chain::File& file, const Sighting& seen) {
    return file.restored && file.at.at.fingerprint.length >= telling &&
           seen.size < file.at.at.offset;
}

// Still where it was: the same inode, with what was read of it.
bool is_same(const Chain::File& file, const Sighting& seen) {
    const TailPosition& at = file.at.at;
    if (at.id != seen.id) return false;
    if (file.is_open()) return true;
    // Of one that was empty nothing was read, so nothing is lost when it is taken for a new one.
    if (at.fingerprint.length == 0) return at.offset > 0 && seen.size >= at.offset;
    return at.fingerprint.matches(seen.head) && (seen.size >= at.offset || is_cut(file, seen));
}

bool begins_as(const Chain::File& file, const Sighting& seen) {
    const Fingerprint& fingerprint = file.at.at.fingerprint;
    return fingerprint.length > 0 && fingerprint.matches(seen.head);
}

// True if all that is in `seen` is in `other`, too.
bool is_copy(const Sighting& seen, const Sighting& other) {
    if (seen.head.empty() || !other.head.starts_with(seen.head)) return false;
    // How much is in an archive nobody knows, but gzip and zstd keep the time. It was compressed
    // while we looked, or since its original, which may have got lines after that, lost its name.
    if (seen.archive != other.archive)
        return seen.modified == other.modified || (other.open && !other.named);
    if (seen.archive || seen.size > other.size) return false;
    return seen.head.size() >= telling || seen.size == seen.head.size();
}

// app.log.10 is older than app.log.9, and that than app.log.1. 0: the name has a date, or nothing;
// app.log-20261129 is older than app.log-20261130.
std::uint64_t rotation_number(std::string_view path) {
    constexpr std::size_t most_digits = 6;
    if (is_archive(path)) path = path.substr(0, path.rfind('.'));
    std::string_view digits = path.substr(path.rfind('.') + 1);
    std::uint64_t number = 0;
    auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    bool whole = fault == std::errc{} && end == digits.data() + digits.size();
    return whole && digits.size() <= most_digits ? number : 0;
}

}  // namespace

void Chain::restore(const FilePosition& saved) {
    if (saved.file.number == 0 && saved.at.id == FileId{}) {
        begun_ = saved.modified;
        clock_.set(Duration{saved.clock});
        kept_offset_ = clock_.offset();
        return;
    }
    File file{saved, saved.gone ? State::gone : State::known, false, true};
    // Of an older bandd, which gave no numbers.
    if (file.at.file.number == 0) {
        file.at.file.number = last_ + 1;
        file.changed = true;
    }
    file.at.file.log = log_;
    last_ = std::max(last_, file.at.file.number);
    if (!begun_) begun_ = old_before_;
    auto after = std::ranges::upper_bound(files_, file.at.file.number, {},
                                          [](const File& one) { return one.at.file.number; });
    files_.insert(after, std::move(file));
}

void Chain::leave() {
    for (File& file : files_) {
        if (file.state != State::gone) file.state = State::known;
        file.restored = true;
    }
}

Chain Chain::under(std::string log) const {
    Chain chain = *this;
    chain.log_ = std::move(log);
    chain.clock_ = {};  // it may be another zone in which it is read
    chain.begun_changed_ = true;
    for (File& file : chain.files_) {
        file.at.file.log = chain.log_;
        file.changed = true;
    }
    return chain;
}

Chain::File* Chain::find(std::uint64_t number) {
    auto found = std::ranges::lower_bound(files_, number, {},
                                          [](const File& one) { return one.at.file.number; });
    return found != files_.end() && found->at.file.number == number ? &*found : nullptr;
}

void Chain::note(std::uint64_t number, const TailPosition& at, std::int64_t modified) {
    File* file = find(number);
    // What was truncated is where it was.
    if (file == nullptr || !file->is_open()) return;
    FilePosition before = file->at;
    std::string base = std::move(file->at.at.path);
    file->at.at = at;
    file->at.at.path = std::move(base);
    file->at.modified = modified;
    if (file->at != before) file->changed = true;
}

void Chain::set_state(std::uint64_t number, State state) {
    File* file = find(number);
    if (file == nullptr) return;
    bool gone = state == State::gone;
    if (file->at.gone != gone) file->changed = true;
    file->at.gone = gone;
    file->state = state;
}

void Chain::lose(std::uint64_t number, const TailPosition& before) {
    File* file = find(number);
    // Once lost, it is where it was: what its inode held since then has no number yet.
    if (file == nullptr || !file->is_open()) return;
    note(number, before, file->at.modified);
    set_state(number, State::known);
    // It was empty: nothing is known of it.
    if (before.fingerprint.length == 0) drop(static_cast<std::size_t>(file - files_.data()));
}

bool Chain::knows(const FileId& id) const {
    return std::ranges::any_of(files_, [&](const File& file) { return file.at.at.id == id; });
}

bool Chain::claims(const FileId& id) const {
    return std::ranges::find(claimed_, id) != claimed_.end();
}

std::map<std::string, bool> Chain::bases() const {
    std::map<std::string, bool> bases;
    for (const File& file : files_)
        if (!file.at.at.path.empty()) {
            bool& left = bases[file.at.at.path];
            left = left || file.state != State::gone;
        }
    return bases;
}

Chain::Match Chain::match(std::span<const Sighting> seen) const {
    Match match{std::vector<std::optional<std::size_t>>(seen.size()),
                std::vector<std::optional<std::size_t>>(files_.size())};
    // Open ones first: what is known of others may be of an inode that is another file now.
    for (bool open : {true, false})
        for (std::size_t file = files_.size(); file-- > 0;) {
            if (files_[file].is_open() != open) continue;
            for (std::size_t i = 0; i < seen.size(); ++i)
                if (!match.file_of[i] && !match.seen_of[file] && is_same(files_[file], seen[i])) {
                    match.file_of[i] = file;
                    match.seen_of[file] = i;
                }
        }
    match_copies(seen, match);
    return match;
}

// Files that are not where they were, and what begins as they did: copies, archives.
void Chain::match_copies(std::span<const Sighting> seen, Match& match) const {
    std::vector<std::size_t> lost;
    for (std::size_t file = 0; file < files_.size(); ++file)
        if (!match.seen_of[file]) lost.push_back(file);
    // What is known by more bytes is known better.
    std::ranges::stable_sort(lost, std::ranges::greater{}, [&](std::size_t file) {
        return files_[file].at.at.fingerprint.length;
    });
    for (std::size_t file : lost) {
        std::optional<std::size_t> best;
        auto rank = [&](std::size_t i) {
            // Of a file and its copies the fullest is the last one. By a few bytes many may begin
            // alike: of these it is the oldest.
            bool sure = files_[file].at.at.fingerprint.length >= telling;
            return std::tuple(seen[i].archive, sure ? UINT64_MAX - seen[i].size : 0,
                              seen[i].modified);
        };
        for (std::size_t i = 0; i < seen.size(); ++i) {
            if (match.file_of[i] || !begins_as(files_[file], seen[i]) ||
                seen[i].size < files_[file].at.at.offset)
                continue;
            if (!best || rank(i) < rank(*best)) best = i;
        }
        if (!best) continue;
        match.file_of[*best] = file;
        match.seen_of[file] = best;
    }
}

// A file that is known again: where it is, and whether something of it may be left to read.
void Chain::settle(const File& known, const Sighting& seen, std::size_t index,
                   std::vector<Step>& steps) {
    File& file = *find(known.at.file.number);
    FilePosition before = file.at;
    TailPosition& at = file.at.at;
    bool moved = at.id != seen.id;
    bool cut = !moved && is_cut(file, seen);
    std::optional<std::int64_t> changed = cut ? std::optional(file.at.modified) : std::nullopt;
    if (cut) at.offset = seen.size;
    at.id = seen.id;
    at.path = seen.base;
    file.at.modified = seen.modified;
    if (!file.is_open() && at.fingerprint.length < seen.head.size())
        at.fingerprint = Fingerprint::of(seen.head);
    bool wanted = seen.named || file.is_open() || (file.state == State::known) || cut ||
                  (!seen.archive && seen.size > at.offset);
    // Nobody has a copy open to write to it.
    if (!seen.named && !file.is_open() && moved && !seen.archive && seen.size == at.offset) {
        file.state = State::gone;
        file.at.gone = true;
        wanted = false;
    }
    if (file.at != before) file.changed = true;
    if (!wanted) return;
    steps.push_back({index, file.at.file.number, at.offset, at.skipping,
                     std::exchange(file.restored, false), false, changed});
}

std::uint64_t Chain::add(const Sighting& seen, std::uint64_t offset, State state) {
    File file;
    file.at.file = {log_, ++last_};
    file.at.at = {seen.base, seen.id, offset, false, Fingerprint::of(seen.head)};
    file.at.modified = seen.modified;
    file.at.gone = state == State::gone;
    file.state = state;
    files_.push_back(std::move(file));
    return last_;
}

// The first look: what lies beside the log is old.
void Chain::begin(std::span<const Sighting> seen, const Match& match, const Alike& alike) {
    begun_ = old_before_;
    begun_changed_ = true;
    std::vector<std::size_t> old;
    for (std::size_t i = 0; i < seen.size(); ++i) {
        if (seen[i].named || seen[i].other_log || match.file_of[i]) continue;
        bool copy = std::ranges::any_of(seen, [&](const Sighting& other) {
            auto index = static_cast<std::size_t>(&other - seen.data());
            return other.named && is_copy(seen[i], other) && alike(i, index, seen[i].size);
        });
        if (!copy) old.push_back(i);
    }
    std::ranges::sort(old, {}, [&](std::size_t i) { return std::tuple(seen[i].modified); });
    std::size_t unknown = old.size() - std::min(old.size(), most_old);
    if (unknown > 0) begun_ = std::max(*begun_, seen[old[unknown - 1]].modified + 1);
    old.erase(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(unknown));
    for (std::size_t i : old) add(seen[i], seen[i].archive ? 0 : seen[i].size, State::gone);
}

// What nobody knows. Its files are numbered in the order of their times, the log itself last.
std::vector<Chain::Step> Chain::take_new(std::span<const Sighting> seen, const Match& match,
                                         const Alike& alike) {
    std::vector<std::size_t> candidates;
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (!match.file_of[i]) candidates.push_back(i);
    // Of copies the fullest is taken.
    std::ranges::stable_sort(candidates, {}, [&](std::size_t i) {
        return std::tuple(!seen[i].named, seen[i].archive, UINT64_MAX - seen[i].size);
    });
    std::vector<std::size_t> originals;
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (match.file_of[i]) originals.push_back(i);
    struct New {
        std::size_t seen = 0;
        std::uint64_t offset = 0;
    };
    std::vector<New> found;
    for (std::size_t i : candidates) {
        auto original = std::ranges::find_if(originals, [&](std::size_t other) {
            return is_copy(seen[i], seen[other]) && alike(i, other, seen[i].size);
        });
        bool copy = original != originals.end();
        // A copy that was made before all of it was read, of a file that is nowhere now.
        bool read = false;
        for (std::size_t file = 0; file < match.seen_of.size(); ++file)
            read = read || (!match.seen_of[file] && begins_as(files_[file], seen[i]) &&
                            files_[file].at.at.fingerprint.length >= telling &&
                            seen[i].size <= files_[file].at.at.offset);
        if (copy || read) claimed_.push_back(seen[i].id);
        // Whoever writes may still have open what the log's name led to.
        bool empty = seen[i].size == 0 && seen[i].path != seen[i].base;
        // An editor's save takes the log's name: it goes on where its original ends.
        if (seen[i].named || seen[i].open)
            found.push_back({i, copy ? std::min(seen[i].size, seen[*original].size) : 0});
        else if (!copy && !read && !empty && !seen[i].other_log && seen[i].modified >= *begun_)
            found.push_back({i, 0});
        else
            continue;
        originals.push_back(i);
    }
    std::ranges::sort(found, {}, [&](const New& one) {
        const std::string& path = seen[one.seen].path;
        return std::tuple(seen[one.seen].named, seen[one.seen].modified,
                          UINT64_MAX - rotation_number(path), path);
    });
    std::vector<Step> steps;
    for (const New& one : found) {
        const Sighting& what = seen[one.seen];
        State state = what.named ? State::reading : State::held;
        steps.push_back({one.seen, add(what, one.offset, state), one.offset, false, false, false});
    }
    return steps;
}

std::vector<Chain::Step> Chain::look(std::span<const Sighting> seen, const Alike& alike) {
    Match found = match(seen);
    claimed_.clear();
    bool first = !begun_;
    if (first) begin(seen, found, alike);
    std::vector<Step> steps;
    for (std::size_t file = 0; file < found.seen_of.size(); ++file)
        if (auto i = found.seen_of[file]) {
            claimed_.push_back(seen[*i].id);
            settle(files_[file], seen[*i], *i, steps);
        }
    if (first) {
        // `begin` has taken what is old.
        for (std::size_t i = 0; i < seen.size(); ++i)
            if (seen[i].named && !found.file_of[i])
                steps.push_back({i, add(seen[i], 0, State::reading), 0, false, false, true});
    } else {
        auto fresh = take_new(seen, found, alike);
        steps.insert(steps.end(), fresh.begin(), fresh.end());
    }
    found.seen_of.resize(files_.size(), 0);  // those that were added have a place
    forget(found);
    return steps;
}

void Chain::drop(std::size_t file) {
    gone_.push_back(files_[file].at.file);
    files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(file));
}

void Chain::forget(const Match& match) {
    std::vector<bool> drops(files_.size());
    std::size_t without = 0;
    std::size_t kept = 0;
    for (std::size_t file = files_.size(); file-- > 0;) {
        bool open = files_[file].is_open();
        bool empty = files_[file].at.at.fingerprint.length == 0 && files_[file].at.at.offset == 0;
        if (!match.seen_of[file] && !open) {
            // Of what was empty nothing is known.
            drops[file] = empty || ++without > most_without_place;
            // Where it was is no place to look at any more.
            if (!std::exchange(files_[file].at.at.path, "").empty()) files_[file].changed = true;
        }
        if (!drops[file] && ++kept > most_files && !open) drops[file] = true;
    }
    std::int64_t oldest = INT64_MAX;  // of what is kept
    for (std::size_t file = 0; file < drops.size(); ++file)
        if (!drops[file] && !files_[file].is_open())
            oldest = std::min(oldest, files_[file].at.modified);
    for (std::size_t file = drops.size(); file-- > 0;) {
        if (!drops[file]) continue;
        if (match.seen_of[file]) ++forgotten_;
        if (files_[file].at.at.fingerprint.length == 0 && files_[file].at.at.offset == 0) {
            drop(file);
            continue;
        }
        // It may still be there, and must not be new.
        std::int64_t since = std::min(files_[file].at.modified + 1, oldest);
        begun_changed_ = begun_changed_ || since > *begun_;
        begun_ = std::max(*begun_, since);
        drop(file);
    }
}

void Chain::mark_all_changed() {
    begun_changed_ = has_begun();
    for (File& file : files_) file.changed = true;
}

void Chain::take_changes(std::vector<FilePosition>& changed, std::vector<FileNumber>& gone) {
    if (has_begun() && std::exchange(kept_offset_, clock_.offset()) != clock_.offset())
        begun_changed_ = true;
    if (std::exchange(begun_changed_, false)) {
        FilePosition begun;
        begun.file.log = log_;
        begun.modified = *begun_;
        begun.clock = clock_.offset().count();
        changed.push_back(std::move(begun));
    }
    for (File& file : files_)
        if (std::exchange(file.changed, false)) changed.push_back(file.at);
    gone.insert(gone.end(), gone_.begin(), gone_.end());
    gone_.clear();
}

}  // namespace bandd
