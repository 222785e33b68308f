// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/geoblocker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "facts/databases.h"
#include "os/clock.h"

namespace bandd {
namespace {

// On the thread.
GeoblockReport carry_out(const std::vector<GeoblockConfig>& configs,
                         const std::vector<std::string>& databases) {
    GeoblockReport report;
    std::vector<Geoblock> blocks;
    for (const GeoblockConfig& config : configs) {
        auto networks = networks_of(databases, config.countries, config.all_but);
        if (!networks) {
            report.error = networks.error();
            return report;
        }
        std::vector<AddressRange> except;
        for (const Prefix& prefix : config.except) except.push_back(range_of(prefix));
        blocks.push_back({config, subtract_ranges(*networks, merge_ranges(std::move(except)))});
        report.networks.emplace_back(config.name, blocks.back().ranges.size());
    }
    if (auto put = put_geoblocks(blocks); !put) {
        report.error = put.error();
        report.networks.clear();
    }
    return report;
}

}  // namespace

Result<std::unique_ptr<Geoblocker>> Geoblocker::start(Loop& loop, OnDone on_done) {
    auto watch = GeoblockWatch::open();
    if (!watch) return std::unexpected(watch.error());
    Fd done(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!done) return fail_errno("eventfd");
    return std::unique_ptr<Geoblocker>(
        new Geoblocker(loop, std::move(*watch), std::move(done), std::move(on_done)));
}

Geoblocker::Geoblocker(Loop& loop, GeoblockWatch watch, Fd done, OnDone on_done)
    : loop_(loop), watch_(std::move(watch)), done_(std::move(done)), on_done_(std::move(on_done)) {
    [[maybe_unused]] auto first =
        loop_.add(done_.get(), EPOLLIN, [this](std::uint32_t) { finish(); });
    [[maybe_unused]] auto second = loop_.add(watch_.fd(), EPOLLIN, [this](std::uint32_t) {
        if (watch_.was_changed()) begin();
    });
}

Geoblocker::~Geoblocker() {
    if (thread_.joinable()) thread_.join();
    loop_.remove(done_.get());
    loop_.remove(watch_.fd());
}

void Geoblocker::set(std::vector<GeoblockConfig> blocks, std::vector<std::string> databases) {
    blocks_ = std::move(blocks);
    databases_ = std::move(databases);
    begin();
}

void Geoblocker::begin() {
    if (running_) {
        again_ = true;
        return;
    }
    running_ = true;
    again_ = false;
    retry_at_.reset();
    // Our own transaction would wake us for each of its elements.
    watch_.pause();
    thread_ = std::thread([this, blocks = blocks_, databases = databases_] {
        report_ = carry_out(blocks, databases);
        std::uint64_t one = 1;
        [[maybe_unused]] auto ignored = ::write(done_.get(), &one, sizeof one);
    });
}

void Geoblocker::finish() {
    std::uint64_t count = 0;
    [[maybe_unused]] auto ignored = ::read(done_.get(), &count, sizeof count);
    if (!running_) return;
    thread_.join();
    running_ = false;
    if (report_.error) retry_at_ = now() + pause;
    if (auto listening = watch_.resume(); !listening) retry_at_ = now() + pause;
    on_done_(report_);
    // Whoever took our table away while we did not listen is found out here.
    if (!report_.error && !blocks_.empty() && !geoblocks_stand()) again_ = true;
    if (again_) begin();
}

void Geoblocker::on_time(Instant now) {
    if (retry_at_ && *retry_at_ <= now) begin();
}

void Geoblocker::clear() {
    if (thread_.joinable()) thread_.join();
    running_ = false;
    watch_.pause();
    [[maybe_unused]] auto said_by_nobody = put_geoblocks({});
}

}  // namespace bandd
