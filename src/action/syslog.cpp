// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/syslog.h"

#include "action/tags.h"

namespace bandd {

Result<std::unique_ptr<SyslogBackend>> SyslogBackend::create(std::string socket) {
    auto queue = SyslogQueue::create(std::move(socket));
    if (!queue) return std::unexpected(queue.error());
    return std::unique_ptr<SyslogBackend>(new SyslogBackend(std::move(*queue)));
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
        auto sent =
            queue_.put(SyslogSender::line(action.facility, action.severity, action.tag,
                                          replace_tags(text, *order.ban, target.jail_name)));
        if (!sent) failed.push_back({i, sent.error()});
    }
}

Backend::Notices SyslogBackend::read_notices() {
    queue_.go_on();
    return {};
}

}  // namespace bandd
