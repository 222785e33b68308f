// SPDX-License-Identifier: GPL-2.0-or-later
// Accounts, and from where they were used.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/ask.h"
#include "cli/command.h"
#include "cli/output.h"

namespace bandd {
namespace {

std::string codes_of(const Json& account) {
    std::string codes;
    for (const Json& code : account.value("country_codes", Json::array()))
        codes += (codes.empty() ? "" : " ") + code.get<std::string>();
    return codes;
}

std::string standing_of(const Json& account) {
    std::string standing = text(account, "standing");
    if (standing != "good") return red(standing);
    return text(account, "mark") == "allowed" ? "allowed" : standing;
}

}  // namespace

int run_accounts(const CommonOptions& common, const RemoteOptions& options) {
    int code = 0;
    std::string sort = options.sort == "from" ? "" : options.sort;
    auto result = ask(common, "accounts", {{"sort", sort}, {"limit", options.limit}}, code);
    if (!result) return code;
    const Json& accounts = (*result)["accounts"];
    if (accounts.empty()) {
        fmt::print("no logins were counted\n");
        return code;
    }
    std::vector<std::vector<std::string>> rows;
    for (const Json& account : accounts)
        rows.push_back({text(account, "user"), text(account, "countries"),
                        text(account, "addresses"), text(account, "log_ons"),
                        local_time(text(account, "first")), local_time(text(account, "last")),
                        standing_of(account), codes_of(account)});
    print_table({"ACCOUNT", "COUNTRIES", "ADDRESSES", "LOG-ONS", "FIRST", "LAST", "STATE", "FROM"},
                rows);
    if (auto total = result->value("total", std::size_t{0}); total > accounts.size())
        fmt::print("… and {} more: use --limit\n", total - accounts.size());
    return code;
}

int run_account(const CommonOptions& common, const RemoteOptions& options) {
    int code = 0;
    if (!options.verb.empty()) {
        auto result =
            ask(common, "account", {{"user", options.user}, {"verb", options.verb}}, code);
        if (!result) return code;
        std::string mark = text(*result, "mark");
        fmt::print("account {} {}\n", text(*result, "user"),
                   mark.empty() ? "is forgotten" : "is " + mark + ", until it is cleared");
        return code;
    }
    auto result = ask(common, "accounts", {{"user", options.user}}, code);
    if (!result) return code;
    const Json& account = (*result)["accounts"][0];
    fmt::print("{}  {}\n", bold(text(account, "user")), standing_of(account));
    fmt::print("  {} countries, {} addresses, {}\n", text(account, "countries"),
               text(account, "addresses"), count(account, "log_ons", "login"));
    std::vector<std::vector<std::string>> rows;
    for (const Json& place : account["places"])
        rows.push_back({text(place, "ip"), text(place, "country"), text(place, "count"),
                        local_time(text(place, "first")), local_time(text(place, "last"))});
    if (!rows.empty()) print_table({"ADDRESS", "COUNTRY", "LOG-ONS", "FIRST", "LAST"}, rows);
    return code;
}

}  // namespace bandd
