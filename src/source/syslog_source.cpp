// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/syslog_source.h"

#include <algorithm>

namespace bandd {

Result<> SyslogSource::open(const Config& config, ListeningSockets& sockets, bool starting) {
    std::map<std::string, ListenAddress> wanted;
    for (const JailConfig& jail : config.jails)
        if (jail.syslog)
            for (const ListenAddress& address : jail.syslog->listen)
                wanted.emplace(to_string(address), address);
    std::erase_if(listening_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    for (auto& [name, listening] : listening_)
        if (auto loaded = listening.listener->load_tls(wanted.at(name).tls); !loaded)
            on_error_(loaded.error());
    for (const auto& [name, address] : wanted) {
        if (listening_.contains(name)) continue;
        auto socket = sockets.extract(name);
        if (socket.empty()) {
            on_error_({"syslog: " + name, "is not open", "try bandctl reload again", {}});
            continue;
        }
        auto on_trouble = [this](Error error) {
            error.what = "syslog: " + error.what;
            on_error_(error);
        };
        auto opened = SyslogListener::open(loop_, std::move(socket.mapped()), address,
                                           config.line_limit, on_trouble);
        if (opened)
            listening_.emplace(name, Listening{std::move(*opened), {}});
        else if (starting)
            return std::unexpected(opened.error());
        else
            on_error_(opened.error());
    }
    return {};
}

void SyslogSource::configure(const Config&, std::span<const SourceJail> jails, SavedSources&,
                             Instant) {
    for (auto& [address, listening] : listening_) {
        listening.jails.clear();
        listening.clocks.clear();  // dates may mean something else
        std::vector<Prefix> all;
        for (const SourceJail& jail : jails) {
            const auto& syslog = jail.config->syslog;
            bool reads = syslog && std::ranges::any_of(syslog->listen, [&](const auto& one) {
                             return to_string(one) == address;
                         });
            if (!reads) continue;
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

void SyslogSource::hand_on(Listening& listening, const Address& sender, std::string_view lines,
                           LineTaker& taker, Instant now) {
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
    std::string name = local ? std::string() : to_string(sender);
    auto known = listening.clocks.find(name);
    LogClock fresh;
    LogClock& clock = known == listening.clocks.end() ? fresh : known->second;
    std::string source = to_string(address);
    std::string log = source + (local ? "" : " from " + name);
    taker.take({source, audience, Chunk{0, lines, from}, nullptr, &clock, log, true}, now);
    if (known != listening.clocks.end()) {
        if (clock.is_idle()) listening.clocks.erase(known);
    } else if (!clock.is_idle() && listening.clocks.size() < most_clocks) {
        listening.clocks.emplace(std::move(name), clock);
    }
}

std::vector<SyslogSource::Clock> SyslogSource::clocks(const SyslogListener& listener) const {
    std::vector<Clock> off;
    for (const auto& [address, listening] : listening_) {
        if (listening.listener.get() != &listener) continue;
        for (const auto& [sender, clock] : listening.clocks)
            if (clock.offset() != Duration{0}) off.push_back({sender, clock.offset()});
    }
    return off;
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
