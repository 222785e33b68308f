// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/syslog.h"

#include <sys/epoll.h>

#include "action/tags.h"

namespace bandd {

Result<std::unique_ptr<SyslogBackend>> SyslogBackend::create(std::string socket) {
    Fd watch(epoll_create1(EPOLL_CLOEXEC));
    if (!watch) return fail_errno("epoll_create1");
    return std::unique_ptr<SyslogBackend>(new SyslogBackend(std::move(socket), std::move(watch)));
}

void SyslogBackend::set_targets(std::vector<TargetSpec> targets) {
    targets_.clear();
    for (TargetSpec& target : targets) targets_.emplace(target.id, std::move(target));
}

void SyslogBackend::apply(std::span<const Order> orders, std::vector<Failure>& failed) {
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const Order& order = orders[i];
        if (order.kind == Order::Kind::renew) continue;
        const TargetSpec& target = targets_.at(order.target);
        const auto& action = std::get<SyslogAction>(target.action);
        const std::string& text = order.kind == Order::Kind::add ? action.ban : action.unban;
        if (text.empty()) continue;
        auto sent = put(SyslogSender::line(action.facility, action.severity, action.tag,
                                           replace_tags(text, *order.ban, target.jail_name)));
        if (!sent) failed.push_back({i, sent.error()});
    }
}

Result<> SyslogBackend::put(std::string line) {
    send_waiting();
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
void SyslogBackend::watch() {
    if (sender_.fd() < 0) return;
    epoll_event event{};
    event.events = EPOLLOUT;
    // It may be another socket with the same number: the old one left the epoll when it was closed.
    epoll_ctl(watch_.get(), waiting_.empty() ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, sender_.fd(), &event);
}

void SyslogBackend::send_waiting() {
    if (waiting_.empty()) return;
    while (!waiting_.empty()) {
        auto sent = sender_.send_line(waiting_.front());
        // Without syslogd they wait for the next line that is to be written.
        if (!sent) break;
        waiting_.pop_front();
    }
    watch();
}

Backend::Notices SyslogBackend::read_notices() {
    send_waiting();
    return {};
}

}  // namespace bandd
