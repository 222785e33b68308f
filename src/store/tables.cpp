// SPDX-License-Identifier: GPL-2.0-or-later
// Table by table: what a checkpoint writes of it, and what a start reads. Writing stops at the
// first failure, which the connection keeps.
#include "store/tables.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>

namespace bandd {
namespace {

using Names = std::vector<std::string>;  // of jails, by number

// The count over all jails has no jail's name.
std::string_view jail_name(const Names& jails, JailIndex jail) {
    return jail == any_jail ? std::string_view{} : jails[jail];
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <class T>
std::vector<T> from_bytes(std::string_view bytes) {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
}

// What is read: rows by jail, shared stories.
class Reading {
  public:
    Reading(Connection& database, const std::vector<std::string>& jails) : database(database) {
        for (std::size_t i = 0; i < jails.size(); ++i) index_[jails[i]] = static_cast<JailIndex>(i);
    }

    // Empty if nobody asked for this jail.
    std::optional<JailIndex> jail_at(const Statement& row) {
        std::string_view name = row.bytes_at(0);
        if (name.empty()) return any_jail;
        if (name != last_name_) {  // rows come jail by jail
            last_name_ = name;
            auto found = index_.find(name);
            last_index_ = found == index_.end() ? std::nullopt : std::optional(found->second);
        }
        return last_index_;
    }
    std::optional<BanKey> key_at(const Statement& row) {
        auto jail = jail_at(row);
        auto prefix = prefix_from(row.bytes_at(1));
        if (!jail || !prefix) return {};
        return BanKey{*jail, *prefix};
    }
    // Most bans share few reasons: their stories are shared, too.
    std::shared_ptr<const Story> story_for(std::string_view reason) {
        auto found = stories_.find(reason);
        if (found == stories_.end()) {
            auto story = std::make_shared<Story>();
            story->reason = reason;
            found = stories_.emplace(std::string(reason), std::move(story)).first;
        }
        return found->second;
    }

    Connection& database;

  private:
    std::map<std::string, JailIndex, std::less<>> index_;
    std::string last_name_ = "\n";
    std::optional<JailIndex> last_index_;
    std::map<std::string, std::shared_ptr<const Story>, std::less<>> stories_;
};

// files

bool write_positions(Connection& database, const Checkpoint& checkpoint) {
    Statement drop(database, "DELETE FROM files WHERE log=? AND number=?");
    for (const FileNumber& file : checkpoint.gone)
        if (!drop.text(file.log).integer(number(file.number)).run()) return false;
    Statement put(database,
                  "INSERT OR REPLACE INTO files(log, number, device, inode, path, offset, "
                  "skipping, fingerprint_length, fingerprint_hash, modified, gone) "
                  "VALUES(?,?,?,?,?,?,?,?,?,?,?)");
    for (const FilePosition& position : checkpoint.positions) {
        const TailPosition& at = position.at;
        // What is said of the log itself has no place in a file.
        bool of_log = position.file.number == 0 && at.id == FileId{};
        if (!put.text(position.file.log)
                 .integer(number(position.file.number))
                 .integer(number(at.id.device))
                 .integer(number(at.id.inode))
                 .text(at.path)
                 .integer(of_log ? position.clock : number(at.offset))
                 .integer(at.skipping ? 1 : 0)
                 .integer(at.fingerprint.length)
                 .integer(number(at.fingerprint.hash))
                 .integer(position.modified)
                 .integer(position.gone ? 1 : 0)
                 .run())
            return false;
    }
    return true;
}

void read_positions(Reading& reading, const Restore& restore) {
    // A state that was only opened to be read may be older than the table.
    Statement known(reading.database, "SELECT 1 FROM sqlite_master WHERE name='files'");
    bool numbered = known.step();
    known.reset();
    Statement rows(reading.database,
                   numbered ? "SELECT device, inode, path, offset, skipping, fingerprint_length, "
                              "fingerprint_hash, log, number, modified, gone FROM files "
                              "ORDER BY log, number"
                            : "SELECT device, inode, path, offset, skipping, fingerprint_length, "
                              "fingerprint_hash, path, row_number() OVER (PARTITION BY path), 0, 0 "
                              "FROM positions");
    while (rows.step()) {
        FilePosition position;
        position.at.id = {static_cast<std::uint64_t>(rows.integer_at(0)),
                          static_cast<std::uint64_t>(rows.integer_at(1))};
        position.at.path = rows.bytes_at(2);
        position.at.skipping = rows.integer_at(4) != 0;
        position.at.fingerprint = {static_cast<std::uint32_t>(rows.integer_at(5)),
                                   static_cast<std::uint64_t>(rows.integer_at(6))};
        position.file = {std::string(rows.bytes_at(7)),
                         static_cast<std::uint64_t>(rows.integer_at(8))};
        position.modified = rows.integer_at(9);
        position.gone = rows.integer_at(10) != 0;
        if (position.file.number == 0 && position.at.id == FileId{})
            position.clock = rows.integer_at(3);
        else
            position.at.offset = static_cast<std::uint64_t>(rows.integer_at(3));
        restore.position(position);
    }
}

// windows

bool write_windows(Connection& database, const Names& jails, const Changes& changes) {
    Statement put(database,
                  "INSERT OR REPLACE INTO windows(jail, prefix, last, times, vals) "
                  "VALUES(?,?,?,?,?)");
    Statement drop(database, "DELETE FROM windows WHERE jail=? AND prefix=?");
    for (const WindowChange& window : changes.windows) {
        std::string prefix = prefix_bytes(window.key.prefix);
        std::string_view jail = jail_name(jails, window.key.jail);
        bool good = window.times.empty() ? drop.text(jail).blob(prefix).run()
                                         : put.text(jail)
                                               .blob(prefix)
                                               .integer(window.times.back().us)
                                               .blob(bytes_of(window.times))
                                               .blob(bytes_of(window.values))
                                               .run();
        if (!good) return false;
    }
    return true;
}

// Of columns jail, prefix, times, vals.
std::vector<Instant> times_at(const Statement& row) { return from_bytes<Instant>(row.bytes_at(2)); }
std::vector<std::uint64_t> values_at(const Statement& row) {
    return from_bytes<std::uint64_t>(row.bytes_at(3));
}

void read_windows(Reading& reading, const Restore& restore) {
    Statement rows(reading.database, "SELECT jail, prefix, times, vals FROM windows ORDER BY last");
    while (rows.step()) {
        auto key = reading.key_at(rows);
        if (!key || key->jail == any_jail) continue;
        restore.window({*key, times_at(rows), values_at(rows)});
    }
}

// bans, history, matches, fields

// What the column by_hand says, beside 0 and 1.
constexpr std::int64_t by_hand_even_if_ignored = 2;

std::int64_t by_hand_number(const Ban& ban) {
    if (!ban.by_hand) return 0;
    return ban.even_if_ignored ? by_hand_even_if_ignored : 1;
}

class BanWriter {
  public:
    BanWriter(Connection& database, const Names& jails)
        : jails_(jails),
          drop_(database, "DELETE FROM bans WHERE jail=? AND prefix=?"),
          put_(database,
               "INSERT OR REPLACE INTO bans(jail, prefix, begins, ends, offence, hits, by_hand, "
               "reason) VALUES(?,?,?,?,?,?,?,?)"),
          put_ended_(database,
                     "INSERT OR REPLACE INTO history(jail, prefix, begins, ends, ended, why, "
                     "offence, hits, by_hand, reason) VALUES(?,?,?,?,?,?,?,?,?,?)"),
          put_match_(database,
                     "INSERT OR REPLACE INTO matches(jail, prefix, begins, number, time, pattern, "
                     "line) VALUES(?,?,?,?,?,?,?)"),
          put_field_(database,
                     "INSERT OR REPLACE INTO fields(jail, prefix, begins, name, value) "
                     "VALUES(?,?,?,?,?)") {}

    bool write(const Ban& ban) {
        std::string prefix = prefix_bytes(ban.key.prefix);
        put_.text(jail_name(jails_, ban.key.jail))
            .blob(prefix)
            .integer(ban.from.us)
            .integer(ban.until.us);
        return write_rest(put_, ban) && write_details(ban, prefix);
    }
    bool write(const Unbanned& ended) {
        const Ban& ban = ended.ban;
        std::string_view jail = jail_name(jails_, ban.key.jail);
        std::string prefix = prefix_bytes(ban.key.prefix);
        if (!drop_.text(jail).blob(prefix).run()) return false;
        if (ban.state == BanState::simulated) return true;
        put_ended_.text(jail)
            .blob(prefix)
            .integer(ban.from.us)
            .integer(ban.until.us)
            .integer(ended.at.us)
            .integer(static_cast<int>(ended.why));
        return write_rest(put_ended_, ban) && write_details(ban, prefix);
    }

  private:
    static bool write_rest(Statement& row, const Ban& ban) {
        return row.integer(ban.offence)
            .integer(ban.hits)
            .integer(by_hand_number(ban))
            .text(ban.story ? std::string_view(ban.story->reason) : std::string_view())
            .run();
    }
    // A story without matches is one that was restored: its details are on disk already.
    bool write_details(const Ban& ban, const std::string& prefix) {
        if (!ban.story) return true;
        std::string_view jail = jail_name(jails_, ban.key.jail);
        std::int64_t count = 0;
        for (const Match& match : ban.story->matches)
            if (!put_match_.text(jail)
                     .blob(prefix)
                     .integer(ban.from.us)
                     .integer(count++)
                     .integer(match.time.us)
                     .text(match.pattern)
                     .blob(match.line)
                     .run())
                return false;
        for (const auto& [name, value] : ban.story->fields)
            if (!put_field_.text(jail)
                     .blob(prefix)
                     .integer(ban.from.us)
                     .text(name)
                     .blob(value)
                     .run())
                return false;
        return true;
    }

    const Names& jails_;
    Statement drop_, put_, put_ended_, put_match_, put_field_;
};

bool write_bans(Connection& database, const Names& jails, const Changes& changes) {
    BanWriter writer(database, jails);
    // Ended bans first: their key may have been banned again since.
    for (const Unbanned& ended : changes.ended_bans)
        if (!writer.write(ended)) return false;
    for (const Ban& ban : changes.bans)
        if (!writer.write(ban)) return false;
    return true;
}

// Of columns jail, prefix, begins, ends, offence, hits, by_hand, reason.
std::optional<Ban> ban_at(Reading& reading, const Statement& row) {
    auto key = reading.key_at(row);
    if (!key || key->jail == any_jail) return {};
    Ban ban;
    ban.key = *key;
    ban.from = {row.integer_at(2)};
    ban.until = {row.integer_at(3)};
    ban.offence = static_cast<std::uint32_t>(row.integer_at(4));
    ban.hits = static_cast<std::uint32_t>(row.integer_at(5));
    ban.by_hand = row.integer_at(6) != 0;
    ban.even_if_ignored = row.integer_at(6) == by_hand_even_if_ignored;
    ban.story = reading.story_for(row.bytes_at(7));
    return ban;
}

void count_bans(Reading& reading, const Restore& restore) {
    Statement count(reading.database, "SELECT count(*) FROM bans");
    if (count.step()) restore.expect(static_cast<std::size_t>(count.integer_at(0)));
}

void read_bans(Reading& reading, const Restore& restore) {
    Statement rows(reading.database,
                   "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason FROM bans");
    while (rows.step())
        if (auto ban = ban_at(reading, rows)) restore.ban(std::move(*ban));
}

void read_ended(Reading& reading, const Restore& restore) {
    if (!restore.history) return;
    Statement rows(reading.database,
                   "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, ended, why "
                   "FROM history WHERE ended >= ?");
    rows.integer(restore.history_since.us);
    while (rows.step()) {
        auto ban = ban_at(reading, rows);
        if (!ban) continue;
        restore.history({std::move(*ban), static_cast<Unbanned::Why>(rows.integer_at(9)),
                         Instant{rows.integer_at(8)}});
    }
}

// A bounded piece at a time.
bool purge_history(Connection& database, const Checkpoint& checkpoint) {
    struct Past {
        std::string jail, prefix;
        std::int64_t begins = 0;
    };
    std::vector<Past> old;
    Statement rows(database,
                   "SELECT jail, prefix, begins FROM history WHERE begins < ? AND ended < ? "
                   "LIMIT 1000");
    rows.integer(checkpoint.offences_before.us).integer(checkpoint.offences_before.us);
    while (rows.step())
        old.push_back(
            {std::string(rows.bytes_at(0)), std::string(rows.bytes_at(1)), rows.integer_at(2)});
    rows.reset();
    std::array<Statement, 3> drop{
        Statement(database, "DELETE FROM history WHERE jail=? AND prefix=? AND begins=?"),
        Statement(database, "DELETE FROM matches WHERE jail=? AND prefix=? AND begins=?"),
        Statement(database, "DELETE FROM fields WHERE jail=? AND prefix=? AND begins=?")};
    for (const Past& past : old)
        for (Statement& statement : drop)
            if (!statement.text(past.jail).blob(past.prefix).integer(past.begins).run())
                return false;
    return true;
}

// counts

bool write_counts(Connection& database, const Names& jails, const Changes& changes) {
    Statement put(database,
                  "INSERT OR REPLACE INTO counts(jail, hits, ignored, too_old, already_banned, "
                  "bans, unbans) VALUES(?,?,?,?,?,?,?)");
    for (const auto& [jail, counts] : changes.counts)
        if (!put.text(jail_name(jails, jail))
                 .integer(number(counts.hits))
                 .integer(number(counts.ignored))
                 .integer(number(counts.too_old))
                 .integer(number(counts.already_banned))
                 .integer(number(counts.bans))
                 .integer(number(counts.unbans))
                 .run())
            return false;
    return true;
}

void read_counts(Reading& reading, const Restore& restore) {
    Statement rows(reading.database,
                   "SELECT jail, hits, ignored, too_old, already_banned, bans, unbans FROM counts");
    while (rows.step()) {
        auto jail = reading.jail_at(rows);
        auto at = [&](int column) { return static_cast<std::uint64_t>(rows.integer_at(column)); };
        if (jail && *jail != any_jail)
            restore.counts(*jail, {at(1), at(2), at(3), at(4), at(5), at(6)});
    }
}

// offences

bool write_offences(Connection& database, const Names& jails, const Changes& changes) {
    Statement put(database,
                  "INSERT OR REPLACE INTO offences(jail, prefix, count, last) VALUES(?,?,?,?)");
    Statement drop(database, "DELETE FROM offences WHERE jail=? AND prefix=?");
    for (const auto& [key, offences] : changes.offences) {
        std::string prefix = prefix_bytes(key.prefix);
        std::string_view jail = jail_name(jails, key.jail);
        bool good = offences.count == 0 ? drop.text(jail).blob(prefix).run()
                                        : put.text(jail)
                                              .blob(prefix)
                                              .integer(offences.count)
                                              .integer(offences.last.us)
                                              .run();
        if (!good) return false;
    }
    return true;
}

// Of columns jail, prefix, count, last.
Offences offences_at(const Statement& row) {
    return {static_cast<std::uint32_t>(row.integer_at(2)), Instant{row.integer_at(3)}};
}

void read_offences(Reading& reading, const Restore& restore) {
    Statement rows(reading.database, "SELECT jail, prefix, count, last FROM offences");
    while (rows.step())
        if (auto key = reading.key_at(rows)) restore.offences(*key, offences_at(rows));
}

// accounts

bool write_accounts(Connection& database, const Names& jails, const Changes& changes) {
    Statement put(database,
                  "INSERT OR REPLACE INTO accounts(jail, user, last, marked, data) "
                  "VALUES(?,?,?,?,?)");
    Statement drop(database, "DELETE FROM accounts WHERE jail=? AND user=?");
    for (const AccountChange& account : changes.accounts) {
        std::string_view jail = jail_name(jails, account.jail);
        if (!account.use) {
            if (!drop.text(jail).blob(account.user).run()) return false;
            continue;
        }
        std::string dump = AccountTable::dump(*account.use);
        if (!put.text(jail)
                 .blob(account.user)
                 .integer(account.use->last.us)
                 .integer(account.use->mark != Mark::none ? 1 : 0)
                 .blob(dump)
                 .run())
            return false;
    }
    return true;
}

void read_accounts(Reading& reading, const Restore& restore) {
    if (!restore.account) return;
    // A state that was only opened to be read may be older than the table.
    Statement known(reading.database, "SELECT 1 FROM sqlite_master WHERE name='accounts'");
    if (!known.step()) return;
    known.reset();
    Statement rows(reading.database, "SELECT jail, user, data FROM accounts ORDER BY last");
    while (rows.step()) {
        auto jail = reading.jail_at(rows);
        auto use = AccountTable::undump(rows.bytes_at(1), rows.bytes_at(2));
        if (jail && use) restore.account({*jail, use->user, std::move(use)});
    }
}

// meta

bool write_meta(Connection& database, const Checkpoint& checkpoint) {
    Statement note(database, "INSERT OR REPLACE INTO meta VALUES('note ' || ?, ?)");
    for (const auto& [name, value] : checkpoint.notes)
        if (!note.text(name).blob(value).run()) return false;
    Statement written(database, "INSERT OR REPLACE INTO meta VALUES('written', ?)");
    return written.integer(checkpoint.at.us).run();
}

void read_meta(Reading& reading, const Restore& restore) {
    Statement notes(reading.database,
                    "SELECT substr(name, 6), value FROM meta WHERE name LIKE 'note %'");
    while (notes.step())
        if (restore.note) restore.note(notes.bytes_at(0), notes.bytes_at(1));
}

// fleet

bool write_fleet(Connection& database, const std::vector<FleetRow>& rows) {
    if (rows.empty()) return true;
    Statement put(database, "INSERT OR REPLACE INTO fleet VALUES(?, ?, ?)");
    Statement forget(database, "DELETE FROM fleet WHERE kind = ? AND key = ?");
    for (const FleetRow& row : rows) {
        bool done = row.value ? put.text(row.kind).blob(row.key).blob(*row.value).run()
                              : forget.text(row.kind).blob(row.key).run();
        if (!done) return false;
    }
    return true;
}

void read_fleet(Reading& reading, const Restore& restore) {
    if (!restore.fleet) return;
    Statement rows(reading.database, "SELECT kind, key, data FROM fleet");
    while (rows.step())
        restore.fleet({std::string(rows.bytes_at(0)), std::string(rows.bytes_at(1)),
                       std::string(rows.bytes_at(2))});
}

bool write_changes(Connection& database, const Names& jails, const Changes& changes) {
    return write_windows(database, jails, changes) && write_bans(database, jails, changes) &&
           write_counts(database, jails, changes) && write_offences(database, jails, changes) &&
           write_accounts(database, jails, changes);
}

bool forget_old(Connection& database, const Checkpoint& checkpoint) {
    Statement windows(database, "DELETE FROM windows WHERE last < ?");
    Statement offences(database, "DELETE FROM offences WHERE last < ?");
    Statement accounts(database, "DELETE FROM accounts WHERE marked = 0 AND last < ?");
    return windows.integer(checkpoint.windows_before.us).run() &&
           offences.integer(checkpoint.offences_before.us).run() &&
           accounts.integer(checkpoint.accounts_before.us).run();
}

// All but what is on disk only: bans that have ended, and stories.
bool forget_memory(Connection& database) {
    return database.execute(
        "DELETE FROM files; DELETE FROM windows; DELETE FROM bans; DELETE FROM counts;"
        "DELETE FROM offences; DELETE FROM accounts; DELETE FROM meta; DELETE FROM fleet;");
}

}  // namespace

bool write_checkpoint(Connection& database, const Checkpoint& checkpoint) {
    auto write = [&](const Changes& changes) {
        return write_changes(database, checkpoint.jails, changes);
    };
    // FULL syncs SQLite's log after each transaction.
    bool good =
        (!checkpoint.must_last || database.execute("PRAGMA synchronous=FULL")) &&
        database.execute("BEGIN IMMEDIATE") && (!checkpoint.anew || forget_memory(database)) &&
        write_positions(database, checkpoint) && std::ranges::all_of(checkpoint.earlier, write) &&
        write(checkpoint.changes) && forget_old(database, checkpoint) &&
        write_meta(database, checkpoint) && write_fleet(database, checkpoint.fleet) &&
        purge_history(database, checkpoint) && database.execute("COMMIT");
    if (!good) sqlite3_exec(database.raw(), "ROLLBACK", nullptr, nullptr, nullptr);
    if (!checkpoint.must_last) return good;
    // Of a new state nothing was synced yet, not even that it is one.
    if (good && !database.was_synced()) {
        good = database.execute("PRAGMA wal_checkpoint(FULL)");
        if (good) database.set_synced();
    }
    sqlite3_exec(database.raw(), "PRAGMA synchronous=NORMAL", nullptr, nullptr, nullptr);
    return good;
}

void load_state(Connection& database, const std::vector<std::string>& jails,
                const Restore& restore) {
    // One moment, also beside a daemon that writes.
    database.execute("BEGIN");
    Reading reading(database, jails);
    count_bans(reading, restore);
    read_accounts(reading, restore);
    read_counts(reading, restore);
    read_meta(reading, restore);
    read_positions(reading, restore);
    read_ended(reading, restore);
    read_bans(reading, restore);
    read_windows(reading, restore);
    read_offences(reading, restore);
    read_fleet(reading, restore);
    database.execute("COMMIT");
}

struct KeyReader::Inside {
    Inside(Connection opened, const std::vector<std::string>& jails)
        : connection(std::move(opened)),
          jails(jails),
          reading(connection, jails),
          bans(connection,
               "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason FROM bans "
               "WHERE jail=? AND prefix=?"),
          windows(connection,
                  "SELECT jail, prefix, times, vals FROM windows WHERE jail=? AND prefix=?"),
          offences(connection,
                   "SELECT jail, prefix, count, last FROM offences WHERE jail=? AND prefix=?") {}

    template <class Take>
    void find(Statement& rows, const BanKey& key, const Take& take) {
        std::string prefix = prefix_bytes(key.prefix);
        rows.text(jail_name(jails, key.jail)).blob(prefix);
        if (rows.step()) take(rows);
        rows.reset();
    }

    Connection connection;
    Names jails;
    Reading reading;
    Statement bans, windows, offences;
};

KeyReader::KeyReader(Connection connection, const std::vector<std::string>& jails)
    : inside_(std::make_unique<Inside>(std::move(connection), jails)) {}
KeyReader::~KeyReader() = default;

Changes KeyReader::find(const BanKey& key) {
    Changes found;
    inside_->find(inside_->offences, key, [&](const Statement& row) {
        found.offences.emplace_back(key, offences_at(row));
    });
    if (key.jail == any_jail) return found;
    inside_->find(inside_->bans, key, [&](const Statement& row) {
        if (auto ban = ban_at(inside_->reading, row)) found.bans.push_back(std::move(*ban));
    });
    inside_->find(inside_->windows, key, [&](const Statement& row) {
        found.windows.push_back({key, times_at(row), values_at(row)});
    });
    return found;
}

std::vector<PastBan> read_history(Connection& database, const HistoryQuery& query) {
    std::vector<PastBan> found;
    Statement rows(database,
                   "SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, "
                   "NULL AS ended, 0 FROM bans WHERE begins >= ?1 AND (?2 = '' OR jail = ?2) "
                   "UNION ALL SELECT jail, prefix, begins, ends, offence, hits, by_hand, reason, "
                   "ended, why FROM history WHERE begins >= ?1 AND (?2 = '' OR jail = ?2) "
                   "ORDER BY begins DESC");
    rows.integer(query.since.us).text(query.jail);
    while (found.size() < query.limit && rows.step()) {
        auto prefix = prefix_from(rows.bytes_at(1));
        if (!prefix) continue;
        if (query.within && !contains(*query.within, prefix->network) &&
            !contains(*prefix, query.within->network))
            continue;
        PastBan past;
        past.jail = rows.bytes_at(0);
        past.prefix = *prefix;
        past.from = {rows.integer_at(2)};
        past.until = {rows.integer_at(3)};
        past.offence = static_cast<std::uint32_t>(rows.integer_at(4));
        past.hits = static_cast<std::uint32_t>(rows.integer_at(5));
        past.by_hand = rows.integer_at(6) != 0;
        past.reason = rows.bytes_at(7);
        if (!rows.is_null(8)) past.ended = Instant{rows.integer_at(8)};
        past.why = static_cast<Unbanned::Why>(rows.integer_at(9));
        found.push_back(std::move(past));
    }
    return found;
}

std::vector<BanDetails> read_details(Connection& database, const std::vector<PastBan>& bans) {
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
    return details;
}

}  // namespace bandd
