// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/sources.h"

#include <algorithm>

namespace bandd {

template <typename Kind, typename... Args>
Kind* Sources::add(Args&&... args) {
    auto made = std::make_unique<Kind>(std::forward<Args>(args)...);
    Kind* kind = made.get();
    all_.push_back(std::move(made));
    return kind;
}

// The rows: a new kind of source is added here.
Sources::Sources(Loop& loop, Source::OnError on_error)
    : journal_(add<JournalSource>(loop, on_error)),
      files_(add<LogFiles>(loop, on_error)),
      syslog_(add<SyslogSource>(loop, on_error)),
      standard_input_(add<StandardInput>(loop)) {}

Result<> Sources::open(const Config& config, ListeningSockets& sockets, bool starting) {
    for (auto& source : all_)
        if (auto opened = source->open(config, sockets, starting); !opened) return opened;
    return {};
}

Result<> Sources::start(const Config& config) {
    for (auto& source : all_)
        if (auto started = source->start(config); !started) return started;
    return {};
}

void Sources::configure(const Config& config, std::span<const JailIndex> numbers,
                        SavedSources saved, Instant now) {
    std::vector<SourceJail> jails;
    for (std::size_t i = 0; i < config.jails.size(); ++i)
        jails.push_back({numbers[i], &config.jails[i]});
    for (auto& source : all_) source->configure(config, jails, saved, now);
}

bool Sources::is_ready() const {
    return std::ranges::any_of(all_, [](const auto& source) { return source->is_ready(); });
}

void Sources::read(LineTaker& taker, Instant now) {
    for (auto& source : all_) source->read(taker, now);
}

// The slowest of all.
std::optional<Instant> Sources::reached() const {
    std::optional<Instant> slowest;
    for (const auto& source : all_)
        if (auto reached = source->reached(); reached && (!slowest || *reached < *slowest))
            slowest = reached;
    return slowest;
}

void Sources::mark_all_changed() {
    for (auto& source : all_) source->mark_all_changed();
}

SourceChanges Sources::take_changes(Instant now) {
    SourceChanges changes;
    for (auto& source : all_) source->take_changes(changes, now);
    return changes;
}

std::optional<Instant> Sources::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& source : all_)
        if (auto due = source->next_deadline(); due && (!next || *due < *next)) next = due;
    return next;
}

void Sources::on_time(Instant now) {
    for (auto& source : all_) source->on_time(now);
}

}  // namespace bandd
