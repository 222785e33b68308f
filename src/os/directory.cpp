// SPDX-License-Identifier: GPL-2.0-or-later
// std::filesystem makes a path of its own of every entry, which takes longer than to read it.
#include "os/directory.h"

#include <dirent.h>

#include <memory>

namespace bandd {

void for_names_in(const std::string& directory,
                  const std::function<void(const char* name)>& visit) {
    struct Close {
        void operator()(DIR* open) const { closedir(open); }
    };
    std::unique_ptr<DIR, Close> open(opendir(directory.c_str()));
    if (!open) return;
    while (const dirent* entry = readdir(open.get())) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") visit(entry->d_name);
    }
}

std::string join_path(const std::string& directory, std::string_view name) {
    std::string path = directory;
    if (!path.ends_with('/')) path += '/';
    path += name;
    return path;
}

}  // namespace bandd
