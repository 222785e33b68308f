// SPDX-License-Identifier: GPL-2.0-or-later
// The rows of the state's tables: how each is written and read. For the thread that has the
// database.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "store/checkpoint.h"
#include "store/database.h"
#include "store/history.h"

namespace bandd {

// All of it, or nothing: one transaction. An error leaves it to be rolled back.
std::optional<Error> write_checkpoint(const std::string& path, sqlite3* database,
                                      const Checkpoint& checkpoint);

struct LoadResult {
    std::optional<Error> error;
    bool broken = false;  // the database is not whole
};
LoadResult load_state(const std::string& path, sqlite3* database,
                      const std::vector<std::string>& jails, const Restore& restore);

std::vector<PastBan> read_history(sqlite3* database, const HistoryQuery& query);
std::vector<BanDetails> read_details(sqlite3* database, const std::vector<PastBan>& bans);

}  // namespace bandd
