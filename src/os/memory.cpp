// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace bandd {
namespace {

// Of the stack that begins at `begin`, what lies below the caller's frames. Other threads' stacks
// are not among "[stack]".
void release_stack(std::uintptr_t begin, std::uintptr_t end) {
    constexpr std::uintptr_t kept = 64 << 10;  // below us: frames of what we call, a red zone
    auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    if (at < begin + kept || at >= end) return;
    std::uintptr_t free_end = (at - kept) / page * page;
    if (free_end > begin) madvise(reinterpret_cast<void*>(begin), free_end - begin, MADV_DONTNEED);
}

}  // namespace

void release_free_memory() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void release_start_memory() {
    release_free_memory();
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
        std::string name;
        words >> range >> rights >> offset >> device >> inode >> name;
        auto dash = range.find('-');
        if (dash == std::string::npos) continue;
        auto begin = std::stoull(range.substr(0, dash), nullptr, 16);
        auto end = std::stoull(range.substr(dash + 1), nullptr, 16);
        if (name == "[stack]") release_stack(begin, end);
        if (rights != "r-xp" || inode == "0") continue;
        madvise(reinterpret_cast<void*>(static_cast<std::uintptr_t>(begin)), end - begin,
                MADV_DONTNEED);
    }
}

}  // namespace bandd
