// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/geoip.h"

#include <sys/epoll.h>

#include "config/types.h"
#include "os/log.h"
#include "os/loop.h"

namespace bandd {

Result<std::unique_ptr<Geoip>> Geoip::start(Loop& loop, const Config& config,
                                            StartKernel start_kernel, Log& log) {
    auto files = ReplacedFiles::create();
    if (!files) return std::unexpected(files.error());
    std::unique_ptr<Geoip> made(new Geoip(std::move(*files), loop, config, start_kernel, log));
    // Watched before they are opened, so that no change between the two is missed.
    made->files_.set_files(config.geoip);
    auto opened = GeoDatabases::open(config.geoip);
    if (!opened) return std::unexpected(opened.error());
    made->facts_ = std::move(*opened);
    auto added = loop.add(made->files_.fd(), EPOLLIN,
                          [geoip = made.get()](std::uint32_t) { geoip->on_notice(); });
    if (!added) return std::unexpected(added.error());
    // It is asked later, in `prepare_blocks`, so that nothing waits for its start. Without the
    // right to know there are none.
    if (config.geoblocks.empty()) {
        made->finder_.emplace(start_kernel);
        if (!made->finder_->connect()) made->finder_.reset();
    }
    return made;
}

void Geoip::take(GeoDatabases fresh) {
    facts_ = std::move(fresh);
    files_.set_files(config_.geoip);
}

void Geoip::on_notice() {
    if (!files_.were_replaced()) return;
    auto fresh = GeoDatabases::open(config_.geoip);
    if (!fresh) {
        log_.write(Severity::error, "{}; the databases that were open are used further",
                   to_line(fresh.error()));
        return;
    }
    take(std::move(*fresh));
    log_.write(Severity::notice, "geoip databases were replaced, and opened anew");
    make_blocks();
}

Result<> Geoip::prepare_blocks(const Config& fresh) {
    if (finder_) stale_ = finder_->start() && finder_->stand().value_or(false);
    finder_.reset();
    if (blocker_ || (fresh.geoblocks.empty() && !stale_)) return {};
    auto started = Geoblocker::start(loop_, start_kernel_,
                                     [this](const GeoblockReport& report) { say(report); });
    if (!started) return std::unexpected(started.error());
    blocker_ = std::move(*started);
    return {};
}

void Geoip::make_blocks() {
    if (blocker_) blocker_->set(config_.geoblocks, config_.geoip);
}

void Geoip::say(const GeoblockReport& report) {
    blocks_ = report;
    for (const auto& [name, networks] : report.networks)
        log_.write(Severity::notice, "geoblock {}: {} networks are kept out", name, networks);
    if (report.error)
        log_.write(Severity::error, "{}; it is tried again in {}", to_line(*report.error),
                   format_duration(Geoblocker::pause));
}

std::optional<Instant> Geoip::next_deadline() const {
    return blocker_ ? blocker_->next_deadline() : std::nullopt;
}

void Geoip::on_time(Instant now) {
    if (blocker_) blocker_->on_time(now);
}

void Geoip::clear_blocks() {
    if (blocker_) blocker_->clear();
}

}  // namespace bandd
