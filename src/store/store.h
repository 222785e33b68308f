// SPDX-License-Identifier: GPL-2.0-or-later
// The state on disk: log positions, windows, bans and offences, each checkpoint one SQLite
// transaction on a thread of its own. What is in it is always one moment between two turns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/decide/engine.h"
#include "os/fd.h"

namespace bandd {

// A log position as it is stored; `source/tail` gives these numbers their meaning.
struct StoredPosition {
    std::string path;
    std::uint64_t device = 0, inode = 0, offset = 0;
    bool skipping = false;
    std::uint32_t fingerprint_length = 0;
    std::uint64_t fingerprint_hash = 0;
    bool operator==(const StoredPosition&) const = default;
};

struct Checkpoint {
    std::vector<std::string> jails;  // names of the indexes in `changes`
    Instant at;
    Changes changes;
    std::vector<StoredPosition> positions;                      // changed ones
    std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;  // device, inode: no longer read
    std::vector<std::pair<std::string, std::string>> notes;     // by name, whatever they mean
    Instant windows_before{INT64_MIN};   // windows whose last hit is older are forgotten
    Instant accounts_before{INT64_MIN};  // the same of accounts without a mark
    Instant offences_before{INT64_MIN};  // and offences, and ended bans
};

// Where the parts of a stored state go, in this order. What belongs to jails that are not among the
// names given is left out, and stays on disk until it is over.
struct Restore {
    std::function<void(std::size_t bans)> expect;
    std::function<void(Ban)> ban;  // its story has the reason only: see `find_details`
    std::function<void(const WindowChange&)> window;
    std::function<void(const BanKey&, const Offences&)> offences;
    std::function<void(AccountChange)> account;
    std::function<void(JailIndex, const JailCounts&)> counts;
    std::function<void(Instant)> written;  // when the last checkpoint was taken
    std::function<void(const StoredPosition&)> position;
    std::function<void(std::string_view name, std::string_view value)> note;
    std::function<void(const Unbanned&)> history;  // may be empty: then it is not read
    Instant history_since{INT64_MIN};              // bans that ended since
};

// A ban that stands or stood.
struct PastBan {
    std::string jail;
    Prefix prefix;
    Instant from, until;
    std::optional<Instant> ended;  // nothing: it stands
    Unbanned::Why why = Unbanned::Why::expired;
    std::uint32_t offence = 1, hits = 0;
    bool by_hand = false;
    std::string reason;
};
struct HistoryQuery {
    std::optional<Prefix> within;
    std::string jail;  // empty: all
    Instant since{INT64_MIN};
    std::size_t limit = 1000;
};
struct BanDetails {
    std::vector<Match> matches;
    Fields fields;
};

class Store {
  public:
    // As root, before rights are dropped: file and companions exist and belong to `uid`.
    static Result<> prepare(const std::string& path, uid_t uid, gid_t gid);

    // Locks the state (a second daemon on it is refused), opens it and starts the thread.
    // A file that is no database is moved aside; `warning` tells its new name, and the state is
    // new.
    static Result<Store> open(const std::string& path, std::string& warning);
    // A database found to be broken while it was read: moved aside by hand, as `open` does by
    // itself. Gives its new name. Only while no Store has it open.
    static Result<std::string> set_aside(const std::string& path);
    bool broken() const;  // found by the last `load`
    // Without the lock, for a look beside a running daemon; nothing can be written.
    static Result<Store> open_to_read(const std::string& path);
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();  // waits for the write under way

    Result<> load(const std::vector<std::string>& jails, const Restore& restore);
    // All jails that anything is stored of.
    Result<std::vector<std::string>> jails();

    // Asked of the store's thread; `then` is called by `take_result`, newest ban first. False: too
    // many questions wait already.
    static constexpr std::size_t most_questions = 64;
    bool find_history(HistoryQuery query, std::function<void(std::vector<PastBan>)> then);
    bool find_details(std::vector<PastBan> bans, std::function<void(std::vector<BanDetails>)> then);

    // One checkpoint at a time: call only while `idle`. A checkpoint that fails is tried again by
    // `retry` until it succeeds, so nothing of it is lost.
    bool idle() const;
    void write(Checkpoint checkpoint);
    void retry();
    void wait();  // until idle or failed

    int fd() const;  // readable: a write ended, or a question was answered
    // Calls what answered questions are for. The error of the last write, nothing if it succeeded.
    std::optional<Error> take_result();
    bool failed() const;  // a checkpoint is waiting for `retry`

  private:
    struct Inside;
    explicit Store(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace bandd
