// SPDX-License-Identifier: GPL-2.0-or-later
// The rows of the state's tables: how each is written and read. For the thread that has the
// database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/database.h"
#include "store/history.h"

namespace bandd {

// All of it, or nothing: one transaction. What fails is the connection's failure.
bool write_checkpoint(Connection& database, const Checkpoint& checkpoint);
// As far as it can be read; what fails is the connection's failure.
void load_state(Connection& database, const std::vector<std::string>& jails,
                const Restore& restore);

// What the state has of single keys.
class KeyReader {
  public:
    // A connection of its own.
    KeyReader(Connection connection, const std::vector<std::string>& jails);
    ~KeyReader();
    // A ban, a window and offences, as far as there are some; of `any_jail` offences.
    Changes find(const BanKey& key);

  private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

std::vector<PastBan> read_history(Connection& database, const HistoryQuery& query);
std::vector<BanDetails> read_details(Connection& database, const std::vector<PastBan>& bans);

}  // namespace bandd
