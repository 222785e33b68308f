// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/checkpointer.h"

#include <sys/epoll.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "core/decide/engine.h"
#include "daemon/fleet.h"
#include "daemon/notes.h"
#include "daemon/overrides.h"
#include "daemon/pipeline.h"
#include "os/clock.h"
#include "os/log.h"
#include "os/loop.h"
#include "os/memory.h"
#include "source/sources.h"
#include "store/store.h"

namespace bandd {
Result<std::unique_ptr<Checkpointer>> Checkpointer::start(Parts parts, std::unique_ptr<Store> store,
                                                          bool lost,
                                                          std::function<void()> on_first) {
    std::unique_ptr<Checkpointer> made(
        new Checkpointer(parts, std::move(store), lost, std::move(on_first)));
    if (auto listening = made->listen(); !listening) return std::unexpected(listening.error());
    return made;
}

Checkpointer::Checkpointer(Parts parts, std::unique_ptr<Store> store, bool lost,
                           std::function<void()> on_first)
    : parts_(parts), store_(std::move(store)), lost_(lost), on_first_(std::move(on_first)) {}

Checkpointer::~Checkpointer() = default;

Result<> Checkpointer::listen() {
    return parts_.loop.add(store_->fd(), EPOLLIN, [this](std::uint32_t) { on_stored(); });
}

void Checkpointer::on_lost() {
    lost_ = true;
    write_soon();
}

void Checkpointer::write_soon() {
    dirty_ = soon_ = true;
    last_ = now() - parts_.config.checkpoint;
}

// Its end wakes the loop.
bool Checkpointer::waits_for_store() const {
    return soon_ && !store_->idle() && !store_->failed() && !store_->wants_all();
}

Duration Checkpointer::pause() const {
    return store_->failed() ? retry_pause : parts_.config.checkpoint;
}

void Checkpointer::on_turn(Instant now) {
    std::uint64_t lines = parts_.pipeline.counts().lines;
    if (std::exchange(seen_lines_, lines) != lines) dirty_ = true;
    if (now < last_) last_ = now;  // the clock was set back
    if (forgetting_) forget_details();
    if (taking_) return take_slice(now);
    bool wanted = dirty_ || store_->failed() || store_->wants_all();
    if (!wanted || now < last_ + pause()) return;
    // One that is wanted soon while another is written comes right after it.
    if (waits_for_store()) return;
    last_ = now;
    begin(now);
}

std::optional<Instant> Checkpointer::next_deadline(Instant now) const {
    if (taking_ || forgetting_) return now;
    if (store_->failed()) return std::max(now, last_ + pause());
    if (dirty_ && !waits_for_store()) return last_ + pause();
    return {};
}

void Checkpointer::take_notes(Checkpoint& checkpoint, const std::string& journal_cursor) {
    auto take = [&](const char* name, const std::string& value, std::string& written) {
        if (value == written) return;
        checkpoint.notes.emplace_back(name, value);
        written = value;
    };
    take(notes::journal, journal_cursor, written_.journal);
    take(notes::conversations, parts_.engine.conversations(), written_.conversations);
    take(notes::sessions, parts_.engine.sessions(), written_.sessions);
    take(notes::waiting, parts_.engine.waiting_hits(), written_.waiting);
    take(notes::read_until, notes::from_time(parts_.pipeline.read_until()), written_.read_until);
    auto take_version = [&](std::string_view name, const auto& of, std::uint64_t& written) {
        if (of.version() == written) return;
        checkpoint.notes.emplace_back(name, of.save());
        written = of.version();
    };
    take_version(notes::health, parts_.pipeline.health(), written_.health);
    take_version(overrides_note, parts_.overrides, written_.overrides);
}

// The store has one at a time, and keeps one that failed.
void Checkpointer::begin(Instant now) {
    bool anew = store_->wants_all();
    if (!anew && store_->failed()) store_->retry();
    if (!store_->idle() && !(anew && store_->failed())) return;
    if (anew) {  // what is on disk is lost, but not what is remembered
        parts_.sources.mark_all_changed();
        parts_.engine.mark_all_changed();
        if (parts_.fleet != nullptr) parts_.fleet->mark_all_changed();
        written_ = {};
    }
    taking_ = std::make_unique<Checkpoint>();
    taking_->anew = anew;
    left_ = waiting_changes();
    take_slice(now);
}

std::size_t Checkpointer::waiting_changes() const {
    std::size_t waiting = parts_.engine.waiting_changes();
    if (parts_.fleet != nullptr) waiting += parts_.fleet->waiting_rows();
    return waiting;
}

void Checkpointer::take_slice(Instant now) {
    std::size_t waiting = waiting_changes();
    std::size_t grown = waiting > left_ ? waiting - left_ : 0;
    Changes changes = parts_.engine.take_changes(slice + grown);
    if (parts_.fleet != nullptr) parts_.fleet->take_rows(taking_->fleet, slice + grown);
    left_ = waiting_changes();
    freed_ += changes.bans.size() + changes.ended_bans.size();
    if (left_ > 0) {
        taking_->earlier.push_back(std::move(changes));
        return;
    }
    taking_->changes = std::move(changes);
    complete(now);
}

// The moment that the checkpoint is of.
void Checkpointer::complete(Instant now) {
    Checkpoint& checkpoint = *taking_;
    const Engine& engine = parts_.engine;
    checkpoint.jails = engine.jail_names();
    checkpoint.at = now;
    SourceChanges read = parts_.sources.take_changes(now);
    checkpoint.positions = std::move(read.logs);
    checkpoint.gone = std::move(read.gone);
    take_notes(checkpoint, read.journal_cursor);
    Duration longest{0};
    for (JailIndex jail : engine.jails()) longest = std::max(longest, engine.rules(jail).findtime);
    const AccountLimits& limits = parts_.config.access.rules.accounts;
    Duration accounts = std::max(limits.findtime, limits.notice_every);
    checkpoint.windows_before = now - longest * 2;
    checkpoint.accounts_before = now - std::max(longest, accounts) * 2;
    checkpoint.offences_before = now - parts_.config.dbpurgeage;
    dirty_ = soon_ = false;
    checkpoint.must_last = std::exchange(must_last_, false);
    last_ = now;
    for (Waiting& one : waiting_) one.taken = true;
    if (Fleet* fleet = parts_.fleet; fleet != nullptr)
        settle_fleet_ = [this, ticket = fleet->ticket()] {
            parts_.fleet->settle(ticket, bandd::now());
        };
    bool writes = !checkpoint.empty();
    if (writes) store_->write(std::move(checkpoint));
    taking_.reset();
    if (!writes && store_->idle()) {
        settle_fleet();
        tell_written();
    }
    for (const auto& then : std::exchange(handed_over_, {})) then();
}

void Checkpointer::hand_over(Instant now, std::function<void()> then) {
    if (!taking_) begin(now);
    if (taking_)
        handed_over_.push_back(std::move(then));
    else
        then();
}

void Checkpointer::when_written(Instant now, Written then) {
    waiting_.push_back({now + longest_wait, std::move(then)});
    write_for_good();
}

// What they call may ask for more.
void Checkpointer::tell(const std::function<bool(const Waiting&)>& ready,
                        const std::optional<Error>& why_not) {
    std::vector<Waiting> asked = std::exchange(waiting_, {});
    auto is_told = std::ranges::stable_partition(asked, std::not_fn(ready));
    std::move(asked.begin(), is_told.begin(), std::back_inserter(waiting_));
    for (const Waiting& one : is_told) one.then(why_not);
}

void Checkpointer::answer_late(Instant now) {
    if (waiting_.empty()) return;
    auto why_not = error_;
    if (why_not) tell([](const Waiting& one) { return !one.taken; }, why_not);
    auto over = [&](const Waiting& one) { return one.until <= now; };
    if (std::ranges::any_of(waiting_, over))
        tell(over, Error{"state \"" + parts_.config.state + "\"",
                         "is not written yet",
                         "the disk is slow, or much is written: see bandctl status",
                         {}});
}

std::optional<Instant> Checkpointer::next_answer() const {
    if (waiting_.empty()) return {};
    return std::ranges::min(waiting_, {}, &Waiting::until).until;
}

void Checkpointer::settle_fleet() {
    if (auto settle = std::exchange(settle_fleet_, {})) settle();
}

void Checkpointer::tell_written() {
    tell([](const Waiting& one) { return one.taken; }, error_);
}

void Checkpointer::finish(Instant now) {
    store_->wait();
    // A second time for one that failed, and what came after it; a third one for a lost state.
    for (int i = 0; i < 3; ++i) {
        if (!taking_) begin(now);
        while (taking_) take_slice(now);
        store_->wait();
    }
    if ((error_ = store_->take_result())) parts_.log.put(Severity::error, to_line(*error_));
    tell_written();
}

void Checkpointer::on_stored() {
    auto error = store_->take_result();
    if (error && (!error_ || to_line(*error_) != to_line(*error)))
        parts_.log.put(Severity::error, to_line(*error));
    if (!error && error_)
        parts_.log.write(Severity::notice, "state \"{}\" is written again", parts_.config.state);
    error_ = std::move(error);
    if (auto aside = store_->take_aside())
        parts_.log.write(Severity::warning,
                         "state \"{}\" is broken; it was moved to \"{}\", and what bandd remembers "
                         "is written to a new one",
                         parts_.config.state, *aside);
    if (auto first = std::exchange(on_first_, {})) first();
    if (store_->idle() && !error_) settle_fleet();
    if (store_->idle() || store_->failed()) tell_written();
    if (store_->idle() && !error_ && !taking_) forgetting_ = true;
}

// Whoever is told of the end of a ban may be told what led to it, too.
void Checkpointer::forget_details() {
    auto tells = [](const ActionConfig& action) {
        return std::holds_alternative<ExecAction>(action) ||
               std::holds_alternative<SyslogAction>(action);
    };
    std::vector<JailIndex> telling;
    for (std::size_t i = 0; JailIndex jail : parts_.engine.jails())
        if (std::ranges::any_of(parts_.config.jails[i++].actions, tells)) telling.push_back(jail);
    forgetting_ = parts_.engine.forget_details(details_a_turn, telling);
    if (forgetting_) return;
    // The last of many are few, perhaps.
    bool many = freed_ >= worth_giving_back;
    if (!std::exchange(many_freed_, many) && !many) return;
    freed_ = 0;
    release_free_memory();
}

}  // namespace bandd
