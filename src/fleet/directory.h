// SPDX-License-Identifier: GPL-2.0-or-later
// The directory that `bandctl fleet init` makes: files with secrets, for root alone (0600). No link
// in it is followed.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

struct FleetFile {
    std::string name, text;
};

class FleetDirectory {
  public:
    // Whole or not at all. An error if something has that name already.
    static Result<> make(const std::string& path, const std::vector<FleetFile>& files);
    // Nobody else has it open until this one goes.
    static Result<FleetDirectory> open(const std::string& path);

    Result<std::string> read(const std::string& name) const;
    bool has(const std::string& name) const;
    Result<> make_file(const FleetFile& file) const;  // an error if there is one
    Result<> replace(const FleetFile& file) const;    // or make
    Result<> remove(const std::string& name) const;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
    Fd fd_;
};

}  // namespace bandd
