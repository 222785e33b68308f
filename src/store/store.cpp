// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

namespace bandd {
namespace {

constexpr int schema_version = 3;
constexpr const char* schema = R"(
CREATE TABLE positions(
    device INTEGER, inode INTEGER, path TEXT NOT NULL, offset INTEGER NOT NULL,
    skipping INTEGER NOT NULL, fingerprint_length INTEGER NOT NULL,
    fingerprint_hash INTEGER NOT NULL, PRIMARY KEY(device, inode)) WITHOUT ROWID;
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

struct CloseDatabase {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

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

// A prepared statement: bind in order, then `run` or `step`.
class Statement {
  public:
    Statement(sqlite3* database, const char* sql) {
        sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
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
        int result = sqlite3_step(statement_);
        sqlite3_reset(statement_);
        bound_ = 0;
        return result == SQLITE_DONE || result == SQLITE_ROW;
    }
    bool step() {
        bound_ = 0;
        return sqlite3_step(statement_) == SQLITE_ROW;
    }
    void reset() { sqlite3_reset(statement_); }

    bool is_null(int column) const {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL;
    }
    std::int64_t integer_at(int column) const { return sqlite3_column_int64(statement_, column); }
    std::string_view bytes_at(int column) const {
        const void* data = sqlite3_column_blob(statement_, column);
        return {static_cast<const char*>(data),
                static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
    }

  private:
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

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

// The count over all jails has no jail's name.
std::string_view jail_name(const std::vector<std::string>& jails, JailIndex jail) {
    return jail == any_jail ? std::string_view{} : jails[jail];
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
    update += accounts_schema;
    update += "PRAGMA user_version=" + std::to_string(schema_version) + ";COMMIT;";
    if (version > 0 && version < schema_version && !execute(raw, update.c_str())) {
        Error error = sqlite_error(path, raw, "cannot bring its tables up to date");
        execute(raw, "ROLLBACK");
        return std::unexpected(error);
    }
    if (version == 0) {
        std::string sql = std::string("BEGIN IMMEDIATE;") + schema + accounts_schema +
                          "PRAGMA user_version=" + std::to_string(schema_version) + ";COMMIT;";
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

// Stops at the first failure, so that SQLite still knows its message.
std::optional<Error> write_checkpoint(const std::string& path, sqlite3* database,
                                      const Checkpoint& checkpoint) {
    const auto& jails = checkpoint.jails;
    bool good = execute(database, "BEGIN IMMEDIATE");
    Statement put_position(
        database,
        "INSERT OR REPLACE INTO positions(device, inode, path, offset, skipping, "
        "fingerprint_length, fingerprint_hash) VALUES(?,?,?,?,?,?,?)");
    Statement drop_position(database, "DELETE FROM positions WHERE device=? AND inode=?");
    for (const auto& [device, inode] : checkpoint.gone)
        good = good && drop_position.integer(static_cast<std::int64_t>(device))
                           .integer(static_cast<std::int64_t>(inode))
                           .run();
    for (const StoredPosition& position : checkpoint.positions)
        good = good && put_position.integer(static_cast<std::int64_t>(position.device))
                           .integer(static_cast<std::int64_t>(position.inode))
                           .text(position.path)
                           .integer(static_cast<std::int64_t>(position.offset))
                           .integer(position.skipping ? 1 : 0)
                           .integer(position.fingerprint_length)
                           .integer(static_cast<std::int64_t>(position.fingerprint_hash))
                           .run();
    Statement put_window(
        database,
        "INSERT OR REPLACE INTO windows(jail, prefix, last, times, vals) VALUES(?,?,?,?,?)");
    Statement drop_window(database, "DELETE FROM windows WHERE jail=? AND prefix=?");
    for (const WindowChange& window : checkpoint.changes.windows) {
        std::string prefix = prefix_bytes(window.key.prefix);
        std::string_view jail = jail_name(jails, window.key.jail);
        if (window.times.empty())
            good = good && drop_window.text(jail).blob(prefix).run();
        else
            good = good && put_window.text(jail)
                               .blob(prefix)
                               .integer(window.times.back().us)
                               .blob({reinterpret_cast<const char*>(window.times.data()),
                                      window.times.size() * sizeof(Instant)})
                               .blob({reinterpret_cast<const char*>(window.values.data()),
                                      window.values.size() * sizeof(std::uint64_t)})
                               .run();
    }
    // Ended bans first: their key may have been banned again since.
    Statement put_ended(database,
                        "INSERT OR REPLACE INTO history(jail, prefix, begins, ends, ended, why, "
                        "offence, hits, by_hand, reason) VALUES(?,?,?,?,?,?,?,?,?,?)");
    Statement drop_ban(database, "DELETE FROM bans WHERE jail=? AND prefix=?");
    Statement put_ban(database,
                      "INSERT OR REPLACE INTO bans(jail, prefix, begins, ends, offence, hits, "
                      "by_hand, reason) VALUES(?,?,?,?,?,?,?,?)");
    Statement put_match(database,
                        "INSERT OR REPLACE INTO matches(jail, prefix, begins, number, time, "
                        "pattern, line) VALUES(?,?,?,?,?,?,?)");
    Statement put_field(database,
                        "INSERT OR REPLACE INTO fields(jail, prefix, begins, name, value) "
                        "VALUES(?,?,?,?,?)");
    // A story without matches is one that was restored: its details are on disk already.
    auto put_details = [&](std::string_view jail, const std::string& prefix, const Ban& ban) {
        if (!ban.story) return;
        std::int64_t number = 0;
        for (const Match& match : ban.story->matches)
            good = good && put_match.text(jail)
                               .blob(prefix)
                               .integer(ban.from.us)
                               .integer(number++)
                               .integer(match.time.us)
                               .text(match.pattern)
                               .blob(match.line)
                               .run();
        for (const auto& [name, value] : ban.story->fields)
            good =
                good &&
                put_field.text(jail).blob(prefix).integer(ban.from.us).text(name).blob(value).run();
    };
    for (const Unbanned& ended : checkpoint.changes.ended_bans) {
        const Ban& ban = ended.ban;
        std::string_view jail = jail_name(jails, ban.key.jail);
        std::string prefix = prefix_bytes(ban.key.prefix);
        good = good && drop_ban.text(jail).blob(prefix).run();
        if (ban.state == BanState::simulated) continue;
        good = good && put_ended.text(jail)
                           .blob(prefix)
                           .integer(ban.from.us)
                           .integer(ban.until.us)
                           .integer(ended.at.us)
                           .integer(static_cast<int>(ended.why))
                           .integer(ban.offence)
                           .integer(ban.hits)
                           .integer(ban.by_hand ? 1 : 0)
                           .text(ban.story ? ban.story->reason : "")
                           .run();
        put_details(jail, prefix, ban);
    }
    for (const Ban& ban : checkpoint.changes.bans) {
        std::string_view jail = jail_name(jails, ban.key.jail);
        std::string prefix = prefix_bytes(ban.key.prefix);
        good = good && put_ban.text(jail)
                           .blob(prefix)
                           .integer(ban.from.us)
                           .integer(ban.until.us)
                           .integer(ban.offence)
                           .integer(ban.hits)
                           .integer(ban.by_hand ? 1 : 0)
                           .text(ban.story ? ban.story->reason : "")
                           .run();
        put_details(jail, prefix, ban);
    }
    Statement put_counts(database,
                         "INSERT OR REPLACE INTO counts(jail, hits, ignored, too_old, "
                         "already_banned, bans, unbans) VALUES(?,?,?,?,?,?,?)");
    for (const auto& [jail, counts] : checkpoint.changes.counts)
        good = good && put_counts.text(jail_name(jails, jail))
                           .integer(static_cast<std::int64_t>(counts.hits))
                           .integer(static_cast<std::int64_t>(counts.ignored))
                           .integer(static_cast<std::int64_t>(counts.too_old))
                           .integer(static_cast<std::int64_t>(counts.already_banned))
                           .integer(static_cast<std::int64_t>(counts.bans))
                           .integer(static_cast<std::int64_t>(counts.unbans))
                           .run();
    Statement put_offences(database,
                           "INSERT OR REPLACE INTO offences(jail, prefix, count, last) "
                           "VALUES(?,?,?,?)");
    Statement drop_offences(database, "DELETE FROM offences WHERE jail=? AND prefix=?");
    for (const auto& [key, offences] : checkpoint.changes.offences) {
        std::string prefix = prefix_bytes(key.prefix);
        std::string_view jail = jail_name(jails, key.jail);
        good = good && (offences.count == 0 ? drop_offences.text(jail).blob(prefix).run()
                                            : put_offences.text(jail)
                                                  .blob(prefix)
                                                  .integer(offences.count)
                                                  .integer(offences.last.us)
                                                  .run());
    }
    Statement put_account(database,
                          "INSERT OR REPLACE INTO accounts(jail, user, last, marked, data) "
                          "VALUES(?,?,?,?,?)");
    Statement drop_account(database, "DELETE FROM accounts WHERE jail=? AND user=?");
    for (const AccountChange& account : checkpoint.changes.accounts) {
        std::string_view jail = jail_name(jails, account.jail);
        if (!account.use) {
            good = good && drop_account.text(jail).blob(account.user).run();
            continue;
        }
        std::string dump = AccountTable::dump(*account.use);
        good = good && put_account.text(jail)
                           .blob(account.user)
                           .integer(account.use->last.us)
                           .integer(account.use->mark != Mark::none ? 1 : 0)
                           .blob(dump)
                           .run();
    }
    Statement put_note(database, "INSERT OR REPLACE INTO meta VALUES('note ' || ?, ?)");
    for (const auto& [name, value] : checkpoint.notes)
        good = good && put_note.text(name).blob(value).run();
    Statement put_written(database, "INSERT OR REPLACE INTO meta VALUES('written', ?)");
    good = good && put_written.integer(checkpoint.at.us).run();
    Statement purge_windows(database, "DELETE FROM windows WHERE last < ?");
    Statement purge_offences(database, "DELETE FROM offences WHERE last < ?");
    Statement purge_accounts(database, "DELETE FROM accounts WHERE marked = 0 AND last < ?");
    good = good && purge_accounts.integer(checkpoint.accounts_before.us).run();
    good = good && purge_windows.integer(checkpoint.windows_before.us).run();
    good = good && purge_offences.integer(checkpoint.offences_before.us).run();
    // Old history goes, a bounded piece at a time.
    Statement old_history(database,
                          "SELECT jail, prefix, begins FROM history WHERE begins < ? AND ended < ? "
                          "LIMIT 1000");
    std::array<Statement, 3> drop_history{
        Statement(database, "DELETE FROM history WHERE jail=? AND prefix=? AND begins=?"),
        Statement(database, "DELETE FROM matches WHERE jail=? AND prefix=? AND begins=?"),
        Statement(database, "DELETE FROM fields WHERE jail=? AND prefix=? AND begins=?")};
    struct Past {
        std::string jail, prefix;
        std::int64_t begins = 0;
    };
    std::vector<Past> old;
    old_history.integer(checkpoint.offences_before.us).integer(checkpoint.offences_before.us);
    while (good && old_history.step())
        old.push_back({std::string(old_history.bytes_at(0)), std::string(old_history.bytes_at(1)),
                       old_history.integer_at(2)});
    old_history.reset();
    for (const Past& past : old)
        for (Statement& statement : drop_history)
            good = good && statement.text(past.jail).blob(past.prefix).integer(past.begins).run();
    if (good && execute(database, "COMMIT")) return {};
    return sqlite_error(path, database, "cannot write");
}

// By itself SQLite folds its log into the tables at 4 MiB. On a small disk that may be never: the
// log fills it, and then there is no room to fold it in either.
void leave_room(const std::string& path, sqlite3* database) {
    std::error_code fault;
    std::uintmax_t log = std::filesystem::file_size(path + "-wal", fault);
    if (fault) return;
    std::filesystem::space_info disk = std::filesystem::space(path, fault);
    if (!fault && log > disk.available / 2) execute(database, "PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace

struct Store::Inside {
    std::string path;
    Fd lock;
    Database database;
    Fd done;  // eventfd
    bool broken = false;

    mutable std::mutex mutex;
    std::condition_variable changed;
    std::optional<Checkpoint> work;  // waiting or under way; kept when it failed
    bool busy = false;               // the thread has it
    bool go = false;                 // the thread shall take it
    bool quit = false;
    std::optional<Error> result;
    // A question is run on the store's thread, what it returns on the loop's.
    using Question = std::function<std::function<void()>(sqlite3*)>;
    std::deque<Question> questions;
    std::vector<std::function<void()>> answers;
    std::thread thread;

    bool ask(Question question) {
        std::lock_guard hold(mutex);
        if (questions.size() >= most_questions) return false;
        questions.push_back(std::move(question));
        changed.notify_all();
        return true;
    }
    void tell_loop() {
        std::uint64_t one = 1;
        [[maybe_unused]] auto ignored = ::write(done.get(), &one, sizeof one);
    }

    void run() {
        std::unique_lock hold(mutex);
        while (true) {
            changed.wait(hold, [&] { return quit || go || !questions.empty(); });
            if (!go && !questions.empty()) {
                Question question = std::move(questions.front());
                questions.pop_front();
                hold.unlock();
                auto answer = question(database.get());
                hold.lock();
                answers.push_back(std::move(answer));
                tell_loop();
                continue;
            }
            if (!go) return;
            go = false;
            busy = true;
            const Checkpoint& checkpoint = *work;
            hold.unlock();
            leave_room(path, database.get());
            auto error = write_checkpoint(path, database.get(), checkpoint);
            if (error) execute(database.get(), "ROLLBACK");
            hold.lock();
            busy = false;
            if (!error) work.reset();
            result = std::move(error);
            tell_loop();
            changed.notify_all();
        }
    }
};

Store::Store(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

Store::~Store() {
    if (!inside_) return;
    {
        std::lock_guard hold(inside_->mutex);
        inside_->quit = true;
        inside_->changed.notify_all();
    }
    if (inside_->thread.joinable()) inside_->thread.join();
}

namespace {

// What to do about `errno` at one of the state's files.
std::string advice(const char* otherwise) {
    if (errno == ENOSPC || errno == EDQUOT) return "free some space there";
    if (errno == EROFS) return "mount it writable, or set \"state:\" to a file elsewhere";
    return otherwise;
}

}  // namespace

Result<> Store::prepare(const std::string& path, uid_t uid, gid_t gid) {
    ::umask(0077);
    for (const char* ending : {"", "-wal", "-shm", ".lock"}) {
        std::string file = path + ending;
        Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd)
            return fail_errno("state \"" + file + "\"", advice("check \"state:\" in bandd.yaml"));
        if (fchmod(fd.get(), 0600) != 0 || (geteuid() == 0 && fchown(fd.get(), uid, gid) != 0))
            return fail_errno("state \"" + file + "\"");
    }
    return {};
}

Result<Store> Store::open(const std::string& path, std::string& warning) {
    auto inside = std::make_unique<Inside>();
    inside->path = path;
    ::umask(0077);
    std::string lock_path = path + ".lock";
    inside->lock = Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!inside->lock)
        return fail_errno("state \"" + lock_path + "\"",
                          advice("the daemon's user must be able to write to this directory"));
    if (flock(inside->lock.get(), LOCK_EX | LOCK_NB) != 0) {
        std::array<char, 32> pid{};
        ssize_t got = pread(inside->lock.get(), pid.data(), pid.size() - 1, 0);
        return fail("state \"" + path + "\"",
                    "another bandd" +
                        (got > 0 ? " (process " + std::string(pid.data()) + ")" : std::string()) +
                        " is using it",
                    "stop that one first, or give this one another \"state:\"");
    }
    std::string pid = std::to_string(getpid());
    if (ftruncate(inside->lock.get(), 0) != 0 ||
        pwrite(inside->lock.get(), pid.data(), pid.size(), 0) < 0)
        return fail_errno("state \"" + lock_path + "\"", advice(""));

    auto database = open_database(path);
    if (!database) {
        // Opened again only to ask what kind of failure it was.
        sqlite3* raw = nullptr;
        sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
        Database again(raw);
        execute(raw, "PRAGMA user_version; SELECT count(*) FROM sqlite_master;");
        if (!is_broken(raw)) return std::unexpected(database.error());
        again.reset();
        auto aside = set_aside(path);
        if (!aside) return std::unexpected(database.error());
        warning = "state \"" + path + "\" is no database (" + database.error().reason +
                  "); it was moved to \"" + *aside + "\", and bandd begins with an empty one";
        database = open_database(path);
        if (!database) return std::unexpected(database.error());
    }
    inside->database = std::move(*database);
    inside->done = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!inside->done) return fail_errno("eventfd");
    Inside* raw = inside.get();
    inside->thread = std::thread([raw] { raw->run(); });
    return Store(std::move(inside));
}

Result<std::string> Store::set_aside(const std::string& path) {
    std::string aside = path + ".broken-" + std::to_string(std::time(nullptr));
    std::error_code fault;
    std::filesystem::rename(path, aside, fault);
    if (fault) return fail("state \"" + path + "\": cannot move it aside", fault.message());
    for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path + ending, fault);
    return aside;
}

bool Store::broken() const { return inside_->broken; }

Result<Store> Store::open_to_read(const std::string& path) {
    auto inside = std::make_unique<Inside>();
    inside->path = path;
    sqlite3* raw = nullptr;
    int result = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    inside->database.reset(raw);
    if (result != SQLITE_OK) return std::unexpected(sqlite_error(path, raw, "cannot open it"));
    sqlite3_busy_timeout(raw, 5000);
    if (!execute(raw, "SELECT count(*) FROM counts"))
        return std::unexpected(sqlite_error(path, raw, "cannot read it"));
    return Store(std::move(inside));
}

Result<std::vector<std::string>> Store::jails() {
    std::vector<std::string> names;
    Statement ask(inside_->database.get(),
                  "SELECT jail FROM bans UNION SELECT jail FROM history UNION "
                  "SELECT jail FROM windows UNION SELECT jail FROM offences UNION "
                  "SELECT jail FROM counts");
    while (ask.step())
        if (!ask.bytes_at(0).empty()) names.emplace_back(ask.bytes_at(0));
    int code = sqlite3_errcode(inside_->database.get());
    if (code != SQLITE_DONE && code != SQLITE_OK)
        return std::unexpected(
            sqlite_error(inside_->path, inside_->database.get(), "cannot read it"));
    return names;
}

Result<> Store::load(const std::vector<std::string>& jails, const Restore& restore) {
    sqlite3* database = inside_->database.get();
    // One moment, also beside a daemon that writes.
    execute(database, "BEGIN");
    bool broken = false;
    auto finished = [&] {
        int code = sqlite3_errcode(database);
        broken = broken || (code != SQLITE_DONE && code != SQLITE_OK && code != SQLITE_ROW);
        inside_->broken = inside_->broken || is_broken(database);
    };
    std::map<std::string, JailIndex, std::less<>> index;
    for (std::size_t i = 0; i < jails.size(); ++i) index[jails[i]] = static_cast<JailIndex>(i);
    // Rows come jail by jail.
    std::string last_name = "\n";
    std::optional<JailIndex> last_index;
    auto jail_at = [&](const Statement& row) -> std::optional<JailIndex> {
        std::string_view name = row.bytes_at(0);
        if (name.empty()) return any_jail;
        if (name != last_name) {
            last_name = name;
            auto found = index.find(name);
            last_index = found == index.end() ? std::nullopt : std::optional(found->second);
        }
        return last_index;
    };
    auto key_at = [&](const Statement& row) -> std::optional<BanKey> {
        auto jail = jail_at(row);
        auto prefix = prefix_from(row.bytes_at(1));
        if (!jail || !prefix) return {};
        return BanKey{*jail, *prefix};
    };
    // Most bans share few reasons: their stories are shared, too.
    std::map<std::string, std::shared_ptr<const Story>, std::less<>> stories;
    auto story_for = [&](std::string_view reason) {
        auto found = stories.find(reason);
        if (found == stories.end()) {
            auto story = std::make_shared<Story>();
            story->reason = reason;
            found = stories.emplace(std::string(reason), std::move(story)).first;
        }
        return found->second;
    };
    {
        Statement count(database, "SELECT count(*) FROM bans");
        if (count.step()) restore.expect(static_cast<std::size_t>(count.integer_at(0)));
        Statement bans(
            database,
            "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason FROM bans");
        while (bans.step()) {
            auto key = key_at(bans);
            if (!key || key->jail == any_jail) continue;
            Ban ban;
            ban.key = *key;
            ban.from = {bans.integer_at(2)};
            ban.until = {bans.integer_at(3)};
            ban.offence = static_cast<std::uint32_t>(bans.integer_at(4));
            ban.hits = static_cast<std::uint32_t>(bans.integer_at(5));
            ban.by_hand = bans.integer_at(6) != 0;
            ban.story = story_for(bans.bytes_at(7));
            restore.ban(std::move(ban));
        }
        finished();
        Statement windows(database, "SELECT jail, prefix, times, vals FROM windows ORDER BY last");
        while (windows.step()) {
            auto key = key_at(windows);
            std::string_view bytes = windows.bytes_at(2);
            if (!key || key->jail == any_jail) continue;
            WindowChange window{*key, std::vector<Instant>(bytes.size() / sizeof(Instant)), {}};
            std::memcpy(window.times.data(), bytes.data(), window.times.size() * sizeof(Instant));
            if (std::string_view values = windows.bytes_at(3); !values.empty()) {
                window.values.resize(values.size() / sizeof(std::uint64_t));
                std::memcpy(window.values.data(), values.data(),
                            window.values.size() * sizeof(std::uint64_t));
            }
            restore.window(window);
        }
        finished();
        Statement offences(database, "SELECT jail, prefix, count, last FROM offences");
        while (offences.step())
            if (auto key = key_at(offences))
                restore.offences(*key, Offences{static_cast<std::uint32_t>(offences.integer_at(2)),
                                                Instant{offences.integer_at(3)}});
        finished();
        // A state that was only opened to be read may be older than the table.
        Statement known(database, "SELECT 1 FROM sqlite_master WHERE name='accounts'");
        bool has_accounts = restore.account && known.step();
        known.reset();
        Statement accounts(database, has_accounts ? "SELECT jail, user, data FROM accounts "
                                                    "ORDER BY last"
                                                  : "SELECT 1 WHERE 0");
        while (accounts.step()) {
            auto jail = jail_at(accounts);
            auto use = AccountTable::undump(accounts.bytes_at(1), accounts.bytes_at(2));
            if (jail && use) restore.account({*jail, use->user, std::move(use)});
        }
        finished();
        Statement counts(
            database,
            "SELECT jail, hits, ignored, too_old, already_banned, bans, unbans FROM counts");
        while (counts.step()) {
            auto jail = jail_at(counts);
            auto number = [&](int column) {
                return static_cast<std::uint64_t>(counts.integer_at(column));
            };
            if (jail && *jail != any_jail)
                restore.counts(*jail,
                               {number(1), number(2), number(3), number(4), number(5), number(6)});
        }
        finished();
        Statement written(database, "SELECT value FROM meta WHERE name='written'");
        if (written.step() && restore.written) restore.written({written.integer_at(0)});
        Statement notes(database,
                        "SELECT substr(name, 6), value FROM meta WHERE name LIKE 'note %'");
        while (notes.step())
            if (restore.note) restore.note(notes.bytes_at(0), notes.bytes_at(1));
        Statement positions(database,
                            "SELECT device, inode, path, offset, skipping, fingerprint_length, "
                            "fingerprint_hash FROM positions");
        while (positions.step()) {
            StoredPosition position;
            position.device = static_cast<std::uint64_t>(positions.integer_at(0));
            position.inode = static_cast<std::uint64_t>(positions.integer_at(1));
            position.path = positions.bytes_at(2);
            position.offset = static_cast<std::uint64_t>(positions.integer_at(3));
            position.skipping = positions.integer_at(4) != 0;
            position.fingerprint_length = static_cast<std::uint32_t>(positions.integer_at(5));
            position.fingerprint_hash = static_cast<std::uint64_t>(positions.integer_at(6));
            restore.position(position);
        }
        finished();
        if (restore.history) {
            Statement history(database,
                              "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, "
                              "ended, why FROM history WHERE ended >= ?");
            history.integer(restore.history_since.us);
            while (history.step()) {
                auto key = key_at(history);
                if (!key || key->jail == any_jail) continue;
                Unbanned past;
                past.ban.key = *key;
                past.ban.from = {history.integer_at(2)};
                past.ban.until = {history.integer_at(3)};
                past.ban.offence = static_cast<std::uint32_t>(history.integer_at(4));
                past.ban.hits = static_cast<std::uint32_t>(history.integer_at(5));
                past.ban.by_hand = history.integer_at(6) != 0;
                past.ban.story = story_for(history.bytes_at(7));
                past.at = {history.integer_at(8)};
                past.why = static_cast<Unbanned::Why>(history.integer_at(9));
                restore.history(past);
            }
            finished();
        }
    }
    std::optional<Error> error;
    if (broken) error = sqlite_error(inside_->path, database, "cannot read it");
    execute(database, "COMMIT");
    if (error) return std::unexpected(*error);
    return {};
}

bool Store::find_history(HistoryQuery query, std::function<void(std::vector<PastBan>)> then) {
    return inside_->ask([query = std::move(query), then = std::move(then)](sqlite3* database) {
        std::vector<PastBan> found;
        Statement ask(
            database,
            "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, "
            "NULL AS ended, 0 FROM bans WHERE begins >= ?1 AND (?2 = '' OR jail = ?2) "
            "UNION ALL SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, "
            "ended, why FROM history WHERE begins >= ?1 AND (?2 = '' OR jail = ?2) "
            "ORDER BY begins DESC");
        ask.integer(query.since.us).text(query.jail);
        while (found.size() < query.limit && ask.step()) {
            auto prefix = prefix_from(ask.bytes_at(1));
            if (!prefix) continue;
            if (query.within && !contains(*query.within, prefix->network) &&
                !contains(*prefix, query.within->network))
                continue;
            PastBan past;
            past.jail = ask.bytes_at(0);
            past.prefix = *prefix;
            past.from = {ask.integer_at(2)};
            past.until = {ask.integer_at(3)};
            past.offence = static_cast<std::uint32_t>(ask.integer_at(4));
            past.hits = static_cast<std::uint32_t>(ask.integer_at(5));
            past.by_hand = ask.integer_at(6) != 0;
            past.reason = ask.bytes_at(7);
            if (!ask.is_null(8)) past.ended = Instant{ask.integer_at(8)};
            past.why = static_cast<Unbanned::Why>(ask.integer_at(9));
            found.push_back(std::move(past));
        }
        return [then, found = std::move(found)]() mutable { then(std::move(found)); };
    });
}

bool Store::find_details(std::vector<PastBan> bans,
                         std::function<void(std::vector<BanDetails>)> then) {
    return inside_->ask([bans = std::move(bans), then = std::move(then)](sqlite3* database) {
        std::vector<BanDetails> details(bans.size());
        Statement matches(database,
                          "SELECT time, pattern, line FROM matches WHERE jail=? AND prefix=? AND "
                          "begins=? ORDER BY number");
        Statement fields(database,
                         "SELECT name, value FROM fields WHERE jail=? AND prefix=? AND begins=?");
        for (std::size_t i = 0; i < bans.size(); ++i) {
            std::string prefix = prefix_bytes(bans[i].prefix);
            matches.text(bans[i].jail).blob(prefix).integer(bans[i].from.us);
            while (matches.step())
                details[i].matches.push_back({Instant{matches.integer_at(0)},
                                              std::string(matches.bytes_at(1)),
                                              std::string(matches.bytes_at(2))});
            matches.reset();
            fields.text(bans[i].jail).blob(prefix).integer(bans[i].from.us);
            while (fields.step()) details[i].fields.add(fields.bytes_at(0), fields.bytes_at(1));
            fields.reset();
        }
        return [then, details = std::move(details)]() mutable { then(std::move(details)); };
    });
}

bool Store::idle() const {
    std::lock_guard hold(inside_->mutex);
    return !inside_->work;
}

bool Store::failed() const {
    std::lock_guard hold(inside_->mutex);
    return inside_->work && !inside_->busy && !inside_->go;
}

void Store::write(Checkpoint checkpoint) {
    std::lock_guard hold(inside_->mutex);
    inside_->work = std::move(checkpoint);
    inside_->go = true;
    inside_->changed.notify_all();
}

void Store::retry() {
    std::lock_guard hold(inside_->mutex);
    if (!inside_->work || inside_->busy) return;
    inside_->go = true;
    inside_->changed.notify_all();
}

void Store::wait() {
    std::unique_lock hold(inside_->mutex);
    inside_->changed.wait(hold, [&] { return !inside_->busy && !inside_->go; });
}

int Store::fd() const { return inside_->done.get(); }

std::optional<Error> Store::take_result() {
    std::uint64_t count = 0;
    [[maybe_unused]] auto ignored = ::read(inside_->done.get(), &count, sizeof count);
    std::vector<std::function<void()>> answers;
    std::optional<Error> result;
    {
        std::lock_guard hold(inside_->mutex);
        answers.swap(inside_->answers);
        result = inside_->result;
    }
    for (const auto& answer : answers) answer();
    return result;
}

}  // namespace bandd
