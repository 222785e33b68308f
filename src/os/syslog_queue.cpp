// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/syslog_queue.h"

#include <sys/epoll.h>

namespace bandd {

Result<SyslogQueue> SyslogQueue::create(std::string socket) {
    Fd watch(epoll_create1(EPOLL_CLOEXEC));
    if (!watch) return fail_errno("epoll_create1");
    return SyslogQueue(std::move(socket), std::move(watch));
}

Result<> SyslogQueue::put(std::string line) {
    go_on();
    if (waiting_.empty()) {
        auto sent = sender_.send_line(line);
        if (sent || !sender_.is_full()) return sent;
    }
    if (waiting_.size() >= most_waiting)
        return fail("syslog", "takes no lines, and " + std::to_string(most_waiting) + " wait",
                    "look at the syslog daemon");
    waiting_.push_back(std::move(line));
    watch();
    return {};
}

// Level-triggered: a socket that takes no more is not writable.
void SyslogQueue::watch() {
    if (sender_.fd() < 0) return;
    epoll_event event{};
    event.events = EPOLLOUT;
    // It may be another socket with the same number: the old one left the epoll when it was closed.
    epoll_ctl(watch_.get(), waiting_.empty() ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, sender_.fd(), &event);
}

void SyslogQueue::go_on() {
    if (waiting_.empty()) return;
    while (!waiting_.empty()) {
        auto sent = sender_.send_line(waiting_.front());
        // Without syslogd they wait for the next line that is to be written.
        if (!sent) break;
        waiting_.pop_front();
    }
    watch();
}

}  // namespace bandd
