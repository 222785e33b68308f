// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/restorer.h"

#include <sys/epoll.h>

#include "action/dispatch.h"
#include "core/decide/engine.h"
#include "daemon/fleet.h"
#include "daemon/notes.h"
#include "daemon/pipeline.h"
#include "os/log.h"
#include "os/loop.h"
#include "store/store.h"

namespace bandd {

std::optional<SavedSources> Restorer::begin(Instant now) {
    SavedSources saved;
    Store& store = parts_.store;
    store.begin_load(parts_.engine.jail_names(), now - lateness);
    restoring_ = true;
    bool first = true;
    for (std::size_t rows = 0; restoring_ && rows < at_once;) {
        Piece piece = *store.next_piece(true);
        if (std::exchange(first, false)) take_head(piece, saved);
        rows += piece.rows();
        take(std::move(piece), now);
    }
    if (!restoring_) {
        if (store.wants_all()) return {};
        return saved;
    }
    beside_ = true;
    parts_.engine.set_recall([this](const BanKey& key) { recall(key); });
    parts_.dispatch.begin_restoring();
    parts_.pipeline.begin_restoring([this] { return recalled_.size() >= most_recalled; });
    [[maybe_unused]] auto added = parts_.loop.add(store.piece_fd(), EPOLLIN, [](std::uint32_t) {});
    return saved;
}

void Restorer::take_head(Piece& piece, SavedSources& saved) {
    Engine& engine = parts_.engine;
    engine.expect_bans(piece.bans);
    for (auto& [name, value] : piece.notes) {
        if (name == notes::journal) saved.journal_cursor = value;
        if (name == notes::conversations) engine.restore_conversations(value);
        if (name == notes::sessions) engine.restore_sessions(value);
        if (name == notes::waiting) engine.restore_waiting_hits(value);
        if (name == notes::health) parts_.pipeline.health().restore(value);
        if (name == notes::read_until)
            if (auto at = notes::to_time(value)) parts_.pipeline.resume(*at);
    }
    saved.logs = std::move(piece.positions);
    for (AccountChange& account : piece.changes.accounts)
        engine.restore_account(std::move(account));
    for (const auto& [jail, counts] : piece.changes.counts) engine.restore_counts(jail, counts);
    for (const Unbanned& ended : piece.changes.ended_bans)
        if (ended.why == Unbanned::Why::expired) engine.restore_ended(ended);
}

// A ban of what is exempt is none that a set gets to see.
void Restorer::restore(Changes& changes, Instant now) {
    constexpr std::size_t in_time = 8;  // so many bans take about as long as memory does
    Engine& engine = parts_.engine;
    slots_.clear();
    for (std::size_t i = 0; i < changes.bans.size(); ++i) {
        if (i + in_time < changes.bans.size())
            engine.bans().fetch_place(changes.bans[i + in_time].key);
        if (!is_recalled(changes.bans[i].key))
            slots_.push_back(engine.restore_ban(std::move(changes.bans[i])));
    }
    for (const WindowChange& window : changes.windows)
        if (!is_recalled(window.key)) engine.restore_window(window);
    for (const auto& [key, offences] : changes.offences)
        if (!is_recalled(key)) engine.restore_offences(key, offences);
    if (!beside_ || slots_.empty()) return;
    Outcome outcome;
    engine.lift_exempt(slots_, now, outcome);
    parts_.pipeline.put(outcome, now);
    parts_.dispatch.on_restored(slots_);
}

void Restorer::take(Piece piece, Instant now) {
    restore(piece.changes, now);
    if (parts_.fleet != nullptr)
        for (const FleetRow& row : piece.fleet) parts_.fleet->restore(row);
    if (!piece.last) return;
    if (piece.error) parts_.log.put(Severity::error, to_line(*piece.error));
    end();
}

void Restorer::recall(const BanKey& key) {
    if (!recalled_.insert(key).second) return;
    Changes found = parts_.store.find(key);
    Engine& engine = parts_.engine;
    for (Ban& ban : found.bans) {
        if (engine.bans().find(key) != nullptr) continue;  // it had come
        std::uint32_t slot = engine.restore_ban(std::move(ban));
        parts_.dispatch.on_restored({&slot, 1});
    }
    for (const WindowChange& window : found.windows) engine.restore_window(window);
    for (const auto& [one, offences] : found.offences) engine.restore_offences(one, offences);
    if (key.jail != any_jail) recall({any_jail, key.prefix});
}

void Restorer::on_turn(Instant now) {
    if (!restoring_) return;
    auto piece = parts_.store.next_piece(false);
    if (!piece) return;
    take(std::move(*piece), now);
    parts_.loop.again();
}

void Restorer::finish(Instant now) {
    while (restoring_) take(*parts_.store.next_piece(true), now);
}

void Restorer::end() {
    restoring_ = false;
    recalled_ = {};
    slots_ = {};
    parts_.engine.set_recall({});
    parts_.pipeline.end_restoring();
    if (beside_) parts_.loop.remove(parts_.store.piece_fd());
}

}  // namespace bandd
