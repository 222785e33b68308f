// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/rotation.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "os/directory.h"
#include "source/archive.h"

namespace bandd {
namespace fs = std::filesystem;
namespace {

// What rotation appends to a log's name: numbers and times, as logrotate, savelog,
// newsyslog, Log4j and svlogd write them.
bool is_rotation_mark(std::string_view mark) {
    if (mark == ".old" || mark == "~" || mark == ".bak") return true;
    bool digit = std::ranges::any_of(mark, [](char c) { return c >= '0' && c <= '9'; });
    return digit && std::ranges::all_of(mark, [](char c) {
               return (c >= '0' && c <= '9') || std::string_view(".-_:+TZ@").contains(c);
           });
}

std::int64_t nanoseconds(const timespec& time) {
    return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

const std::vector<std::string>& names_in(const std::string& directory, Listings& listings) {
    // A file system's clock may be another machine's, and ticks in milliseconds.
    constexpr std::int64_t clock_apart = 2'000'000'000;
    struct stat status{};
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    bool known = ::stat(directory.c_str(), &status) == 0;
    std::int64_t changed = nanoseconds(status.st_mtim);
    Listing& listing = listings[directory];
    if (known && listing.settled && listing.changed == changed) return listing.names;
    listing.names.clear();
    listing.changed = changed;
    listing.settled = known && changed + clock_apart < nanoseconds(now);
    for_names_in(directory, [&](const char* name) { listing.names.emplace_back(name); });
    std::ranges::sort(listing.names);
    return listing.names;
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

std::vector<Rotated> find_rotated(const std::string& path, std::size_t most, Listings& listings) {
    std::vector<Rotated> found;
    std::size_t name_at = path.rfind('/') + 1;
    std::string directory = path.substr(0, name_at);
    std::string_view log = std::string_view(path).substr(name_at);
    // Each rotated name begins as the log's does, up to its ending.
    std::size_t dot = log.rfind('.');
    std::string_view stem = dot == 0 ? log : log.substr(0, dot);
    const std::vector<std::string>& names = names_in(directory, listings);
    for (auto name = std::ranges::lower_bound(names, stem);
         name != names.end() && name->starts_with(stem); ++name) {
        if (!is_rotated_name(*name, log)) continue;
        Rotated rotated;
        rotated.path = join_path(directory, *name);
        struct stat status{};
        if (::lstat(rotated.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        rotated.id = {status.st_dev, status.st_ino};
        rotated.modified = nanoseconds(status.st_mtim);
        // Not yet taken away after it was compressed.
        std::error_code fault;
        if (is_archive(rotated.path) && fs::exists(unpacked_name(rotated.path), fault)) continue;
        found.push_back(std::move(rotated));
    }
    std::ranges::stable_sort(found, std::greater{}, &Rotated::modified);
    if (found.size() > most) found.resize(most);
    return found;
}

Result<Tail> open_rotated(const Rotated& rotated, Encoding encoding, std::size_t line_limit) {
    return is_archive(rotated.path) ? Tail::open_archive(rotated.path, encoding, line_limit)
                                    : Tail::open(rotated.path, encoding, line_limit);
}

}  // namespace bandd
