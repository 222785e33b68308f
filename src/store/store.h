// SPDX-License-Identifier: GPL-2.0-or-later
// The state on disk: log positions, windows, bans and offences, each checkpoint one SQLite
// transaction on a thread of its own. What is in it is always one moment between two turns.
#pragma once

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
    Changes changes;
    std::vector<StoredPosition> positions;                      // changed ones
    std::vector<std::pair<std::uint64_t, std::uint64_t>> gone;  // device, inode: no longer read
    Instant windows_before;   // windows whose last hit is older are forgotten
    Instant offences_before;  // and offences
};

// Everything that was stored, by the jail names given; what belongs to other jails is left out of
// it, and stays on disk until it is over.
struct StoredState {
    std::vector<Ban> bans;
    std::vector<WindowChange> windows;
    std::vector<std::pair<BanKey, Offences>> offences;
    std::vector<StoredPosition> positions;
};

class Store {
  public:
    // As root, before rights are dropped: file and companions exist and belong to `uid`.
    static Result<> prepare(const std::string& path, uid_t uid, gid_t gid);

    // Locks the state (a second daemon on it is refused), opens it and starts the thread.
    // A file that is no database is moved aside; `warning` tells its new name.
    static Result<Store> open(const std::string& path, std::string& warning);
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();  // waits for the write under way

    Result<StoredState> load(const std::vector<std::string>& jails);

    // One checkpoint at a time: call only while `idle`. A checkpoint that fails is tried again by
    // `retry` until it succeeds, so nothing of it is lost.
    bool idle() const;
    void write(Checkpoint checkpoint);
    void retry();
    void wait();  // until idle or failed

    int fd() const;                      // readable: a write ended
    std::optional<Error> take_result();  // of the last write; nothing: it succeeded
    bool failed() const;                 // a checkpoint is waiting for `retry`

  private:
    struct Inside;
    explicit Store(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace bandd
