// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/trusted_path.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <deque>
#include <filesystem>

namespace bandd {
namespace {

constexpr int most_links = 40;  // as the kernel's own limit

bool only_ours(const struct stat& directory) {
    return (directory.st_uid == 0 || directory.st_uid == geteuid()) &&
           (directory.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::deque<std::string> parts_of(const std::string& path) {
    std::deque<std::string> parts;
    for (const auto& part : std::filesystem::path(path))
        if (part != "/" && !part.empty() && part != ".") parts.push_back(part.string());
    return parts;
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

std::string folder_of(const std::string& file) {
    return std::filesystem::path(absolute(file)).parent_path().string();
}
std::string name_of(const std::string& file) {
    return std::filesystem::path(file).filename().string();
}

Result<> may_own(const Fd& file, const std::string& path) {
    struct stat status{};
    if (fstat(file.get(), &status) != 0) return fail_errno("\"" + path + "\"");
    if (S_ISREG(status.st_mode) && status.st_nlink > 1)
        return fail("\"" + path + "\"", "has a second name (a hard link)",
                    "remove it, after a look at what it is");
    return {};
}

}  // namespace

Result<Fd> open_directory(const std::string& path) {
    Fd here(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::deque<std::string> parts = parts_of(absolute(path));
    for (int links = 0; !parts.empty();) {
        std::string part = parts.front();
        parts.pop_front();
        Fd next(::openat(here.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat status{};
        if (!next || fstat(next.get(), &status) != 0) return fail_errno("\"" + path + "\"");
        if (!S_ISLNK(status.st_mode)) {
            here = std::move(next);
            continue;
        }
        struct stat directory{};
        std::array<char, PATH_MAX> target{};
        ssize_t size = ::readlinkat(next.get(), "", target.data(), target.size());
        if (fstat(here.get(), &directory) != 0 || size < 0) return fail_errno("\"" + path + "\"");
        if (!only_ours(directory) || ++links > most_links)
            return fail("\"" + path + "\"",
                        "\"" + part + "\" is a link in a directory that others may write to",
                        "name the directory itself, or give the link's directory to root");
        std::string to(target.data(), static_cast<std::size_t>(size));
        if (to.starts_with('/')) here = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
        auto more = parts_of(to);
        parts.insert(parts.begin(), more.begin(), more.end());
    }
    return here;
}

Result<> make_own_file(const std::string& file, mode_t mode, const SystemUser& account) {
    constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    auto folder = open_directory(folder_of(file));
    if (!folder) return std::unexpected(folder.error());
    std::string name = name_of(file);
    {
        ActingAs guard(account);
        Fd own(::openat(folder->get(), name.c_str(), flags, mode));
        if (own) return may_own(own, file);
        if (errno != EACCES && errno != EPERM) return fail_errno("\"" + file + "\"");
    }
    if (geteuid() != 0) return fail("\"" + file + "\"", std::strerror(EACCES));
    Fd fd(::openat(folder->get(), name.c_str(), flags, mode));
    if (!fd) return fail_errno("\"" + file + "\"");
    if (auto good = may_own(fd, file); !good) return good;
    if (fchown(fd.get(), account.uid, account.gid) != 0 || fchmod(fd.get(), mode) != 0)
        return fail_errno("\"" + file + "\"");
    return {};
}

Result<> make_directory(const std::string& path, mode_t mode, const SystemUser& account) {
    if (open_directory(path)) return {};
    std::string clean = std::filesystem::path(absolute(path)).lexically_normal().string();
    while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
    std::string above = folder_of(clean);
    if (auto made = make_directory(above, 0755, {"root", geteuid(), getegid()}); !made) return made;
    auto folder = open_directory(above);
    if (!folder) return std::unexpected(folder.error());
    std::string name = name_of(clean);
    if (::mkdirat(folder->get(), name.c_str(), mode) != 0 && errno != EEXIST)
        return fail_errno("mkdir \"" + path + "\"");
    Fd made(::openat(folder->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made || ::fchmod(made.get(), mode) != 0) return fail_errno("mkdir \"" + path + "\"");
    if (geteuid() == 0 && ::fchown(made.get(), account.uid, account.gid) != 0)
        return fail_errno("chown \"" + path + "\"");
    return {};
}

bool may_make_files(const std::string& directory, const SystemUser& account) {
    ActingAs guard(account);
    return ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

Result<> give_socket(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
    auto folder = open_directory(folder_of(path));
    if (!folder) return std::unexpected(folder.error());
    Fd socket(::openat(folder->get(), name_of(path).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!socket || fstat(socket.get(), &status) != 0) return fail_errno("\"" + path + "\"");
    if (!S_ISSOCK(status.st_mode)) return fail("\"" + path + "\"", "is no socket any more");
    std::string itself = "/proc/self/fd/" + std::to_string(socket.get());
    if ((geteuid() == 0 && ::fchownat(socket.get(), "", uid, gid, AT_EMPTY_PATH) != 0) ||
        ::chmod(itself.c_str(), mode) != 0)
        return fail_errno("\"" + path + "\"");
    return {};
}

ActingAs::ActingAs(const SystemUser& account) {
    if (geteuid() != 0 || account.uid == 0) return;
    std::array<gid_t, NGROUPS_MAX> groups{};
    int count = getgroups(static_cast<int>(groups.size()), groups.data());
    groups_.assign(groups.begin(), groups.begin() + std::max(count, 0));
    // Not to get rid of root here would be to follow a stranger's links as root.
    if (initgroups(account.name.c_str(), account.gid) != 0 || setegid(account.gid) != 0 ||
        seteuid(account.uid) != 0)
        std::abort();
    changed_ = true;
}

ActingAs::~ActingAs() {
    if (!changed_) return;
    if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(groups_.size(), groups_.data()) != 0)
        std::abort();
}

}  // namespace bandd
