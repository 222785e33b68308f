// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl accounts, account.
#include <algorithm>
#include <array>

#include "core/decide/engine.h"
#include "daemon/commands.h"
#include "os/clock.h"
#include "os/log.h"

namespace bandd {
namespace {

std::string_view mark_name(Mark mark) {
    return mark == Mark::blocked ? "blocked" : mark == Mark::allowed ? "allowed" : "";
}

std::string_view standing_name(Standing standing) {
    switch (standing) {
        case Standing::good:
            return "good";
        case Standing::too_many_countries:
            return "too many countries";
        case Standing::too_many_addresses:
            return "too many addresses";
        case Standing::blocked:
            return "blocked";
    }
    return "?";
}

Json account_to_json(const AccountUse& account, const AccountTable& table, Instant at) {
    auto counted = table.counts(account, at);
    Json json{{"user", account.user},
              {"standing", standing_name(counted.standing)},
              {"mark", mark_name(account.mark)},
              {"exempt", table.is_exempt(account.user)},
              {"countries", counted.countries},
              {"addresses", counted.addresses},
              {"log_ons", account.count},
              {"last", format_rfc3339(account.last)},
              {"country_codes", Json::array()}};
    if (account.count > 0) json["first"] = format_rfc3339(account.first);
    for (const CountrySeen& seen : account.countries)
        json["country_codes"].push_back(seen.country.view());
    return json;
}

Json places_to_json(const AccountUse& account) {
    Json places = Json::array();
    for (const AddressSeen& seen : account.addresses)
        places.push_back({{"ip", to_string(seen.address)},
                          {"country", seen.country.view()},
                          {"count", seen.count},
                          {"first", format_rfc3339(seen.first)},
                          {"last", format_rfc3339(seen.last)}});
    return places;
}

Json one_account(const AccountTable& table, const std::string& user, Instant at) {
    const AccountUse* account = table.find(user);
    if (account == nullptr)
        return failure({"account \"" + user + "\"",
                        "nothing is known of it",
                        "bandctl accounts shows all that are",
                        {}});
    Json json = account_to_json(*account, table, at);
    json["places"] = places_to_json(*account);
    return success({{"accounts", Json::array({std::move(json)})},
                    {"total", 1},
                    {"simulate", table.limits().simulate}});
}

Json accounts(CommandParts& parts, const Json& arguments, const Reply&) {
    Instant at = now();
    const AccountTable& table = parts.engine.accounts();
    if (std::string user = text_argument(arguments, "user"); !user.empty())
        return one_account(table, user, at);
    struct Row {
        const AccountUse* account;
        AccountTable::Counted counted;
    };
    std::vector<Row> rows;
    table.for_each(
        [&](const AccountUse& account) { rows.push_back({&account, table.counts(account, at)}); });
    std::string sort = text_argument(arguments, "sort");
    std::size_t shown = std::min(limit_argument(arguments), rows.size());
    auto end = rows.begin() + static_cast<std::ptrdiff_t>(shown);
    std::ranges::partial_sort(rows, end, [&](const Row& a, const Row& b) {
        auto key = [&](const Row& row) -> std::int64_t {
            if (sort == "user") return 0;
            if (sort == "addresses") return -std::int64_t{row.counted.addresses};
            if (sort == "count") return -static_cast<std::int64_t>(row.account->count);
            if (sort == "last") return -row.account->last.us;
            return -std::int64_t{row.counted.countries};
        };
        if (key(a) != key(b)) return key(a) < key(b);
        if (sort.empty() && a.counted.addresses != b.counted.addresses)
            return a.counted.addresses > b.counted.addresses;
        return a.account->user < b.account->user;
    });
    Json list = Json::array();
    for (auto row = rows.begin(); row != end; ++row)
        list.push_back(account_to_json(*row->account, table, at));
    return success({{"accounts", std::move(list)},
                    {"total", rows.size()},
                    {"simulate", table.limits().simulate}});
}

Json account(CommandParts& parts, const Json& arguments, const Reply&) {
    std::string user = text_argument(arguments, "user");
    std::string verb = text_argument(arguments, "verb");
    if (user.empty()) return failure({"account", "has no name", {}, {}}, exit_usage);
    if (verb == "clear") {
        if (!parts.engine.forget_account(user))
            return failure({"account \"" + user + "\"", "nothing is known of it", {}, {}});
        parts.log.write(Severity::notice, "account {} cleared by hand", account_name(user));
        return success({{"user", account_name(user)}, {"mark", ""}});
    }
    if (verb != "block" && verb != "allow")
        return failure({"\"" + verb + "\"", "must be clear, block or allow", {}, {}}, exit_usage);
    Mark mark = verb == "block" ? Mark::blocked : Mark::allowed;
    parts.engine.mark_account(user, mark, now());
    parts.log.write(Severity::notice, "account {} {} by hand", account_name(user), mark_name(mark));
    return success({{"user", account_name(user)}, {"mark", mark_name(mark)}});
}

}  // namespace

std::span<const CommandRow> account_commands() {
    static const std::array table{
        CommandRow{"accounts", accounts},
        CommandRow{"account", account, true},
    };
    return table;
}

}  // namespace bandd
