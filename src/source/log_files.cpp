// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/log_files.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>

#include "os/clock.h"

namespace bandd {

LogFiles::~LogFiles() {
    if (watch_) loop_.remove(watch_->fd());
    if (mounts_) loop_.remove(mounts_.get());
}

Result<> LogFiles::start(const Config& config) {
    Watch::Limits limits;
    limits.line_limit = config.longest_line();
    auto watch = Watch::create(limits);
    if (!watch) return std::unexpected(watch.error());
    watch_ = std::make_unique<Watch>(std::move(*watch));
    // proc(5): this file is exceptional whenever something was mounted or unmounted.
    mounts_ = Fd(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    if (mounts_) [[maybe_unused]]
        auto added = loop_.add(mounts_.get(), EPOLLPRI,
                               [this](std::uint32_t) { watch_->look_again(now()); });
    return loop_.add(watch_->fd(), EPOLLIN, [this](std::uint32_t) { watch_->on_notify(now()); });
}

void LogFiles::configure(const Config& config, std::span<const SourceJail> jails,
                         SavedSources& saved, Instant now) {
    std::vector<WatchedLog> logs;
    std::vector<std::pair<JailIndex, std::size_t>> reads;  // the jail, and its place in `logs`
    for (const SourceJail& jail : jails)
        for (const LogSpec& spec : jail.config->logs) {
            auto known = std::ranges::find(logs, spec, &WatchedLog::spec);
            auto index = static_cast<std::size_t>(known - logs.begin());
            if (known == logs.end())
                logs.push_back({spec, Duration{0}, config.zones.at(spec.timezone)});
            logs[index].findtime = std::max(logs[index].findtime, jail.config->rules.findtime);
            reads.emplace_back(jail.number, index);
        }
    std::optional<FileId> own_log;
    if (config.log.target.find('/') != std::string::npos) own_log = file_id(config.log.target);
    auto numbers = watch_->set_logs(std::move(logs), std::move(saved.logs), own_log, now);
    jails_of_log_.clear();
    logs_of_jail_.clear();
    audiences_.clear();
    for (auto [jail, index] : reads) {
        logs_of_jail_[jail].push_back(numbers[index]);
        jails_of_log_[numbers[index]].insert(jail);
    }
}

const std::vector<std::size_t>& LogFiles::logs_of(JailIndex jail) const {
    static const std::vector<std::size_t> none;
    auto found = logs_of_jail_.find(jail);
    return found == logs_of_jail_.end() ? none : found->second;
}

const Audience& LogFiles::audience_of(const Reader& reader) {
    auto [known, is_new] = audiences_.try_emplace(reader.logs);
    if (is_new) {
        std::set<JailIndex> jails;
        for (std::size_t log : reader.logs)
            jails.insert(jails_of_log_[log].begin(), jails_of_log_[log].end());
        const LogSpec& spec = watch_->logs()[*reader.logs.begin()].spec;
        known->second = {{jails.begin(), jails.end()}, spec.timezone, spec.escapes};
    }
    return known->second;
}

void LogFiles::read(LineTaker& taker, Instant now) {
    watch_->read_ready(
        {[&](Reader& reader, const Readable& what) {
             return taker.take(
                 {watch_->logs()[*reader.logs.begin()].spec.path, audience_of(reader), what,
                  reader.backlog ? &*reader.backlog : nullptr, &reader.chain->clock(),
                  reader.tail.path(), reader.appended, reader.number},
                 now);
         },
         on_error_, taker.takes_parts()},
        now);
}

void LogFiles::take_changes(SourceChanges& changes, Instant now) {
    watch_->take_changes(changes.logs, changes.gone, now);
}

}  // namespace bandd
