// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/fail2ban_database.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <tuple>
#include <unordered_map>

#include "store/database.h"

namespace bandd::fail2ban {
namespace {

constexpr int newest_version = 4;  // that of fail2ban 0.11 to 1.1
constexpr int first_with_bantime = 3;
constexpr int first_with_bips = 4;
constexpr int longest_wait = 5000;       // ms for a fail2ban that writes
constexpr int largest_value = 16 << 20;  // bytes; a ban has at most ten lines
constexpr std::int64_t rows_at_a_time = 10'000;
constexpr std::size_t longest_example = 60;
constexpr std::size_t most_jails = 10'000;
constexpr double seconds_from_the_future = 86'400;  // a clock that was set back
constexpr double as_good_as_for_ever = 100.0 * 366 * 86'400;

class DatabaseReader {
  public:
    DatabaseReader(const std::string& path, Instant now,
                   const std::function<void(std::uint64_t, std::uint64_t)>& show)
        : path_(path), now_(static_cast<double>(now.us) / 1e6), show_(show) {}

    Result<FormerBans> run() {
        if (auto opened = open(); !opened) return std::unexpected(opened.error());
        auto version = read_version();
        if (!version) return std::unexpected(version.error());
        all_ = count("bans") + (*version >= first_with_bips ? count("bips") : 0);
        read_jails();
        if (*version >= first_with_bips) read_rows("bips", "bantime, bancount");
        read_rows("bans", *version >= first_with_bantime ? "bantime, bancount" : "-2, 1");
        if (database_.failure()) return std::unexpected(damaged());
        sort();
        if (*version < first_with_bips) mark_last();
        return std::move(out_);
    }

  private:
    Result<> open() {
        std::error_code fault;
        auto kind = std::filesystem::status(path_, fault).type();
        if (kind != std::filesystem::file_type::regular)
            return fail("\"" + path_ + "\"",
                        kind == std::filesystem::file_type::not_found ? "is not there"
                        : fault                                       ? fault.message()
                                                                      : "is no file",
                        "name fail2ban's database with --database FILE");
        sqlite3* raw = nullptr;
        int opened = sqlite3_open_v2(path_.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
        database_ = Connection(raw);
        if (!database_.check(opened))
            return fail("\"" + path_ + "\"", "cannot be opened: " + database_.failure()->message,
                        "name fail2ban's database with --database FILE");
        sqlite3_busy_timeout(raw, longest_wait);
        sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, largest_value);
        database_.execute("PRAGMA query_only = ON");
        // Views and functions of a made-up file are not for us to run.
        database_.execute("PRAGMA trusted_schema = OFF");
        return {};
    }

    Error damaged() {
        const SqliteFailure failure = *database_.take_failure();
        if (failure.code == SQLITE_BUSY)
            return {"\"" + path_ + "\"", "fail2ban writes to it all the while", "try again", {}};
        return {"\"" + path_ + "\"",
                "is damaged: " + failure.message,
                "nothing was taken; sqlite3's .recover may save what is left",
                {}};
    }

    // Real tables only.
    bool has_table(const char* name) {
        Statement ask(database_, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
        return ask.text(name).step();
    }

    Result<int> read_version() {
        bool ours = has_table("fail2banDb") && has_table("bans") && has_table("jails");
        if (database_.failure() && database_.failure()->code != SQLITE_NOTADB)
            return std::unexpected(damaged());
        if (!ours)
            return fail("\"" + path_ + "\"", "is no database of fail2ban's",
                        "name fail2ban's with --database FILE; its fail2ban.conf says where it is "
                        "(dbfile)");
        std::int64_t version = 0;
        {
            Statement ask(database_, "SELECT version FROM fail2banDb LIMIT 1");
            if (ask.step()) version = ask.integer_at(0);
        }
        if (database_.failure()) return std::unexpected(damaged());
        if (version > newest_version)
            return fail("\"" + path_ + "\"", "is of a newer fail2ban (version " +
                                                 std::to_string(version) +
                                                 " of the database; bandctl knows " +
                                                 std::to_string(newest_version) + ")");
        if (version < 1 || (version >= first_with_bips && !has_table("bips")))
            return fail("\"" + path_ + "\"", "is no whole database of fail2ban's");
        return static_cast<int>(version);
    }

    std::uint64_t count(const char* table) {
        Statement ask(database_, ("SELECT count(*) FROM " + std::string(table)).c_str());
        return ask.step() ? static_cast<std::uint64_t>(std::max<std::int64_t>(ask.integer_at(0), 0))
                          : 0;
    }

    void read_jails() {
        Statement rows(database_, "SELECT name FROM jails WHERE enabled = 1");
        while (rows.step())
            if (auto jail = jail_of(rows.bytes_at(0))) out_.running[*jail] = true;
    }

    std::optional<std::uint32_t> jail_of(std::string_view name) {
        auto known = jails_.find(std::string(name));
        if (known != jails_.end()) return known->second;
        if (name.empty() || out_.jails.size() >= most_jails) return {};
        auto index = static_cast<std::uint32_t>(out_.jails.size());
        out_.jails.emplace_back(name);
        out_.running.push_back(false);
        jails_.emplace(name, index);
        return index;
    }

    // A piece of a table at a time: between two, fail2ban can write.
    void read_rows(const std::string& table, const std::string& columns) {
        std::string sql =
            "SELECT rowid, jail, ip, typeof(timeofban), timeofban, typeof(b), b, n, "
            "CASE WHEN json_valid(data) THEN json_extract(data, '$.failures') END FROM "
            "(SELECT rowid, jail, ip, timeofban, " +
            columns.substr(0, columns.find(',')) + " AS b," +
            columns.substr(columns.find(',') + 1) + " AS n, data FROM " + table +
            " WHERE rowid > ? ORDER BY rowid LIMIT ?)";
        Statement rows(database_, sql.c_str());
        std::int64_t after = INT64_MIN;
        for (std::int64_t taken = rows_at_a_time; taken == rows_at_a_time;) {
            taken = 0;
            rows.integer(after).integer(rows_at_a_time);
            while (rows.step()) {
                ++taken;
                after = rows.integer_at(0);
                take_row(rows, table == "bips");
            }
            rows.reset();
            done_ += static_cast<std::uint64_t>(taken);
            if (show_) show_(done_, all_);
        }
    }

    void take_row(const Statement& row, bool last) {
        std::string_view ip = row.bytes_at(2);
        auto prefix = parse_prefix(ip);
        if (!prefix) return refuse("no address", ip);
        auto is_number = [&](int column) {
            std::string_view type = row.bytes_at(column);
            return type == "integer" || type == "real";
        };
        double from = row.real_at(4), bantime = row.real_at(6);
        if (!is_number(3) || !(from > 0) || from > now_ + seconds_from_the_future)
            return refuse("a time that cannot be", ip);
        if (!is_number(5) || !(bantime >= 0 || bantime == -1 || bantime == -2))
            return refuse("a bantime that cannot be", ip);
        if (out_.bans.size() >= most_former_bans) return refuse("more than bandctl takes", ip);
        auto jail = jail_of(row.bytes_at(1));
        if (!jail) return refuse("no jail", ip);
        FormerBan ban;
        ban.jail = *jail;
        ban.prefix = *prefix;
        ban.from = {std::llround(from * 1e6)};
        if (bantime == -1 || bantime > as_good_as_for_ever)
            ban.bantime = forever;
        else if (bantime >= 0)
            ban.bantime = Duration{std::llround(bantime * 1e6)};
        ban.offence = number_at(row, 7, 1);
        ban.failures = number_at(row, 8, 0);
        ban.last = last;
        out_.bans.push_back(ban);
    }

    static std::uint32_t number_at(const Statement& row, int column, std::int64_t least) {
        constexpr std::int64_t most = 1'000'000;
        return static_cast<std::uint32_t>(std::clamp(row.integer_at(column), least, most));
    }

    void refuse(const char* why, std::string_view ip) {
        auto known = std::ranges::find(out_.unusable, std::string_view(why), &Unusable::why);
        if (known == out_.unusable.end())
            known =
                out_.unusable.insert(known, {why, 0, std::string(ip.substr(0, longest_example))});
        ++known->count;
    }

    // What is in both tables is one ban.
    void sort() {
        auto key = [](const FormerBan& ban) {
            return std::tuple(ban.from, ban.jail, ban.prefix.network.bytes, ban.prefix.length,
                              !ban.last);
        };
        std::ranges::sort(out_.bans,
                          [&](const FormerBan& a, const FormerBan& b) { return key(a) < key(b); });
        auto same = [](const FormerBan& a, const FormerBan& b) {
            return a.from == b.from && a.jail == b.jail && a.prefix == b.prefix;
        };
        auto rest = std::ranges::unique(out_.bans, same);
        out_.bans.erase(rest.begin(), rest.end());
    }

    void mark_last() {
        struct Hash {
            std::size_t operator()(const std::pair<std::uint32_t, Prefix>& key) const {
                return PrefixHash{}(key.second) ^ (key.first * 0x9e3779b97f4a7c15U);
            }
        };
        std::unordered_map<std::pair<std::uint32_t, Prefix>, std::size_t, Hash> last;
        for (std::size_t i = 0; i < out_.bans.size(); ++i)
            last[{out_.bans[i].jail, out_.bans[i].prefix}] = i;
        for (const auto& [key, i] : last) out_.bans[i].last = true;
    }

    const std::string& path_;
    double now_;
    const std::function<void(std::uint64_t, std::uint64_t)>& show_;
    Connection database_;
    FormerBans out_;
    std::unordered_map<std::string, std::uint32_t> jails_;
    std::uint64_t done_ = 0, all_ = 0;
};

}  // namespace

bool FormerBans::is_ended(const FormerBan& ban) const {
    // A fail2ban that was stopped would go on with all of them.
    bool stopped = std::ranges::find(running, true) == running.end();
    return !ban.last || (!stopped && !running[ban.jail]);
}

Result<FormerBans> read_database(const std::string& path, Instant now,
                                 const std::function<void(std::uint64_t, std::uint64_t)>& show) {
    return DatabaseReader(path, now, show).run();
}

}  // namespace bandd::fail2ban
