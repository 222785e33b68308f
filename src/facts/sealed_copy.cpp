// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts/sealed_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "facts/database.h"

namespace bandd {
namespace {

bool is_unchanged(const struct stat& before, const struct stat& after) {
    return after.st_size == before.st_size && after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
           after.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
}

}  // namespace

Result<Fd> sealed_copy(const std::string& path) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat before{}, after{};
    if (!file || fstat(file.get(), &before) != 0)
        return fail_errno(cannot_use(path),
                          errno == EACCES ? "give the user bandd the right to read it" : "");
    if (!S_ISREG(before.st_mode)) return fail(cannot_use(path), "it is not a regular file");
    if (static_cast<std::uint64_t>(before.st_size) > largest_database)
        return fail(cannot_use(path), "it is larger than 1 GiB");
    Fd copy(memfd_create("bandd-geoip", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy) return fail_errno("memfd_create");
    off_t done = 0;
    while (done < before.st_size) {
        ssize_t got = sendfile(copy.get(), file.get(), &done,
                               static_cast<std::size_t>(before.st_size - done));
        if (got < 0) return fail_errno(cannot_use(path));
        if (got == 0) break;
    }
    bool whole = done == before.st_size && fstat(file.get(), &after) == 0;
    if (!whole || !is_unchanged(before, after))
        return fail(cannot_use(path), "it is being written", "replace databases by renaming");
    constexpr int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(copy.get(), F_ADD_SEALS, seals) != 0) return fail_errno("fcntl F_ADD_SEALS");
    return copy;
}

}  // namespace bandd
