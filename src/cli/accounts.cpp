// SPDX-License-Identifier: GPL-2.0-or-later
// Accounts, and from where they were used: accounts lists them, account shows and marks one.
#include <fmt/format.h>

#include "cli/call.h"
#include "cli/output.h"

namespace bandd {
namespace {

std::string countries_of(const Json& account) {
    std::string codes;
    for (const Json& code : list(account, "country_codes"))
        codes += (codes.empty() ? "" : " ") + code.get<std::string>();
    return codes;
}

std::string state_of(const Json& account) {
    std::string standing = text(account, "standing");
    if (standing != "good") return red(standing);
    if (text(account, "mark") == "allowed") return "allowed";
    return account.value("exempt", false) ? "exempt" : standing;
}

void print_if_simulated(const Json& result) {
    if (result.value("simulate", false))
        print_wrapped("{}\n", yellow("simulate: only what is blocked by hand is refused"));
}

int print_accounts(const Json& result) {
    const Json& accounts = list(result, "accounts");
    if (accounts.empty() && result.value("total", 0) == 0) {
        print_wrapped("no logins were counted\n");
        return exit_done;
    }
    std::vector<std::vector<std::string>> rows;
    for (const Json& account : accounts)
        rows.push_back({text(account, "user"), text(account, "countries"),
                        text(account, "addresses"), text(account, "log_ons"),
                        local_time(text(account, "first")), local_time(text(account, "last")),
                        state_of(account), countries_of(account)});
    print_table({"ACCOUNT", "COUNTRIES", "ADDRESSES", "LOGINS", "FIRST", "LAST", "STATE", "FROM"},
                rows, {"FIRST", "LOGINS"});
    print_rest(result, accounts.size());
    print_if_simulated(result);
    return exit_done;
}

int print_account(const Json& result) {
    for (const Json& account : list(result, "accounts")) {
        print_wrapped("{}  {}\n", bold(text(account, "user")), state_of(account));
        print_wrapped("  {} countries, {} addresses, {}\n", text(account, "countries"),
                      text(account, "addresses"), count(account, "log_ons", "login"));
        std::vector<std::vector<std::string>> rows;
        for (const Json& place : list(account, "places"))
            rows.push_back({text(place, "ip"), text(place, "country"), text(place, "count"),
                            local_time(text(place, "first")), local_time(text(place, "last"))});
        if (!rows.empty()) print_table({"ADDRESS", "COUNTRY", "LOGINS", "FIRST", "LAST"}, rows);
    }
    print_if_simulated(result);
    return exit_done;
}

int print_marked(const Json& result) {
    std::string mark = text(result, "mark");
    print_wrapped("account {} {}\n", text(result, "user"),
                  mark.empty() ? "is forgotten" : "is " + mark + ", until it is cleared");
    return exit_done;
}

}  // namespace

Run accounts_command(CommandLine& line) {
    struct Options {
        std::string sort;  // empty if bandd's own order
        std::size_t limit = 10'000;
    };
    auto options = std::make_shared<Options>();
    line.choice("--sort", options->sort, {"countries", "addresses", "count", "last", "user"},
                "countries, addresses, count, last or user");
    line.number("--limit", options->limit, "show at most so many");
    return [options](const CommonOptions& common) {
        return call(common, "accounts", {{"sort", options->sort}, {"limit", options->limit}},
                    print_accounts);
    };
}

Run account_command(CommandLine& line) {
    struct Options {
        std::string user, verb;
    };
    auto options = std::make_shared<Options>();
    line.text("name", options->user, "its name, as it logs in", Must::be_given);
    line.choice("verb", options->verb, {"clear", "block", "allow"},
                "clear: forget its logins, and whether it is blocked or allowed; block: refuse it; "
                "allow: from any number of addresses and countries");
    return [options](const CommonOptions& common) {
        if (options->verb.empty())
            return call(common, "accounts", {{"user", options->user}}, print_account);
        return call(common, "account", {{"user", options->user}, {"verb", options->verb}},
                    print_marked);
    };
}

}  // namespace bandd
