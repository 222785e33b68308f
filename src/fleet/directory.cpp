// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "config/document.h"
#include "os/trusted_path.h"

namespace bandd {
namespace {

Result<> write_new(int folder, const std::string& path, const FleetFile& file) {
    std::string what = "cannot make \"" + path + "/" + file.name + "\"";
    Fd fd(::openat(folder, file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0600));
    if (!fd) return fail_errno(what);
    for (std::size_t done = 0; done < file.text.size();) {
        ssize_t written = ::write(fd.get(), file.text.data() + done, file.text.size() - done);
        if (written <= 0) return fail_errno(what);
        done += static_cast<std::size_t>(written);
    }
    if (::fsync(fd.get()) != 0) return fail_errno(what);
    return {};
}

Result<Fd> readable_directory(const std::string& path) {
    auto found = open_directory(path);
    if (!found) return std::unexpected(found.error());
    Fd fd(::openat(found->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno("open \"" + path + "\"");
    return fd;
}

}  // namespace

Result<> FleetDirectory::make(const std::string& path, const std::vector<FleetFile>& files) {
    namespace fs = std::filesystem;
    fs::path whole = fs::absolute(path).lexically_normal();
    if (!whole.has_filename()) whole = whole.parent_path();
    std::string above = whole.parent_path().string(), name = whole.filename().string();
    auto folder = readable_directory(above);
    if (!folder) return std::unexpected(folder.error());
    struct stat there{};
    auto exists = [&] {
        return fail("\"" + path + "\"", "is there already",
                    "a fleet is made once: bandctl fleet add, remove and rotate change it; or give "
                    "another --directory");
    };
    if (::fstatat(folder->get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) return exists();
    std::string fresh = "." + name + "." + std::to_string(::getpid());
    std::string what = "cannot make \"" + path + "\"";
    if (::mkdirat(folder->get(), fresh.c_str(), 0700) != 0) return fail_errno(what);
    Fd inside(
        ::openat(folder->get(), fresh.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    Result<> made = inside ? Result<>{} : fail_errno(what);
    for (const FleetFile& file : files)
        if (made) made = write_new(inside.get(), path, file);
    if (made && ::fsync(inside.get()) != 0) made = fail_errno(what);
    if (made && ::renameat2(folder->get(), fresh.c_str(), folder->get(), name.c_str(),
                            RENAME_NOREPLACE) != 0)
        made = errno == EEXIST ? Result<>(exists()) : Result<>(fail_errno(what));
    if (made) {
        ::fsync(folder->get());
        return made;
    }
    for (const FleetFile& file : files) ::unlinkat(inside.get(), file.name.c_str(), 0);
    ::unlinkat(folder->get(), fresh.c_str(), AT_REMOVEDIR);
    return made;
}

Result<FleetDirectory> FleetDirectory::open(const std::string& path) {
    FleetDirectory directory;
    directory.path_ = std::filesystem::absolute(path).lexically_normal().string();
    auto fd = readable_directory(directory.path_);
    if (!fd) {
        Error error = fd.error();
        error.hint = "bandctl fleet init makes a fleet; --directory says where it was made";
        return std::unexpected(std::move(error));
    }
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0)
        return fail("\"" + path + "\"", "is in use by another bandctl fleet", "wait for it to end");
    directory.fd_ = std::move(*fd);
    return directory;
}

Result<std::string> FleetDirectory::read(const std::string& name) const {
    std::string what = "\"" + path_ + "/" + name + "\"";
    Fd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return fail_errno(what);
    struct stat about{};
    if (::fstat(fd.get(), &about) != 0) return fail_errno(what);
    if (!S_ISREG(about.st_mode)) return fail(what, "is no file");
    std::string text;
    std::string part(64 << 10, '\0');
    while (text.size() <= largest_text) {
        ssize_t got = ::read(fd.get(), part.data(), part.size());
        if (got < 0) return fail_errno(what);
        if (got == 0) return text;
        text.append(part, 0, static_cast<std::size_t>(got));
    }
    return fail(what, "is too large");
}

bool FleetDirectory::has(const std::string& name) const {
    struct stat about{};
    return ::fstatat(fd_.get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<> FleetDirectory::make_file(const FleetFile& file) const {
    return write_new(fd_.get(), path_, file);
}

Result<> FleetDirectory::replace(const FleetFile& file) const {
    FleetFile fresh{"." + file.name + ".new", file.text};
    ::unlinkat(fd_.get(), fresh.name.c_str(), 0);
    if (auto made = write_new(fd_.get(), path_, fresh); !made) return made;
    // A link of that name is replaced itself.
    if (::renameat(fd_.get(), fresh.name.c_str(), fd_.get(), file.name.c_str()) != 0)
        return fail_errno("cannot replace \"" + path_ + "/" + file.name + "\"");
    ::fsync(fd_.get());
    return {};
}

Result<> FleetDirectory::remove(const std::string& name) const {
    if (::unlinkat(fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
        return fail_errno("cannot remove \"" + path_ + "/" + name + "\"");
    return {};
}

}  // namespace bandd
