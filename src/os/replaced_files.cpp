// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/replaced_files.h"

#include <sys/inotify.h>

#include <filesystem>

namespace bandd {

Result<ReplacedFiles> ReplacedFiles::create() {
    auto inotify = Inotify::create();
    if (!inotify) return std::unexpected(inotify.error());
    return ReplacedFiles(std::move(*inotify));
}

void ReplacedFiles::set_files(const std::vector<std::string>& paths) {
    for (const auto& [watch, names] : names_) inotify_.remove(watch);
    names_.clear();
    for (const std::string& path : paths) {
        // Where the file really lies counts, too: /usr/share/GeoIP is often full of links.
        std::error_code fault;
        std::filesystem::path given = path;
        std::filesystem::path real = std::filesystem::canonical(given, fault);
        for (const auto& one : {given, fault ? given : real})
            if (auto watch = inotify_.add(one.parent_path().string(), IN_MOVED_TO | IN_CLOSE_WRITE))
                names_[*watch].insert(one.filename().string());
    }
}

bool ReplacedFiles::were_replaced() {
    bool replaced = false;
    inotify_.read([&](const Inotify::Event& event) {
        auto names = names_.find(event.watch);
        replaced = replaced || (event.mask & IN_Q_OVERFLOW) != 0 ||
                   (names != names_.end() && names->second.contains(event.name));
    });
    return replaced;
}

}  // namespace bandd
