// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/rotation.h"

#include <fcntl.h>
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

// Beginnings of fewer bytes could be alike by chance.
constexpr std::uint32_t telling = 32;

// What rotation appends to a log's name: numbers and times, as logrotate, savelog,
// newsyslog, Log4j and svlogd write them.
bool is_rotation_mark(std::string_view mark) {
    if (mark == ".old" || mark == "~" || mark == ".bak") return true;
    bool digit = std::ranges::any_of(mark, [](char c) { return c >= '0' && c <= '9'; });
    return digit && std::ranges::all_of(mark, [](char c) {
               return (c >= '0' && c <= '9') || std::string_view(".-_:+TZ@").contains(c);
           });
}

std::string head_of(const std::string& path) {
    if (is_archive(path)) {
        auto archive = Archive::open(path);
        return archive ? archive_head(*archive, Fingerprint::longest).value_or("") : "";
    }
    // It may have become a FIFO meanwhile, or a link.
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
    std::string head(Fingerprint::longest, '\0');
    ssize_t got = fd ? pread(fd.get(), head.data(), head.size(), 0) : 0;
    head.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return head;
}

struct Candidate {
    Rotated rotated;
    std::uint64_t size = 0;
    std::string head;
};

bool is_copy_of(const Tail& current, const Candidate& candidate) {
    if (is_archive(candidate.rotated.path) || candidate.head.size() < telling) return false;
    return current.size() >= candidate.size && current.begins_with(candidate.head);
}

const TailPosition* position_of(const Candidate& candidate, const std::string& path,
                                const std::vector<TailPosition>& positions) {
    const TailPosition* found = nullptr;
    const TailPosition* was_empty = nullptr;
    for (const TailPosition& saved : positions) {
        if (saved.path != path) continue;
        bool same = saved.id == candidate.rotated.id;
        if (same && saved.fingerprint.length == 0) was_empty = &saved;
        if (!saved.fingerprint.matches(candidate.head)) continue;
        if (same) return &saved;
        // Of a file and its copies the one read furthest counts.
        if (saved.fingerprint.length >= telling && (!found || found->offset < saved.offset))
            found = &saved;
    }
    return found != nullptr ? found : was_empty;
}

}  // namespace

bool is_rotated_name(std::string_view name, std::string_view log) {
    // app.log-20261121.gz, and with logrotate's "extension": app-20261121.log.gz
    if (is_archive(name)) name = name.substr(0, name.rfind('.'));
    if (name.size() <= log.size()) return false;
    if (name.starts_with(log)) return is_rotation_mark(name.substr(log.size()));
    std::size_t dot = log.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return false;
    std::string_view stem = log.substr(0, dot);
    std::string_view extension = log.substr(dot);
    return name.starts_with(stem) && name.ends_with(extension) &&
           is_rotation_mark(name.substr(dot, name.size() - log.size()));
}

std::vector<Rotated> find_rotated(const std::string& path, const Tail* current,
                                  const std::vector<TailPosition>& positions, std::int64_t since) {
    std::vector<Candidate> candidates;
    std::size_t name_at = path.rfind('/') + 1;
    std::string directory = path.substr(0, name_at);
    std::string_view log = std::string_view(path).substr(name_at);
    for_names_in(directory, [&](const char* name) {
        if (!is_rotated_name(name, log)) return;
        Candidate candidate;
        candidate.rotated.path = join_path(directory, name);
        struct stat status{};
        // A link is nothing that rotation makes, and could lead anywhere.
        if (::lstat(candidate.rotated.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
            return;
        candidate.rotated.id = {status.st_dev, status.st_ino};
        candidate.rotated.modified =
            status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
        candidate.size = static_cast<std::uint64_t>(status.st_size);
        if (current != nullptr && candidate.rotated.id == current->id()) return;
        if (candidate.rotated.modified < since) return;
        // Not yet taken away after it was compressed.
        std::error_code fault;
        if (is_archive(candidate.rotated.path) &&
            fs::exists(unpacked_name(candidate.rotated.path), fault))
            return;
        candidates.push_back(std::move(candidate));
    });
    std::ranges::sort(candidates, std::greater{},
                      [](const Candidate& one) { return one.rotated.modified; });
    if (candidates.size() > most_rotated) candidates.resize(most_rotated);
    for (Candidate& candidate : candidates) candidate.head = head_of(candidate.rotated.path);
    std::vector<Rotated> found;
    for (Candidate& candidate : candidates) {
        if (current != nullptr && is_copy_of(*current, candidate)) continue;
        candidate.rotated.saved = position_of(candidate, path, positions);
        candidate.rotated.fingerprint = Fingerprint::of(candidate.head);
        found.push_back(std::move(candidate.rotated));
    }
    std::ranges::sort(found, {}, &Rotated::modified);
    return found;
}

Result<Tail> open_rotated(const Rotated& rotated, Encoding encoding, std::size_t line_limit) {
    return is_archive(rotated.path) ? Tail::open_archive(rotated.path, encoding, line_limit)
                                    : Tail::open(rotated.path, encoding, line_limit);
}

bool is_the_same(const Tail& opened, const Rotated& listed) {
    if (opened.id() != listed.id) return false;
    if (listed.fingerprint.length > 0) return opened.matches(listed.fingerprint);
    return is_archive(listed.path) || opened.modified() == listed.modified;
}

bool still_there(const Rotated& rotated) { return file_id(rotated.path) == rotated.id; }

}  // namespace bandd
