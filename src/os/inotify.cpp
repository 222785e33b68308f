// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/inotify.h"

#include <array>
#include <climits>
#include <cstring>

namespace bandd {

Result<Inotify> Inotify::create() {
    Inotify inotify;
    inotify.fd_ = Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify.fd_)
        return fail_errno("inotify_init1", "raise the sysctl fs.inotify.max_user_instances");
    return inotify;
}

Result<int> Inotify::add(const std::string& path, std::uint32_t mask) {
    int watch = inotify_add_watch(fd_.get(), path.c_str(), mask);
    if (watch >= 0) return watch;
    return fail_errno("cannot watch \"" + path + "\"",
                      errno == ENOSPC ? "raise the sysctl fs.inotify.max_user_watches" : "");
}

void Inotify::remove(int watch) { inotify_rm_watch(fd_.get(), watch); }

void Inotify::read(const std::function<void(const Event&)>& on) {
    // A busy writer must not keep us here: what is left announces itself again.
    constexpr int most_rounds = 64;
    constexpr std::size_t largest_event = sizeof(inotify_event) + NAME_MAX + 1;
    alignas(inotify_event) std::array<char, 16384> buffer{};
    for (int round = 0; round < most_rounds; ++round) {
        ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
        if (got <= 0) return;
        for (const char* at = buffer.data(); at < buffer.data() + got;) {
            inotify_event event{};
            std::memcpy(&event, at, sizeof event);
            const char* name = at + sizeof event;
            on({event.wd,
                event.mask,
                event.cookie,
                {name, event.len > 0 ? strnlen(name, event.len) : std::size_t{0}}});
            at += sizeof event + event.len;
        }
        // There was room for another one, so there was none.
        if (static_cast<std::size_t>(got) + largest_event <= buffer.size()) return;
    }
}

}  // namespace bandd
