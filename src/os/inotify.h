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

    struct Event {
        int watch = -1;
        std::uint32_t mask = 0;
        std::uint32_t cookie = 0;  // the same for both halves of a renaming
        std::string_view name;     // within a watched directory; valid during the call
    };
    // Reads what is queued. IN_Q_OVERFLOW comes as an event with watch -1: events were lost.
    void read(const std::function<void(const Event&)>& on);

  private:
    Fd fd_;
};

}  // namespace bandd
