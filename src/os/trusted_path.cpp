// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/trusted_path.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <optional>

namespace bandd {
namespace {

constexpr int most_links = 40;  // as the kernel's own limit

bool is_ours(const struct stat& status) { return status.st_uid == 0 || status.st_uid == geteuid(); }
bool others_write(const struct stat& status) { return (status.st_mode & (S_IWGRP | S_IWOTH)) != 0; }

std::deque<std::string> parts_of(const std::string& path) {
    std::deque<std::string> parts;
    for (const auto& part : std::filesystem::path(path))
        if (part != "/" && !part.empty() && part != ".") parts.push_back(part.string());
    return parts;
}

// Why `entry`, of the directory `folder`, is not to be walked over; nothing if it is.
using Distrust = std::optional<Error> (*)(const struct stat& folder, const struct stat& entry);

// For who only wants to be sure of the place.
std::optional<Error> distrust_link(const struct stat& folder, const struct stat& entry) {
    if (!S_ISLNK(entry.st_mode) || (is_ours(folder) && !others_write(folder))) return {};
    return Error{{},
                 "is a link in a directory that others may write to",
                 "name the directory itself, or give the link's directory to root",
                 {}};
}

// For who believes what is written there.
std::optional<Error> distrust_owner(const struct stat&, const struct stat& entry) {
    constexpr const char* hint = "root acts by it: chown root and chmod go-w it";
    if (!is_ours(entry))
        return Error{{},
                     "it belongs to user " + std::to_string(entry.st_uid) + ", and not to root",
                     hint,
                     {}};
    bool sticky = S_ISDIR(entry.st_mode) && (entry.st_mode & S_ISVTX) != 0;
    if (others_write(entry) && !sticky && !S_ISLNK(entry.st_mode))
        return Error{{}, "others than root may write to it", hint, {}};
    return {};
}

// The way to a file or directory, name by name, over links.
class Walk {
  public:
    // `what`: for errors.
    Walk(std::string what, Distrust distrust) : what_(std::move(what)), distrust_(distrust) {}

    // What is there at the end of `absolute`, as O_PATH.
    Result<Fd> to_end(const std::string& absolute) {
        prepend(absolute);
        if (auto root = go_to_root(); !root) return std::unexpected(root.error());
        while (!parts_.empty()) {
            std::string part = std::move(parts_.front());
            parts_.pop_front();
            if (auto done = step(part); !done) return std::unexpected(done.error());
        }
        return std::move(here_);
    }

  private:
    void prepend(const std::string& path) {
        auto more = parts_of(path);
        parts_.insert(parts_.begin(), more.begin(), more.end());
    }

    Result<> go_to_root() {
        here_ = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!here_ || ::fstat(here_.get(), &status_) != 0) return fail_here();
        so_far_.clear();
        return judge("/", status_);
    }

    Result<> step(const std::string& part) {
        Fd next(::openat(here_.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat status{};
        if (!next || ::fstat(next.get(), &status) != 0) return fail_here();
        if (auto good = judge(so_far_ + "/" + part, status); !good) return good;
        if (S_ISLNK(status.st_mode)) return follow(next);
        so_far_ += "/" + part;
        status_ = status;
        here_ = std::move(next);
        return {};
    }

    Result<> follow(const Fd& link) {
        std::array<char, PATH_MAX> target{};
        ssize_t size = ::readlinkat(link.get(), "", target.data(), target.size());
        if (size < 0) return fail_here();
        if (++links_ > most_links) return fail(what_, std::strerror(ELOOP));
        std::string to(target.data(), static_cast<std::size_t>(size));
        prepend(to);
        return to.starts_with('/') ? go_to_root() : Result<>{};
    }

    Result<> judge(const std::string& name, const struct stat& status) {
        auto fault = distrust_(status_, status);
        if (!fault) return {};
        fault->what = "\"" + name + "\"";
        return std::unexpected(std::move(*fault));
    }

    std::unexpected<Error> fail_here() const { return fail_errno(what_); }

    std::string what_;
    Distrust distrust_;
    std::deque<std::string> parts_;  // that are left
    Fd here_;                        // what was reached
    struct stat status_{};           // of it
    std::string so_far_;             // its name; empty for /
    int links_ = 0;
};

// By which an O_PATH descriptor can be used as a path.
std::string path_of(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

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
    return Walk("\"" + path + "\"", distrust_link).to_end(absolute(path));
}

Result<std::string> read_trusted_file(const std::string& path, std::size_t largest) {
    std::string what = "cannot read \"" + path + "\"";
    if (!path.starts_with('/')) return fail("\"" + path + "\"", "is no absolute path");
    auto found = Walk(what, distrust_owner).to_end(path);
    if (!found) return std::unexpected(found.error());
    struct stat status{};
    if (::fstat(found->get(), &status) != 0) return fail_errno(what);
    if (!S_ISREG(status.st_mode)) return fail(what, "it is no file");
    Fd file(::open(path_of(*found).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file) return fail_errno(what);
    std::string text;
    std::array<char, 16384> buffer{};
    while (true) {
        ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(what);
        if (got == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > largest)
            return fail(what, "it is larger than " + std::to_string(largest >> 20) + " MiB");
    }
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

Result<> check_trusted_program(const std::string& path) {
    auto found = Walk("\"" + path + "\"", distrust_owner).to_end(absolute(path));
    if (!found) return std::unexpected(found.error());
    return {};
}

bool is_ours_alone(const std::string& directory) {
    return Walk(directory, distrust_owner).to_end(absolute(directory)).has_value();
}

Result<SocketName> socket_name(const std::string& path) {
    constexpr std::size_t longest = 107;  // of sockaddr_un
    // The directory itself may be anybody's: bind(2) follows no link in the last place.
    if (geteuid() != 0 || is_ours_alone(folder_of(folder_of(path)))) return SocketName{{}, path};
    auto folder = open_directory(folder_of(path));
    if (!folder) return std::unexpected(folder.error());
    SocketName place{std::move(*folder), {}};
    place.name = path_of(place.folder) + "/" + name_of(path);
    if (place.name.size() > longest)
        return fail("\"" + path + "\"", "the name is too long for a directory that others may move",
                    "give a shorter one, or a directory below root's only");
    return place;
}

Result<> give_socket(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
    auto folder = open_directory(folder_of(path));
    if (!folder) return std::unexpected(folder.error());
    Fd socket(::openat(folder->get(), name_of(path).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!socket || fstat(socket.get(), &status) != 0) return fail_errno("\"" + path + "\"");
    if (!S_ISSOCK(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid())
        return fail("\"" + path + "\"", "is no longer the socket that bandd has made",
                    "see who else writes to that directory");
    bool given = geteuid() == 0 || (gid != status.st_gid && gid != static_cast<gid_t>(-1));
    if (geteuid() != 0) uid = static_cast<uid_t>(-1);
    if (given && ::fchownat(socket.get(), "", uid, gid, AT_EMPTY_PATH) != 0)
        return fail_errno("\"" + path + "\"",
                          "start bandd as root, or as a member of the group that it names");
    if (::chmod(path_of(socket).c_str(), mode) != 0) return fail_errno("\"" + path + "\"");
    return {};
}

Result<> remove_socket(const std::string& path) {
    auto folder = open_directory(folder_of(path));
    if (!folder) return std::unexpected(folder.error());
    std::string name = name_of(path);
    struct stat status{};
    if (fstatat(folder->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(status.st_mode))
        ::unlinkat(folder->get(), name.c_str(), 0);
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
    // As the daemon later, it may look into directories of others.
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) return;
    data[0].effective = data[0].permitted & (1U << CAP_DAC_READ_SEARCH);
    data[1].effective = 0;
    syscall(SYS_capset, &header, data.data());
}

ActingAs::~ActingAs() {
    if (!changed_) return;
    if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(groups_.size(), groups_.data()) != 0)
        std::abort();
}

}  // namespace bandd
