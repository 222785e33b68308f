// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/database.h"

#include <cstring>
#include <filesystem>

namespace bandd {
namespace {

constexpr int schema_version = 4;
constexpr const char* schema = R"(
CREATE TABLE windows(
    jail TEXT, prefix BLOB, last INTEGER NOT NULL, times BLOB NOT NULL, vals BLOB,
    PRIMARY KEY(jail, prefix)) WITHOUT ROWID;
CREATE INDEX windows_last ON windows(last);
CREATE TABLE bans(
    jail TEXT, prefix BLOB, begins INTEGER NOT NULL, ends INTEGER NOT NULL,
    offence INTEGER NOT NULL, hits INTEGER NOT NULL, by_hand INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY(jail, prefix)) WITHOUT ROWID;
CREATE TABLE history(
    jail TEXT, prefix BLOB, begins INTEGER, ends INTEGER NOT NULL, ended INTEGER NOT NULL,
    why INTEGER NOT NULL, offence INTEGER NOT NULL, hits INTEGER NOT NULL,
    by_hand INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY(jail, prefix, begins)) WITHOUT ROWID;
CREATE INDEX history_begins ON history(begins);
CREATE INDEX history_ended ON history(ended);
CREATE TABLE matches(
    jail TEXT, prefix BLOB, begins INTEGER, number INTEGER, time INTEGER NOT NULL,
    pattern TEXT NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY(jail, prefix, begins, number)) WITHOUT ROWID;
CREATE TABLE fields(
    jail TEXT, prefix BLOB, begins INTEGER, name TEXT, value BLOB NOT NULL,
    PRIMARY KEY(jail, prefix, begins, name)) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counts(
    jail TEXT PRIMARY KEY, hits INTEGER NOT NULL, ignored INTEGER NOT NULL,
    too_old INTEGER NOT NULL, already_banned INTEGER NOT NULL, bans INTEGER NOT NULL,
    unbans INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE offences(
    jail TEXT, prefix BLOB, count INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY(jail, prefix)) WITHOUT ROWID;
CREATE INDEX offences_last ON offences(last);
)";
// Of version 3; version 2 is brought up to date by it.
constexpr const char* accounts_schema = R"(
CREATE TABLE accounts(
    jail TEXT, user BLOB, last INTEGER NOT NULL, marked INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY(jail, user)) WITHOUT ROWID;
CREATE INDEX accounts_last ON accounts(last) WHERE marked = 0;
)";
// Of version 4. Before, a row was an inode, and no file was known any more once it was let go.
constexpr const char* files_schema = R"(
CREATE TABLE files(
    log TEXT, number INTEGER, device INTEGER NOT NULL, inode INTEGER NOT NULL,
    path TEXT NOT NULL, offset INTEGER NOT NULL, skipping INTEGER NOT NULL,
    fingerprint_length INTEGER NOT NULL, fingerprint_hash INTEGER NOT NULL,
    modified INTEGER NOT NULL, gone INTEGER NOT NULL,
    PRIMARY KEY(log, number)) WITHOUT ROWID;
)";
// Whatever was modified before the last checkpoint, and is not in it, was old then. The kernel
// stamps files with the time of its last tick: up to 10 ms too early.
constexpr const char* files_from_positions = R"(
INSERT INTO files SELECT path, row_number() OVER (PARTITION BY path), device, inode, path, offset,
    skipping, fingerprint_length, fingerprint_hash, 0, 0 FROM positions;
INSERT INTO files SELECT DISTINCT path, 0, 0, 0, '', 0, 0, 0, 0,
    coalesce((SELECT value - 10000 FROM meta WHERE name = 'written'), 0) * 1000, 0 FROM positions;
DROP TABLE positions;
)";

}  // namespace

Error sqlite_error(const std::string& path, sqlite3* database, const char* doing) {
    int code = sqlite3_extended_errcode(database);
    std::string hint;
    switch (code & 0xff) {
        case SQLITE_FULL:
            hint = "free some space; bans go on, but a restart would forget the newest";
            break;
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
            hint = "the daemon's user must be able to write to this directory";
            break;
        default:
            break;
    }
    return {"state \"" + path + "\": " + doing, sqlite3_errmsg(database), hint, {}};
}

std::string prefix_bytes(const Prefix& prefix) {
    std::string bytes(reinterpret_cast<const char*>(prefix.network.bytes.data()), 16);
    bytes += static_cast<char>(prefix.length);
    return bytes;
}

std::optional<Prefix> prefix_from(std::string_view bytes) {
    if (bytes.size() != 17) return {};
    Address address;
    std::memcpy(address.bytes.data(), bytes.data(), 16);
    return make_prefix(address, static_cast<std::uint8_t>(bytes[16]));
}

bool execute(sqlite3* database, const char* sql) {
    return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

Result<Database> open_database(const std::string& path) {
    sqlite3* raw = nullptr;
    int result =
        sqlite3_open_v2(path.c_str(), &raw,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    Database database(raw);
    if (result != SQLITE_OK) return std::unexpected(sqlite_error(path, raw, "cannot open it"));
    // The companions stay when the daemon ends: it may not be allowed to make them anew.
    int persist = 1;
    sqlite3_file_control(raw, nullptr, SQLITE_FCNTL_PERSIST_WAL, &persist);
    sqlite3_busy_timeout(raw, 5000);
    // In WAL mode NORMAL keeps the file consistent through power loss and syncs only when the log
    // is folded in: on flash a sync can take a second.
    // A large checkpoint does not keep the log large.
    if (!execute(raw,
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                 "PRAGMA journal_size_limit=4194304;"))
        return std::unexpected(sqlite_error(path, raw, "cannot open it"));
    int version = 0;
    {
        Statement ask(raw, "PRAGMA user_version");
        if (ask.step()) version = static_cast<int>(ask.integer_at(0));
    }
    if (version > schema_version)
        return fail("state \"" + path + "\"",
                    "was written by a newer bandd (version " + std::to_string(version) +
                        " of its tables, this one knows " + std::to_string(schema_version) + ")",
                    "install that version again, or give another \"state:\"");
    std::string update = "BEGIN IMMEDIATE;";
    if (version == 1) update += "ALTER TABLE windows ADD COLUMN vals BLOB;";
    if (version < 3) update += accounts_schema;
    update += files_schema;
    update += files_from_positions;
    update += "PRAGMA user_version=" + std::to_string(schema_version) + ";COMMIT;";
    if (version > 0 && version < schema_version && !execute(raw, update.c_str())) {
        Error error = sqlite_error(path, raw, "cannot bring its tables up to date");
        execute(raw, "ROLLBACK");
        return std::unexpected(error);
    }
    if (version == 0) {
        std::string sql = std::string("BEGIN IMMEDIATE;") + schema + accounts_schema +
                          files_schema + "PRAGMA user_version=" + std::to_string(schema_version) +
                          ";COMMIT;";
        if (!execute(raw, sql.c_str())) {
            Error error = sqlite_error(path, raw, "cannot make its tables");
            execute(raw, "ROLLBACK");
            return std::unexpected(error);
        }
    }
    return database;
}

bool is_broken(sqlite3* database) {
    int code = sqlite3_errcode(database) & 0xff;
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

void leave_room(const std::string& path, sqlite3* database) {
    std::error_code fault;
    std::uintmax_t log = std::filesystem::file_size(path + "-wal", fault);
    if (fault) return;
    std::filesystem::space_info disk = std::filesystem::space(path, fault);
    if (!fault && log > disk.available / 2) execute(database, "PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace bandd
