// SPDX-License-Identifier: GPL-2.0-or-later
// The state on disk: log positions, windows, bans and offences, each checkpoint one SQLite
// transaction on a thread of its own. What is in it is always one moment between two turns. Its
// tables are described in store/database.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "os/credentials.h"
#include "os/fd.h"
#include "store/checkpoint.h"
#include "store/history.h"

namespace bandd {

class Store {
  public:
    // As root, before rights are dropped: `account` may write to file and companions, which exist.
    static Result<> prepare(const std::string& path, const SystemUser& account);

    // Locks the state (a second daemon on it is refused), opens it and starts the thread.
    // A file that is no database is moved aside; `warning` tells its new name, and the state is
    // new.
    static Result<Store> open(const std::string& path, std::string& warning);
    // Broken ones that are kept; more, and the oldest goes.
    static constexpr std::size_t most_aside = 4;
    // There was none, or a broken one.
    bool is_new() const;
    // For one that is opened again at once: what its log holds is folded in by the next one, as
    // that waits for the disk.
    void leave_log();
    // Without the lock, for a look beside a running daemon; nothing can be written.
    static Result<Store> open_to_read(const std::string& path);
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();  // waits for the write under way

    // `wants_all` then: it is broken, and what was restored may be half of it.
    Result<> load(const std::vector<std::string>& jails, const Restore& restore);
    // The same on the store's thread, in pieces, while others go on; `history_since` as in Restore.
    // `wants_all` once the last piece is there.
    void begin_load(const std::vector<std::string>& jails, Instant history_since);
    // The next one. Nothing: none is there yet, or the last one was taken. `wait`: for one to come.
    std::optional<Piece> next_piece(bool wait);
    int piece_fd() const;  // readable: there is one
    // What the state has of a key that may not have come yet, until the last piece was taken.
    // Nobody writes meanwhile.
    Changes find(const BanKey& key);
    // A note alone, for what must be known before `load`.
    std::optional<std::string> note(std::string_view name);
    // All jails that anything is stored of.
    Result<std::vector<std::string>> jails();

    // Asked of the store's thread; `then` is called by `take_result`, newest ban first. False: too
    // many questions wait already.
    static constexpr std::size_t most_questions = 64;
    bool find_history(HistoryQuery query, std::function<void(std::vector<PastBan>)> then);
    bool find_details(std::vector<PastBan> bans, std::function<void(std::vector<BanDetails>)> then);

    // One checkpoint at a time: call only while `idle`. A checkpoint that fails is tried again by
    // `retry` until it succeeds, so nothing of it is lost. If the state `wants_all`, it is broken,
    // or was taken away: a checkpoint that is `anew` takes the place of the one that failed. It is
    // written to a new file then, and the broken one is moved aside.
    bool idle() const;
    bool wants_all() const;
    void write(Checkpoint checkpoint);
    void retry();
    void wait();  // until idle or failed

    int fd() const;  // readable: a write ended, or a question was answered
    // Calls what answered questions are for. The error of the last write, nothing if it succeeded.
    std::optional<Error> take_result();
    // Once: where a broken state was moved to.
    std::optional<std::string> take_aside();
    bool failed() const;  // a checkpoint is waiting for `retry`

  private:
    struct Inside;
    explicit Store(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace bandd
