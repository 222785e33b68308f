// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/syslog_source.h"

#include <algorithm>
#include <set>

namespace bandd {

Result<> SyslogSource::open(const Config& config, bool starting) {
    std::set<ListenAddress> wanted;
    for (const JailConfig& jail : config.jails)
        if (jail.syslog) wanted.insert(jail.syslog->listen.begin(), jail.syslog->listen.end());
    std::erase_if(listening_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    for (auto& [address, listening] : listening_)
        if (auto loaded = listening.listener->reload(); !loaded) on_error_(loaded.error());
    for (const ListenAddress& address : wanted) {
        if (listening_.contains(address)) continue;
        auto opened = SyslogListener::open(loop_, address, config.line_limit);
        if (opened) {
            listening_.emplace(address, Listening{std::move(*opened), {}});
            continue;
        }
        Error error = opened.error();
        if (starting) return std::unexpected(error);
        error.hint = "restart bandd: network sockets are opened at its start only";
        on_error_(error);
    }
    return {};
}

void SyslogSource::configure(const Config&, std::span<const SourceJail> jails, SavedSources&,
                             Instant) {
    for (auto& [address, listening] : listening_) {
        listening.jails.clear();
        std::vector<Prefix> all;
        for (const SourceJail& jail : jails) {
            const auto& syslog = jail.config->syslog;
            if (!syslog || std::ranges::find(syslog->listen, address) == syslog->listen.end())
                continue;
            listening.jails.push_back(
                {jail.number, PrefixSet(syslog->from), jail.config->log_options});
            all.insert(all.end(), syslog->from.begin(), syslog->from.end());
        }
        std::ranges::sort(listening.jails, {}, &Believer::jail);
        listening.listener->set_believed(PrefixSet(all));
    }
}

bool SyslogSource::is_ready() const {
    return std::ranges::any_of(listening_,
                               [](const auto& entry) { return entry.second.listener->is_ready(); });
}

void SyslogSource::read(LineTaker& taker, Instant now) {
    for (auto& [address, listening] : listening_)
        if (listening.listener->is_ready())
            listening.listener->read([&](const Address& sender, std::string_view lines) {
                hand_on(listening, sender, lines, taker, now);
            });
}

void SyslogSource::hand_on(const Listening& listening, const Address& sender,
                           std::string_view lines, LineTaker& taker, Instant now) const {
    const ListenAddress& address = listening.listener->address();
    bool local = address.kind == ListenAddress::Kind::unix_datagram;
    Audience audience;
    for (const Believer& believer : listening.jails) {
        if (!local && !believer.from.contains(sender)) continue;
        if (audience.jails.empty()) {
            audience.timezone = believer.options.timezone;
            audience.escapes = believer.options.escapes;
        }
        audience.jails.push_back(believer.jail);
    }
    if (audience.jails.empty()) return;
    auto from = local ? std::nullopt : std::optional(sender);
    taker.take({to_string(address), audience, Chunk{0, lines, from}}, now);
}

std::optional<Instant> SyslogSource::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [address, listening] : listening_)
        if (auto due = listening.listener->next_deadline(); due && (!next || *due < *next))
            next = due;
    return next;
}

void SyslogSource::on_time(Instant now) {
    for (auto& [address, listening] : listening_) listening.listener->on_time(now);
}

std::vector<const SyslogListener*> SyslogSource::listeners(JailIndex jail) const {
    std::vector<const SyslogListener*> found;
    for (const auto& [address, listening] : listening_)
        for (const Believer& believer : listening.jails)
            if (believer.jail == jail) found.push_back(listening.listener.get());
    return found;
}

}  // namespace bandd
