// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/loading.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace bandd {

Loading::Loading() : there_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Restore Loading::restore(Instant history_since) {
    Changes& changes = piece_.changes;
    Restore restore;
    restore.expect = [this](std::size_t bans) { piece_.bans = bans; };
    restore.account = [&](AccountChange account) {
        changes.accounts.push_back(std::move(account));
    };
    restore.counts = [&](JailIndex jail, const JailCounts& counts) {
        changes.counts.emplace_back(jail, counts);
    };
    restore.note = [this](std::string_view name, std::string_view value) {
        piece_.notes.emplace_back(name, value);
    };
    restore.position = [this](const FilePosition& at) { piece_.positions.push_back(at); };
    restore.history_since = history_since;
    restore.history = [&](const Unbanned& ended) { changes.ended_bans.push_back(ended); };
    restore.ban = [&, this](Ban ban) {
        changes.bans.push_back(std::move(ban));
        put_row();
    };
    restore.window = [&, this](const WindowChange& window) {
        changes.windows.push_back(window);
        put_row();
    };
    restore.offences = [&, this](const BanKey& key, const Offences& offences) {
        changes.offences.emplace_back(key, offences);
        put_row();
    };
    restore.fleet = [this](FleetRow row) {
        piece_.fleet.push_back(std::move(row));
        put_row();
    };
    return restore;
}

void Loading::put_row() {
    if (piece_.rows() >= rows_a_piece) put();
}

void Loading::put() {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return waiting_.size() < most_waiting || stopped_; });
    Piece piece = std::exchange(piece_, {});
    if (stopped_) return;
    waiting_.push_back(std::move(piece));
    changed_.notify_all();
    std::uint64_t one = 1;
    [[maybe_unused]] auto ignored = ::write(there_.get(), &one, sizeof one);
}

void Loading::end(std::optional<Error> error) {
    piece_.last = true;
    piece_.error = std::move(error);
    put();
}

std::optional<Piece> Loading::next(bool wait) {
    std::unique_lock hold(mutex_);
    if (wait) changed_.wait(hold, [&] { return !waiting_.empty() || ended_; });
    std::uint64_t count = 0;
    if (waiting_.size() <= 1) [[maybe_unused]]
        auto ignored = ::read(there_.get(), &count, sizeof count);
    if (waiting_.empty()) return {};
    Piece piece = std::move(waiting_.front());
    waiting_.pop_front();
    ended_ = piece.last;
    changed_.notify_all();
    return piece;
}

void Loading::stop() {
    std::lock_guard hold(mutex_);
    stopped_ = true;
    changed_.notify_all();
}

}  // namespace bandd
