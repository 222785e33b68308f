// SPDX-License-Identifier: GPL-2.0-or-later
// How far a long work is, on standard error if that is a terminal.
#pragma once

#include <chrono>
#include <cstdint>

namespace bandd {

// A bar; silent for the first 300 ms.
class Progress {
  public:
    Progress(std::uint64_t total, bool wanted);
    // Nobody knows of how many: "12000 lines".
    Progress(const char* things, bool wanted);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void show(std::uint64_t done);

  private:
    std::uint64_t total_ = 0;
    const char* things_ = nullptr;
    bool wanted_;
    std::chrono::steady_clock::time_point next_;
};

}  // namespace bandd
