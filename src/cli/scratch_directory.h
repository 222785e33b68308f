// SPDX-License-Identifier: GPL-2.0-or-later
// A configuration that is written to be looked at, and not kept.
#pragma once

#include <map>
#include <string>

#include "core/base/result.h"

namespace bandd {

// A directory for this process' user alone, that goes with all that is in it.
class ScratchDirectory {
  public:
    ScratchDirectory();
    ~ScratchDirectory();
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    const std::string& path() const { return path_; }  // empty: it could not be made

  private:
    std::string path_;
};

// `files`: content by name below `directory`.
Result<> write_all(const std::map<std::string, std::string>& files, const std::string& directory);

}  // namespace bandd
