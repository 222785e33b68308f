// SPDX-License-Identifier: GPL-2.0-or-later
// Opening and making files as root where somebody with less rights may put links in the way: the
// daemon's own user owns the directories of its state, log and socket, and must not become the
// owner of root's files by them. What is checked is what is used: descriptors are walked, not
// names.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "os/credentials.h"
#include "os/fd.h"

namespace bandd {

// The directory, as O_PATH. Links on the way are followed only in directories that nobody but root
// (or this process's own user) may write to.
Result<Fd> open_directory(const std::string& path);

// `file` exists afterwards, and `account` may write to it: made with `mode` if it was missing, as
// the account's own if it may make files there, else by root. No link is followed, and a file that
// has a second name is refused.
Result<> make_own_file(const std::string& file, mode_t mode, const SystemUser& account);

// A directory that exists afterwards, made for `account` with `mode` if it was missing; those above
// it are root's.
Result<> make_directory(const std::string& path, mode_t mode, const SystemUser& account);

// The text of `path`, which is absolute, if nobody but root (or this process's own user) can have
// written it: the file, each directory on the way to it and each link belong to them, and nobody
// else may write to it. A directory with the sticky bit (/tmp) may be: in it, nobody else can
// replace what is root's.
Result<std::string> read_trusted_file(const std::string& path, std::size_t largest);

// The same of a file that is to be executed. An error: it is not to be.
Result<> check_trusted_program(const std::string& path);

// Whether nobody but root (or this process's own user) can put another directory or file there: it
// and all above it belong to them. Where that is not so, root opens nothing by its path.
bool is_ours_alone(const std::string& directory);

// The name by which a socket is bound at `path`, while `folder` lives: the path itself, unless
// somebody could swap a directory on the way to it.
struct SocketName {
    Fd folder;
    std::string name;
};
Result<SocketName> socket_name(const std::string& path);

// Owner (if we are root) and group (-1: as they are) and mode of what is there: a socket that this
// process has made just now.
Result<> give_socket(const std::string& path, uid_t uid, gid_t gid, mode_t mode);
// If a socket has the name, it loses it: an earlier run's. Anything else is not ours to remove.
Result<> remove_socket(const std::string& path);

// While it lives, this process has the rights of `account`, if it is root, and may search
// directories and read, as the daemon may later (CAP_DAC_READ_SEARCH). Before any thread is
// started.
class ActingAs {
  public:
    explicit ActingAs(const SystemUser& account);
    ~ActingAs();
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;

  private:
    bool changed_ = false;
    std::vector<gid_t> groups_;
};

}  // namespace bandd
