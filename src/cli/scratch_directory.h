// SPDX-License-Identifier: GPL-2.0-or-later
// A configuration that is written to be looked at, and not kept.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace bandd {

// A directory for this process' user alone, that goes with all that is in it.
class ScratchDirectory {
  public:
    static Result<ScratchDirectory> make();
    ~ScratchDirectory();
    ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ScratchDirectory& operator=(ScratchDirectory&&) = delete;
    const std::string& path() const { return path_; }

  private:
    explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

// `files`: content by name below `directory`.
Result<> write_all(const std::map<std::string, std::string>& files, const std::string& directory);

}  // namespace bandd
