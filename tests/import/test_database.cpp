// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's database: what it says of bans, and what is refused of it.
#include "import/fail2ban_database.h"
#include "store/database.h"
#include "support/common.h"

using namespace bandd;
using namespace bandd::fail2ban;

namespace {

// As fail2ban 1.0.2 makes them.
constexpr const char* tables =
    "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);"
    "CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);"
    "CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL,"
    " bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON);"
    "CREATE TABLE bips(ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL,"
    " bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1, data JSON,"
    " PRIMARY KEY(ip, jail));";

struct Database {
    TempDirectory dir;
    std::string path = dir / "fail2ban.sqlite3";
    Instant now{1'800'000'000'000'000};  // 2027-01-15

    explicit Database(const std::string& sql = tables) { run(sql); }
    void run(const std::string& sql) {
        sqlite3* raw = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
        Connection connection(raw);
        INFO(sqlite3_errmsg(raw));
        REQUIRE(connection.execute(sql.c_str()));
    }
    // In both tables, as fail2ban does.
    void ban(const std::string& jail, const std::string& ip, const std::string& from,
             const std::string& bantime, int count = 1, const std::string& data = "'{}'") {
        std::string values = from + "," + bantime + "," + std::to_string(count) + "," + data + ")";
        run("INSERT OR IGNORE INTO jails VALUES('" + jail +
            "', 1);"
            "INSERT INTO bans VALUES('" +
            jail + "','" + ip + "'," + values + ";" + "INSERT OR REPLACE INTO bips VALUES('" + ip +
            "','" + jail + "'," + values);
    }
    FormerBans read() {
        auto read = read_database(path, now);
        INFO((read ? "" : to_line(read.error())));
        REQUIRE(read);
        return *read;
    }
    std::string refused() {
        auto read = read_database(path, now);
        REQUIRE_FALSE(read);
        return to_line(read.error());
    }
};

std::vector<std::string> told(const FormerBans& all) {
    std::vector<std::string> lines;
    for (const FormerBan& ban : all.bans)
        lines.push_back(all.jails[ban.jail] + " " + to_string(ban.prefix) + " from " +
                        std::to_string(ban.from.us / 1'000'000 - 1'800'000'000) + " for " +
                        (ban.bantime ? format_duration(*ban.bantime) : "?") + " #" +
                        std::to_string(ban.offence) + " " + std::to_string(ban.failures) +
                        (all.is_ended(ban) ? " ended" : ""));
    return lines;
}

}  // namespace

TEST_CASE_METHOD(Database, "fail2ban's database: bans in force, earlier ones, for ever") {
    ban("sshd", "203.0.113.9", "1799990000", "600");
    ban("sshd", "203.0.113.9", "1799999000", "1200.5", 2, R"('{"failures": 7, "matches": []}')");
    ban("sshd", "2001:db8::9", "1799999100", "-1");
    ban("postfix", "198.51.100.0/24", "1799999200", "3600");
    CHECK(told(read()) ==
          std::vector<std::string>{"sshd 203.0.113.9 from -10000 for 10m #1 0 ended",
                                   "sshd 203.0.113.9 from -1000 for 20m #2 7",
                                   "sshd 2001:db8::9 from -900 for forever #1 0",
                                   "postfix 198.51.100.0/24 from -800 for 1h #1 0"});
}

TEST_CASE_METHOD(Database,
                 "fail2ban's database: a jail that it does not run any more has no bans") {
    ban("sshd", "203.0.113.1", "1799999000", "3600");
    ban("gone", "203.0.113.2", "1799999000", "3600");
    run("UPDATE jails SET enabled = 0 WHERE name = 'gone'");
    CHECK(told(read()) ==
          std::vector<std::string>{"sshd 203.0.113.1 from -1000 for 1h #1 0",
                                   "gone 203.0.113.2 from -1000 for 1h #1 0 ended"});
    // fail2ban that was stopped goes on with all of them.
    run("UPDATE jails SET enabled = 0");
    CHECK(told(read()) == std::vector<std::string>{"sshd 203.0.113.1 from -1000 for 1h #1 0",
                                                   "gone 203.0.113.2 from -1000 for 1h #1 0"});
}

TEST_CASE_METHOD(Database, "fail2ban's database: rows that are no bans are counted") {
    ban("sshd", "203.0.113.1", "1799999000", "3600");
    ban("sshd", "bob@example.org", "1799999000", "3600");
    ban("sshd", "300.0.113.1", "1799999000", "3600");
    ban("sshd", "", "1799999000", "3600");
    ban("sshd", "203.0.113.2", "9000000000000000000", "3600");
    ban("sshd", "203.0.113.3", "-5", "3600");
    ban("sshd", "203.0.113.4", "'never'", "3600");
    ban("sshd", "203.0.113.5", "1799999000", "-7");
    ban("sshd", "203.0.113.6", "1799999000", "'x'");
    ban("", "203.0.113.7", "1799999000", "3600");
    ban("sshd", "203.0.113.8", "1799999000", "1e300", -4, "'{\"failures\": \"many'");
    FormerBans all = read();
    CHECK(told(all) == std::vector<std::string>{"sshd 203.0.113.1 from -1000 for 1h #1 0",
                                                "sshd 203.0.113.8 from -1000 for forever #1 0"});
    std::vector<std::string> unusable;
    for (const Unusable& row : all.unusable)
        unusable.push_back(std::string(row.why) + " " + std::to_string(row.count) + " " +
                           row.example);
    // Each stands in two tables.
    CHECK(unusable == std::vector<std::string>{
                          "no address 6 bob@example.org", "a time that cannot be 6 203.0.113.2",
                          "a bantime that cannot be 4 203.0.113.5", "no jail 2 203.0.113.7"});
}

TEST_CASE("fail2ban's database: those of older ones have no bantime, or no last bans") {
    Database two(
        "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(2);"
        "CREATE TABLE jails(name TEXT, enabled INTEGER); INSERT INTO jails VALUES('sshd', 1);"
        "CREATE TABLE bans(jail TEXT, ip TEXT, timeofban INTEGER, data JSON);"
        "INSERT INTO bans VALUES('sshd','203.0.113.9',1799990000,'{}'),"
        "('sshd','203.0.113.9',1799999000,'{}')");
    CHECK(told(two.read()) ==
          std::vector<std::string>{"sshd 203.0.113.9 from -10000 for ? #1 0 ended",
                                   "sshd 203.0.113.9 from -1000 for ? #1 0"});
}

TEST_CASE("fail2ban's database: another one, a newer one, a damaged one are refused") {
    SECTION("none") {
        Database none;
        none.path = none.dir / "nothing";
        CHECK(none.refused() == "\"" + none.path +
                                    "\": is not there; name "
                                    "fail2ban's database with --database FILE");
    }
    SECTION("no database") {
        Database text;
        write_file(text.path, std::string(5000, 'x'));
        CHECK(text.refused().starts_with("\"" + text.path + "\": is no database of fail2ban's; "));
    }
    SECTION("an empty file") {
        Database empty;
        write_file(empty.path, "");
        CHECK(
            empty.refused().starts_with("\"" + empty.path + "\": is no database of fail2ban's; "));
    }
    SECTION("foreign") {
        Database other("CREATE TABLE bans(x)");
        CHECK(
            other.refused().starts_with("\"" + other.path + "\": is no database of fail2ban's; "));
    }
    SECTION("views in place of tables") {
        Database views(
            "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(4);"
            "CREATE TABLE jails(name TEXT, enabled INTEGER);"
            "CREATE VIEW bans AS WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x FROM n) "
            "SELECT x FROM n");
        CHECK(
            views.refused().starts_with("\"" + views.path + "\": is no database of fail2ban's; "));
    }
    SECTION("newer") {
        Database newer;
        newer.run("UPDATE fail2banDb SET version = 5");
        CHECK(newer.refused() == "\"" + newer.path +
                                     "\": is of a newer fail2ban (version 5 of the database; "
                                     "bandctl knows 4)");
    }
    SECTION("damaged") {
        Database damaged;
        std::string rows;
        for (int i = 0; i < 2000; ++i)
            rows += (rows.empty() ? "" : ",") +
                    std::string("('sshd','203.0.113.9',1799999000,600,") + "1,'" +
                    std::string(100, 'x') + "')";
        damaged.run("INSERT INTO bans VALUES" + rows);
        std::string bytes = read_file(damaged.path);
        for (std::size_t i = bytes.size() / 2; i < bytes.size() - 8192; ++i) bytes[i] = '\x55';
        write_file(damaged.path, bytes);
        CHECK(damaged.refused().starts_with("\"" + damaged.path + "\": is damaged: "));
    }
}

TEST_CASE_METHOD(Database, "fail2ban's database: it is read beside a fail2ban that writes") {
    ban("sshd", "203.0.113.1", "1799999000", "3600");
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
    Connection fail2ban(raw);
    fail2ban.execute("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    // Between two pieces.
    run("WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 25000) "
        "INSERT INTO bans SELECT 'sshd', '203.0.113.9', 1700000000 + x, 60, 1, '{}' FROM n");
    std::string before = read_file(path);
    int written = 0;
    auto read = read_database(path, now, [&](std::uint64_t, std::uint64_t) {
        if (fail2ban.execute("UPDATE jails SET enabled = 1")) ++written;
    });
    REQUIRE(read);
    CHECK(read->bans.size() == 25001);
    CHECK(written >= 3);
}
