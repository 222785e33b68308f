// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace bandd {

void release_start_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    // Code is mapped from files and never written to, so that dropping it loses nothing. Read-only
    // data is left alone: relocations were written to some of it.
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        std::istringstream words(line);
        std::string range;
        std::string rights;
        std::string offset;
        std::string device;
        std::string inode;
        words >> range >> rights >> offset >> device >> inode;
        auto dash = range.find('-');
        if (rights != "r-xp" || inode == "0" || dash == std::string::npos) continue;
        auto begin = std::stoull(range.substr(0, dash), nullptr, 16);
        auto end = std::stoull(range.substr(dash + 1), nullptr, 16);
        madvise(reinterpret_cast<void*>(static_cast<std::uintptr_t>(begin)), end - begin,
                MADV_DONTNEED);
    }
}

}  // namespace bandd
