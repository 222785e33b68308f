// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "os/fd.h"

namespace bandd {
namespace {

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// Renaming from one directory to another is ABI 2's: refused by 1 in any case.
constexpr std::uint64_t of_first =
    reading | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
constexpr std::uint64_t of_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t writing = reading | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                  LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_DIR;

Result<> allow(const Fd& rules, const std::string& path, std::uint64_t rights) {
    Fd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat status{};
    if (!place || fstat(place.get(), &status) != 0) return {};
    if (!S_ISDIR(status.st_mode)) rights &= of_files;
    landlock_path_beneath_attr rule{rights, place.get()};
    if (syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return fail_errno("landlock_add_rule \"" + path + "\"");
    return {};
}

}  // namespace

Result<bool> allow_only_files(const OpenableFiles& files) {
    long version =
        syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return false;
    landlock_ruleset_attr handled{};
    handled.handled_access_fs = of_first | (version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0);
    // Only as large as Debian 12's header knows it, whatever the header here knows.
    Fd rules(static_cast<int>(
        syscall(SYS_landlock_create_ruleset, &handled, sizeof handled.handled_access_fs, 0)));
    if (!rules) return fail_errno("landlock_create_ruleset");
    for (const std::string& path : files.read)
        if (auto done = allow(rules, path, reading); !done) return std::unexpected(done.error());
    for (const std::string& path : files.write)
        if (auto done = allow(rules, path, writing); !done) return std::unexpected(done.error());
    if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0)
        return fail_errno("landlock_restrict_self");
    return true;
}

}  // namespace bandd
