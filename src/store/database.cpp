// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <filesystem>

namespace bandd {
namespace {

constexpr int schema_version = 5;
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

// Of version 5.
constexpr const char* fleet_schema = R"(
CREATE TABLE fleet(
    kind TEXT, key BLOB, data BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
)";

}  // namespace

bool SqliteFailure::is_broken() const {
    switch (code & 0xff) {
        case SQLITE_PERM:
        case SQLITE_ABORT:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_NOMEM:
        case SQLITE_READONLY:
        case SQLITE_INTERRUPT:
        case SQLITE_IOERR:
        case SQLITE_FULL:
        case SQLITE_CANTOPEN:
        case SQLITE_PROTOCOL:
        case SQLITE_NOLFS:
        case SQLITE_AUTH:
            return false;
        default:
            // Statements that suit our tables are refused by what are not ours.
            return true;
    }
}

Error state_error(const std::string& path, const char* doing, const SqliteFailure& failure) {
    std::string hint;
    switch (failure.code & 0xff) {
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
    return {"state \"" + path + "\": " + doing, failure.message, hint, {}};
}

bool Connection::check(int code) {
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return true;
    if (!failure_) {
        int extended = raw_ ? sqlite3_extended_errcode(raw()) : code;
        failure_ = {extended, raw_ ? sqlite3_errmsg(raw()) : sqlite3_errstr(code)};
    }
    return false;
}

bool Connection::execute(const char* sql) {
    return check(sqlite3_exec(raw(), sql, nullptr, nullptr, nullptr));
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

// By SQLite's own descriptor: whoever closes another one of the file lets go of SQLite's locks.
bool Connection::begins_well() const {
    constexpr std::string_view magic("SQLite format 3\0", 16);
    std::array<char, magic.size()> bytes{};
    sqlite3_file* file = nullptr;
    sqlite3_file_control(raw(), "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
    if (file == nullptr || file->pMethods == nullptr) return true;
    sqlite3_int64 size = 0;
    // Of a new one they may still be in the log.
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK || size == 0) return true;
    if (file->pMethods->xRead(file, bytes.data(), static_cast<int>(bytes.size()), 0) != SQLITE_OK)
        return true;
    return std::string_view(bytes.data(), bytes.size()) == magic;
}

namespace {

// Of the state at `path`; the connection says what failed.
std::unexpected<Unopened> unopened(const std::string& path, const char* doing,
                                   const Connection& database) {
    const SqliteFailure& failure = *database.failure();
    return std::unexpected(Unopened{state_error(path, doing, failure), failure.is_broken()});
}

bool set_up(Connection& database) {
    // The companions stay when the daemon ends: it may not be allowed to make them anew.
    int persist = 1;
    sqlite3_file_control(database.raw(), nullptr, SQLITE_FCNTL_PERSIST_WAL, &persist);
    // A large checkpoint does not keep the log large. What is sorted stays in memory: bandd may not
    // make files in /tmp.
    return database.execute(
        "PRAGMA temp_store=MEMORY; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=4194304;");
}

// 0: none. Nothing: it cannot be read.
std::optional<int> version_of(Connection& database) {
    Statement ask(database, "PRAGMA user_version");
    if (!ask.step()) return {};
    return static_cast<int>(ask.integer_at(0));
}

bool has_tables(Connection& database) {
    Statement ask(database, "SELECT 1 FROM sqlite_master");
    return ask.step();
}

// What makes the tables of our version of those of an older one, or of none.
std::string update_from(int version) {
    std::string sql = "BEGIN IMMEDIATE;";
    if (version == 0) sql += schema;
    if (version == 1) sql += "ALTER TABLE windows ADD COLUMN vals BLOB;";
    if (version < 3) sql += accounts_schema;
    if (version < 4) sql += files_schema;
    if (version > 0 && version < 4) sql += files_from_positions;
    sql += fleet_schema;
    return sql + "PRAGMA user_version=" + std::to_string(schema_version) + ";COMMIT;";
}

// The state's directory belongs to bandd's user, and bandctl writes there as root: a link that lies
// there would have it write to any file.
int open_without_links(const char* path, int flags, int mode) {
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
    return ::open(path, flags | (writes ? O_NOFOLLOW : 0), mode);
}

// SQLite looks itself where a link leads, and opens what is there. So it hears of none.
int look_through_links(const char* path, struct stat* status) { return ::stat(path, status); }

// SQLite opens files of several names, some of them later.
void follow_no_links() {
    sqlite3_vfs* files = sqlite3_vfs_find("unix");
    if (files == nullptr || files->xSetSystemCall == nullptr) return;
    files->xSetSystemCall(files, "open",
                          reinterpret_cast<sqlite3_syscall_ptr>(&open_without_links));
    files->xSetSystemCall(files, "lstat",
                          reinterpret_cast<sqlite3_syscall_ptr>(&look_through_links));
}

}  // namespace

std::expected<Connection, Unopened> open_database(const std::string& path) {
    follow_no_links();
    sqlite3* raw = nullptr;
    int opened =
        sqlite3_open_v2(path.c_str(), &raw,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    Connection database(raw);
    if (!database.check(opened)) return unopened(path, "cannot open it", database);
    sqlite3_busy_timeout(raw, 5000);
    auto version = version_of(database);
    if (!version) return unopened(path, "cannot read it", database);
    if (*version > schema_version)
        return std::unexpected(
            Unopened{{"state \"" + path + "\"",
                      "was written by a newer bandd (version " + std::to_string(*version) +
                          " of its tables, this one knows " + std::to_string(schema_version) + ")",
                      "install that version again, or give another \"state:\"",
                      {}},
                     false});
    if (*version == 0 && has_tables(database))
        return std::unexpected(
            Unopened{{"state \"" + path + "\"", "has tables, and none of bandd's", {}, {}}, true});
    // A sync can take seconds, on flash or on a busy disk, and a start waits for it. There is
    // nothing to lose in a new state: should the power fail now, it is moved aside as broken.
    // Free pages are given back in slices (`give_back`). Only an empty database can be told so.
    if (*version == 0 &&
        !database.execute("PRAGMA synchronous=OFF; PRAGMA auto_vacuum=INCREMENTAL"))
        return unopened(path, "cannot open it", database);
    if (!set_up(database)) return unopened(path, "cannot open it", database);
    if (*version < schema_version && !database.execute(update_from(*version).c_str())) {
        auto failed = unopened(path, "cannot make its tables", database);
        database.execute("ROLLBACK");
        return failed;
    }
    if (*version == 0) database.set_new();
    // In WAL mode NORMAL keeps the file consistent through power loss and syncs only when the log
    // is folded in.
    if (!database.execute("PRAGMA synchronous=NORMAL"))
        return unopened(path, "cannot open it", database);
    return database;
}

bool give_back(Connection& database) {
    constexpr std::int64_t least_pages = 256;  // 1 MiB: less is soon needed again
    constexpr std::int64_t incremental = 2;
    auto number = [&](const char* sql) -> std::int64_t {
        Statement ask(database, sql);
        return ask.step() ? ask.integer_at(0) : 0;
    };
    if (number("PRAGMA auto_vacuum") != incremental) return false;
    std::int64_t free = number("PRAGMA freelist_count");
    if (free < least_pages || free < number("PRAGMA page_count") / 4) return false;
    // The file itself gets smaller when the log is folded in.
    return database.execute("PRAGMA incremental_vacuum(1024); PRAGMA wal_checkpoint(PASSIVE)");
}

void leave_room(const std::string& path, Connection& database) {
    std::error_code fault;
    std::uintmax_t log = std::filesystem::file_size(path + "-wal", fault);
    if (fault) return;
    std::filesystem::space_info disk = std::filesystem::space(path, fault);
    if (!fault && log > disk.available / 2) database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace bandd
