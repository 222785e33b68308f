// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/geoblocker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "facts/databases.h"
#include "os/clock.h"

namespace bandd {
namespace {

// On the thread.
GeoblockReport carry_out(KernelGeoblocks& kernel, const std::vector<GeoblockConfig>& configs,
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
    if (auto put = kernel.put(blocks); !put) {
        report.error = put.error();
        report.networks.clear();
    }
    return report;
}

}  // namespace

Result<std::unique_ptr<Geoblocker>> Geoblocker::start(Loop& loop, StartKernel start_kernel,
                                                      OnDone on_done) {
    Fd done(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!done) return fail_errno("eventfd");
    std::unique_ptr<Geoblocker> made(
        new Geoblocker(loop, std::move(start_kernel), std::move(done), std::move(on_done)));
    if (auto started = made->kernel_.start(); !started) return std::unexpected(started.error());
    return made;
}

Geoblocker::Geoblocker(Loop& loop, StartKernel start_kernel, Fd done, OnDone on_done)
    : loop_(loop),
      kernel_(std::move(start_kernel)),
      done_(std::move(done)),
      on_done_(std::move(on_done)) {
    [[maybe_unused]] auto added =
        loop_.add(done_.get(), EPOLLIN, [this](std::uint32_t) { finish(); });
}

Geoblocker::~Geoblocker() {
    kernel_.give_up();
    if (thread_.joinable()) thread_.join();
    loop_.remove(done_.get());
    ignore();
}

Result<> Geoblocker::listen() {
    listening_ = kernel_.fd();
    if (listening_ < 0) return {};
    return loop_.add(listening_, EPOLLIN, [this](std::uint32_t) {
        int fd = listening_;
        if (!kernel_.was_touched()) return;
        if (kernel_.fd() < 0) {  // it has ended, and its descriptor is closed
            loop_.remove(fd);
            listening_ = -1;
        }
        begin();
    });
}

void Geoblocker::ignore() {
    if (listening_ >= 0) loop_.remove(listening_);
    listening_ = -1;
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
    ignore();
    auto connected = kernel_.connect();
    thread_ = std::thread([this, connected, blocks = blocks_, databases = databases_] {
        if (connected)
            report_ = carry_out(kernel_, blocks, databases);
        else
            report_ = {{}, connected.error()};
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
    if (auto listening = listen(); !listening) retry_at_ = now() + pause;
    on_done_(report_);
    if (again_) begin();
}

void Geoblocker::on_time(Instant now) {
    if (retry_at_ && *retry_at_ <= now) begin();
}

void Geoblocker::clear() {
    kernel_.give_up();
    if (thread_.joinable()) thread_.join();
    kernel_.go_on();
    running_ = false;
    ignore();
    // An error is said by nobody: bandd ends.
    if (kernel_.start()) (void)kernel_.put({}, KernelGeoblocks::longest_start).has_value();
}

}  // namespace bandd
