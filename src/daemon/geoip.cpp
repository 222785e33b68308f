// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/geoip.h"

#include <sys/epoll.h>

#include "config/types.h"
#include "os/log.h"
#include "os/loop.h"

namespace bandd {

Result<std::unique_ptr<Geoip>> Geoip::start(Loop& loop, const Config& config, Log& log,
                                            std::function<void()> on_replaced) {
    auto files = ReplacedFiles::create();
    if (!files) return std::unexpected(files.error());
    std::unique_ptr<Geoip> made(new Geoip(std::move(*files), config, log, std::move(on_replaced)));
    // Watched before they are opened, so that no change between the two is missed.
    made->files_.set_files(config.geoip);
    auto opened = GeoDatabases::open(config.geoip);
    if (!opened) return std::unexpected(opened.error());
    made->facts_ = std::move(*opened);
    auto added = loop.add(made->files_.fd(), EPOLLIN,
                          [geoip = made.get()](std::uint32_t) { geoip->on_notice(); });
    if (!added) return std::unexpected(added.error());
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
    on_replaced_();
}

}  // namespace bandd
