// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into the daemon: writes and syncs of the state fail now and then, as on a dying disk.
// BANDD_FAULT_ONE_IN says how often; 0 never.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>

namespace {

bool is_state(int fd) {
    char link[64];
    char path[4096];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    return std::strstr(path, "state.db") != nullptr && std::strstr(path, ".lock") == nullptr;
}

bool fails(int fd) {
    static const unsigned one_in = [] {
        const char* text = std::getenv("BANDD_FAULT_ONE_IN");
        return text == nullptr ? 0U : static_cast<unsigned>(std::atoi(text));
    }();
    thread_local std::minstd_rand random(static_cast<unsigned>(getpid()));
    if (one_in == 0 || random() % one_in != 0 || !is_state(fd)) return false;
    errno = EIO;
    return true;
}

template <class Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
    static auto next = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
    return fails(fd) ? -1 : next(fd, data, size, at);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
    return pwrite64(fd, data, size, at);
}
int fdatasync(int fd) {
    static auto next = real<int (*)(int)>("fdatasync");
    return fails(fd) ? -1 : next(fd);
}
int fsync(int fd) {
    static auto next = real<int (*)(int)>("fsync");
    return fails(fd) ? -1 : next(fd);
}
}
