// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/trusted_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <deque>
#include <optional>
#include <string_view>

#include "os/fd.h"

namespace bandd {
namespace {

constexpr int most_links = 40;  // as Linux: ELOOP

// Why it is not to be trusted, if it is not.
std::optional<std::string> distrust(const struct stat& status) {
    uid_t self = geteuid();
    if (status.st_uid != 0 && status.st_uid != self)
        return "it belongs to user " + std::to_string(status.st_uid) + ", and not to root";
    bool shared = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    if (shared && !sticky && !S_ISLNK(status.st_mode)) return "others than root may write to it";
    return {};
}

std::unexpected<Error> refuse(const std::string& path, std::string reason) {
    return fail("\"" + path + "\"", std::move(reason),
                "programs are named there, which root starts: chown root and chmod go-w it");
}

// The way to a file, name by name.
class Walk {
  public:
    explicit Walk(const std::string& path) : path_(path) { prepend(path); }

    Result<Fd> to_file() {
        if (auto root = enter("/"); !root) return std::unexpected(root.error());
        while (true) {
            if (names_.empty()) return fail("cannot read \"" + path_ + "\"", "it is a directory");
            std::string name = std::move(names_.front());
            names_.pop_front();
            struct stat status{};
            if (::fstatat(at_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
                return fail_errno("cannot read \"" + path_ + "\"");
            if (S_ISLNK(status.st_mode)) {
                if (auto followed = follow(name, status); !followed)
                    return std::unexpected(followed.error());
            } else if (names_.empty()) {
                return open_last(name);
            } else if (auto entered = enter(name); !entered) {
                return std::unexpected(entered.error());
            }
        }
    }

  private:
    void prepend(std::string_view path) {
        std::deque<std::string> names;
        while (!path.empty()) {
            auto end = path.find('/');
            if (auto name = path.substr(0, end); !name.empty() && name != ".")
                names.emplace_back(name);
            path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
        }
        names_.insert(names_.begin(), names.begin(), names.end());
    }

    Result<> enter(const std::string& name) {
        Fd next(::openat(at_ ? at_.get() : AT_FDCWD, name.c_str(),
                         O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat status{};
        if (!next || ::fstat(next.get(), &status) != 0)
            return fail_errno("cannot read \"" + path_ + "\"");
        so_far_ = name == "/" ? "" : so_far_ + "/" + name;
        if (auto why = distrust(status)) return refuse(so_far_.empty() ? "/" : so_far_, *why);
        at_ = std::move(next);
        return {};
    }

    Result<> follow(const std::string& name, const struct stat& status) {
        if (auto why = distrust(status)) return refuse(so_far_ + "/" + name, *why);
        if (++links_ > most_links) return fail("cannot read \"" + path_ + "\"", "too many links");
        std::array<char, PATH_MAX> target{};
        ssize_t size = ::readlinkat(at_.get(), name.c_str(), target.data(), target.size());
        if (size < 0) return fail_errno("cannot read \"" + path_ + "\"");
        std::string_view text(target.data(), static_cast<std::size_t>(size));
        prepend(text);
        return text.starts_with('/') ? enter("/") : Result<>{};
    }

    Result<Fd> open_last(const std::string& name) {
        Fd file(::openat(at_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat status{};
        if (!file || ::fstat(file.get(), &status) != 0)
            return fail_errno("cannot read \"" + path_ + "\"");
        if (!S_ISREG(status.st_mode)) return fail("cannot read \"" + path_ + "\"", "it is no file");
        if (auto why = distrust(status)) return refuse(path_, *why);
        return file;
    }

    const std::string& path_;
    std::deque<std::string> names_;  // that are left
    Fd at_;                          // the directory that was reached
    std::string so_far_;             // its name; empty for /
    int links_ = 0;
};

}  // namespace

Result<std::string> read_trusted_file(const std::string& path, std::size_t largest) {
    if (!path.starts_with('/')) return fail("\"" + path + "\"", "is no absolute path");
    auto file = Walk(path).to_file();
    if (!file) return std::unexpected(file.error());
    std::string text;
    std::array<char, 16384> buffer{};
    while (true) {
        ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("cannot read \"" + path + "\"");
        if (got == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > largest)
            return fail("cannot read \"" + path + "\"",
                        "it is larger than " + std::to_string(largest >> 20) + " MiB");
    }
}

}  // namespace bandd
