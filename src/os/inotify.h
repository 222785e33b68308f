// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <sys/inotify.h>

#include <functional>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace bandd {

class Inotify {
  public:
    static Result<Inotify> create();

    int fd() const { return fd_.get(); }
    Result<int> add(const std::string& path, std::uint32_t mask);  // gives the watch
    void remove(int watch);

    // Reads all that is queued. IN_Q_OVERFLOW comes as an event with watch -1: events were lost.
    void read(const std::function<void(int watch, std::uint32_t mask, std::string_view name)>& on);

  private:
    Fd fd_;
};

}  // namespace bandd
