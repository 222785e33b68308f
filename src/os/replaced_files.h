// SPDX-License-Identifier: GPL-2.0-or-later
// Tells when one of some files was replaced: renamed into place, or written and closed.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "os/inotify.h"

namespace bandd {

class ReplacedFiles {
  public:
    static Result<ReplacedFiles> create();

    // The files from now on. A directory that cannot be watched is left out.
    void set_files(const std::vector<std::string>& paths);
    int fd() const { return inotify_.fd(); }
    // True if one of them was replaced since the last call.
    bool were_replaced();

  private:
    explicit ReplacedFiles(Inotify inotify) : inotify_(std::move(inotify)) {}

    Inotify inotify_;
    std::map<int, std::set<std::string, std::less<>>> names_;  // by the watch on their directory
};

}  // namespace bandd
