// SPDX-License-Identifier: GPL-2.0-or-later
// The database that the state is: its tables, and SQLite as a type. Times are microseconds since
// 1970, UTC. Numbers in blobs are as the processor has them (little endian on all that Debian runs
// on), as a state stays on its machine.
//
//   files      a row a file of a log, by its number in the log's chain (source/chain.h): its
//              inode (device, inode), beside what it was (path), how far it is read (offset,
//              bytes), whether the rest of a line that was too long is left out (skipping), a hash
//              of its first bytes, which tells a reused inode, and whether it was let go (gone).
//              The row with number 0 is the log's first look: `modified` before that is old
//   windows    a row a key that is counted and not banned: the times of its hits. `last` is the
//              newest of them. `vals` has as many hashes if different values count, else nothing.
//              Of a wider IPv6 prefix (ipv6_escalation) `vals` are the first 64 bits of its
//              offenders, `times` those of their last hits
//   bans       a row a ban that is in force
//   history    a row a ban that has ended: `ended` says when, `why` is Unbanned::Why
//   matches    the lines that led to a ban, numbered from 0
//   fields     what the filter captured from the deciding line
//   counts     a row a jail: what `bandctl status` shows
//   offences   how often a prefix was banned, by jail, and with an empty jail over all
//   accounts   a row an account: AccountTable::dump in `data`; `last` login; `marked` by hand
//   meta       'written': when the last checkpoint was taken; 'note NAME': what a part of the
//   daemon
//              keeps for itself, as the journal's cursor
//
// `jail` is always its name. `prefix` is a blob of 17 bytes: 16 of the network (IPv4 as
// ::ffff:a.b.c.d) and its length (of IPv4: 0 to 32). The window of 203.0.113.9 in jail sshd, after
// hits at 10:00:00 and 10:01:01 of 2026-11-21:
//
//   jail    sshd
//   prefix  00000000 00000000 0000ffff cb007109 20
//   last    1795255261000000
//   times   00287a6c c6600600  40f11c70 c6600600
//   vals    (empty)
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

// What SQLite said of a call that failed.
struct SqliteFailure {
    int code = 0;  // an extended one
    std::string message;
    // It is the database that is not as it should be: not the disk, the rights or the memory.
    bool is_broken() const;
};

// A connection to the database. It keeps the first failure of its calls: SQLite itself knows that
// of the last call only, and a statement that is let go is a call.
class Connection {
  public:
    Connection() = default;
    explicit Connection(sqlite3* raw) : raw_(raw) {}

    sqlite3* raw() const { return raw_.get(); }
    // Of a call that has ended with `code`. True: it did what it should.
    bool check(int code);
    bool execute(const char* sql);
    const std::optional<SqliteFailure>& failure() const { return failure_; }
    std::optional<SqliteFailure> take_failure() { return std::exchange(failure_, {}); }
    void close() { raw_.reset(); }
    // Its tables were made by `open_database`: there was nothing.
    bool is_new() const { return new_; }
    void set_new() { new_ = true; }
    // The file is on the disk: what is synced in its log is not lost with it.
    bool was_synced() const { return !new_ || synced_; }
    void set_synced() { synced_ = true; }
    // What SQLite has in its memory hides what somebody wrote over the file: looks at its first
    // bytes.
    bool begins_well() const;

  private:
    struct Close {
        void operator()(sqlite3* raw) const { sqlite3_close(raw); }
    };
    std::unique_ptr<sqlite3, Close> raw_;
    bool new_ = false, synced_ = false;
    std::optional<SqliteFailure> failure_;
};

// Why, and what to do.
Error state_error(const std::string& path, const char* doing, const SqliteFailure& failure);

// Opens it, makes its tables or brings those of an older version up to date. One of a newer version
// is refused.
struct Unopened {
    Error error;
    bool broken = false;  // it is no state
};
std::expected<Connection, Unopened> open_database(const std::string& path);
// By itself SQLite folds its log into the tables at 4 MiB. On a small disk that may be never: the
// log fills it, and then there is no room to fold it in either.
void leave_room(const std::string& path, Connection& database);
// Gives four mebibytes of the file back to the system, if a quarter of it is free: what is used of
// its end is written once more, so not for less. True: it did, and there may be more. A database
// that an older bandd made does not get smaller, but its free pages are used again.
bool give_back(Connection& database);

std::string prefix_bytes(const Prefix& prefix);
std::optional<Prefix> prefix_from(std::string_view bytes);

// A prepared statement: bind in order, then `run` or `step`. The connection keeps what fails.
class Statement {
  public:
    Statement(Connection& connection, const char* sql) : connection_(connection) {
        connection_.check(sqlite3_prepare_v3(connection_.raw(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                             &statement_, nullptr));
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(statement_); }

    Statement& integer(std::int64_t value) {
        sqlite3_bind_int64(statement_, ++bound_, value);
        return *this;
    }
    Statement& text(std::string_view value) {
        // A null pointer would bind NULL, not the empty text.
        sqlite3_bind_text(statement_, ++bound_, value.empty() ? "" : value.data(),
                          static_cast<int>(value.size()), SQLITE_STATIC);
        return *this;
    }
    Statement& blob(std::string_view value) {
        sqlite3_bind_blob(statement_, ++bound_, value.empty() ? "" : value.data(),
                          static_cast<int>(value.size()), SQLITE_STATIC);
        return *this;
    }
    bool run() {
        bound_ = 0;
        if (statement_ == nullptr) return false;
        bool good = connection_.check(sqlite3_step(statement_));
        sqlite3_reset(statement_);
        return good;
    }
    // True: there is a row. False: there is none any more, or it failed.
    bool step() {
        bound_ = 0;
        if (statement_ == nullptr) return false;
        int code = sqlite3_step(statement_);
        return connection_.check(code) && code == SQLITE_ROW;
    }
    void reset() { sqlite3_reset(statement_); }

    bool is_null(int column) const {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL;
    }
    std::int64_t integer_at(int column) const { return sqlite3_column_int64(statement_, column); }
    double real_at(int column) const { return sqlite3_column_double(statement_, column); }
    std::string_view bytes_at(int column) const {
        const void* data = sqlite3_column_blob(statement_, column);
        return {static_cast<const char*>(data),
                static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }

  private:
    Connection& connection_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

}  // namespace bandd
