// SPDX-License-Identifier: GPL-2.0-or-later
// Opening and making files as root where somebody with less rights may put links in the way: the
// daemon's own user owns the directories of its state, log and socket, and must not become the
// owner of root's files by them.
#pragma once

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

// Whether `account` may make files there.
bool may_make_files(const std::string& directory, const SystemUser& account);

// Owner, group and mode of what is there, which must be a socket.
Result<> give_socket(const std::string& path, uid_t uid, gid_t gid, mode_t mode);

// While it lives, this process has the rights of `account`, if it is root. Before any thread is
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
