// SPDX-License-Identifier: GPL-2.0-or-later
// Functions of this program are found before libc's.
#include "source/interrupted.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <utility>

namespace {

thread_local std::function<void()> interruption;

void interrupt() {
    if (!interruption) return;
    // Whoever interrupts is not interrupted.
    auto call = std::exchange(interruption, nullptr);
    call();
    interruption = std::move(call);
}

}  // namespace

namespace bandd {
void before_each_look(std::function<void()> call) { interruption = std::move(call); }
}  // namespace bandd

extern "C" {
int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    bool makes = (flags & (O_CREAT | __O_TMPFILE)) != 0;
    mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    interrupt();
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int stat(const char* path, struct stat* status) noexcept {
    interrupt();
    return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, 0));
}
int lstat(const char* path, struct stat* status) noexcept {
    interrupt();
    return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW));
}
int fstat(int fd, struct stat* status) noexcept {
    interrupt();
    return static_cast<int>(syscall(SYS_newfstatat, fd, "", status, AT_EMPTY_PATH));
}
ssize_t pread(int fd, void* data, size_t size, off_t at) {
    interrupt();
    return syscall(SYS_pread64, fd, data, size, at);
}
ssize_t readlink(const char* path, char* target, size_t size) noexcept {
    interrupt();
    return syscall(SYS_readlink, path, target, size);
}
DIR* opendir(const char* path) {
    static auto next = reinterpret_cast<DIR* (*)(const char*)>(dlsym(RTLD_NEXT, "opendir"));
    interrupt();
    return next(path);
}
}
