// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/reserved.h"
#include "core/decide/access.h"
#include "core/decide/accounts.h"
#include "core/decide/engine.h"
#include "support/common.h"

#include <random>
#include <set>

using namespace bandd;
using namespace std::chrono_literals;

namespace {

AccountTable::Login login(std::string_view user, const std::string& address,
                          std::string_view country, double seconds) {
    return {user, ip(address), CountryCode::from(country), at(seconds)};
}

AccountLimits limits(std::uint32_t countries, std::uint32_t addresses) {
    AccountLimits out;
    out.countries = countries;
    out.addresses = addresses;
    return out;
}

}  // namespace

TEST_CASE("accounts: the country after the last that is allowed is too many, and said once") {
    AccountTable table(limits(2, 0));
    CHECK(table.add(login("joe", "8.8.8.8", "US", 0)).standing == Standing::good);
    CHECK(table.add(login("JOE", "9.9.9.9", "CH", 1)).standing == Standing::good);
    CHECK(table.add(login("joe", "8.8.4.4", "US", 2)).standing == Standing::good);
    CHECK(table.judge(login("joe", "5.5.5.5", "DE", 3)).standing == Standing::too_many_countries);
    CHECK(table.judge(login("joe", "5.5.5.5", "CH", 3)).standing == Standing::good);
    auto over = table.add(login("joe", "5.5.5.5", "DE", 4));
    CHECK(over.standing == Standing::too_many_countries);
    CHECK(over.notice);
    CHECK(over.countries == 3);
    CHECK(over.addresses == 4);
    CHECK_FALSE(table.add(login("joe", "5.5.5.6", "DE", 5)).notice);
    CHECK(table.judge(login("ann", "5.5.5.5", "DE", 6)).standing == Standing::good);
    // A day later only what came last is left, and the next time it is said again.
    CHECK(table.add(login("joe", "5.5.5.6", "DE", 86403)).standing == Standing::good);
    CHECK(table.add(login("joe", "8.8.8.8", "US", 86410)).standing == Standing::good);
    CHECK(table.add(login("joe", "9.9.9.9", "CH", 86411)).notice);
}

TEST_CASE("accounts: one that goes over again and again is told of once an hour") {
    constexpr double minute = 60;
    AccountLimits few = limits(1, 0);
    few.findtime = 10min;
    AccountTable table(few);
    // Over at each second one of these, and good again ten minutes later.
    auto goes_over = [&](AccountTable& in, double when) {
        in.add(login("joe", "8.8.8.8", "US", when));
        return in.add(login("joe", "9.9.9.9", "CH", when + 1)).notice;
    };
    CHECK(goes_over(table, 0));
    CHECK_FALSE(goes_over(table, 2));
    CHECK_FALSE(goes_over(table, 20 * minute));
    CHECK_FALSE(goes_over(table, 40 * minute));
    CHECK(table.held_notices() == 2);
    // A restart forgets nothing of it, nor does it go with the logins.
    AccountTable again(few);
    again.restore(AccountTable::undump("joe", AccountTable::dump(*table.find("joe"))).value());
    again.expire(at(55 * minute));
    CHECK_FALSE(goes_over(again, 55 * minute));
    // What was held back and is still so is told when it may be.
    again.add(login("joe", "8.8.8.8", "US", 59 * minute));
    CHECK(again.add(login("joe", "9.9.9.9", "CH", 60 * minute + 1)).notice);
    CHECK(again.held_notices() == 1);
    // Another account has its own hour; one that was cleared begins anew.
    CHECK_FALSE(goes_over(again, 80 * minute));
    CHECK(again.forget("joe"));
    CHECK(goes_over(again, 81 * minute));
    again.expire(at(200 * minute));
    CHECK(again.size() == 0);
}

TEST_CASE("accounts: what was told while it was only tried is told again in earnest") {
    AccountLimits tried = limits(1, 0);
    tried.simulate = true;
    AccountTable table(tried);
    table.add(login("joe", "8.8.8.8", "US", 0));
    CHECK(table.add(login("joe", "9.9.9.9", "CH", 1)).notice);
    CHECK_FALSE(table.add(login("joe", "9.9.9.9", "CH", 2)).notice);
    table.set_limits(limits(1, 0));
    CHECK(table.add(login("joe", "9.9.9.9", "CH", 3)).notice);
    CHECK_FALSE(table.add(login("joe", "9.9.9.9", "CH", 4)).notice);
    table.set_limits(tried);
    CHECK_FALSE(table.add(login("joe", "9.9.9.9", "CH", 5)).notice);
}

TEST_CASE("accounts: private and unknown places are no country, a /64 is one address") {
    AccountTable table(limits(1, 2));
    table.add(login("joe", "2001:db8::1", "", 0));
    table.add(login("joe", "2001:db8::2", "", 1));
    auto counted = table.add(login("joe", "10.1.1.1", "", 2));
    CHECK(counted.countries == 0);
    CHECK(counted.addresses == 2);
    CHECK(counted.standing == Standing::good);
    CHECK(table.add(login("joe", "10.1.1.2", "", 3)).standing == Standing::too_many_addresses);
}

TEST_CASE("accounts: what an administrator says of one counts more than its places") {
    AccountTable table(limits(1, 0));
    table.mark("Joe", Mark::blocked, at(0));
    CHECK(table.judge(login("joe", "8.8.8.8", "US", 1)).standing == Standing::blocked);
    table.mark("joe", Mark::allowed, at(2));
    table.add(login("joe", "8.8.8.8", "US", 3));
    auto counted = table.add(login("joe", "9.9.9.9", "CH", 4));
    CHECK(counted.standing == Standing::good);
    CHECK_FALSE(counted.notice);
    CHECK(counted.countries == 2);
    CHECK(table.forget("JOE"));
    CHECK_FALSE(table.forget("joe"));
    CHECK(table.find("joe") == nullptr);
}

TEST_CASE("accounts: exactly as counted by hand, whatever the order of time") {
    std::mt19937 random(7);
    AccountTable table(limits(3, 5));
    struct Seen {
        std::string address, country;
        std::int64_t time;
    };
    std::map<std::string, std::vector<Seen>> by_hand;
    std::map<std::string, std::int64_t> newest;
    std::int64_t time = 0;
    for (int i = 0; i < 20'000; ++i) {
        time += random() % 2000;
        std::string user = "user" + std::to_string(random() % 5);
        int block = static_cast<int>(random() % 9);
        std::string address = "8." + std::to_string(block) + ".0." + std::to_string(random() % 3);
        std::string country{static_cast<char>('A' + block), 'X'};
        std::int64_t when = time - static_cast<std::int64_t>(random() % 500);
        auto got = table.add(login(user, address, country, static_cast<double>(when)));
        by_hand[user].push_back({address, country, when});
        std::int64_t& last = newest[user];
        last = std::max(last, when);
        std::set<std::string> addresses, countries;
        for (const Seen& seen : by_hand[user])
            if (seen.time >= last - 86400) {
                addresses.insert(seen.address);
                countries.insert(seen.country);
            }
        REQUIRE(got.addresses == addresses.size());
        REQUIRE(got.countries == countries.size());
        REQUIRE((got.standing != Standing::good) == (countries.size() > 3 || addresses.size() > 5));
    }
}

TEST_CASE("accounts: bounded; who is near a limit or marked stays when others make room") {
    AccountLimits small = limits(3, 3);
    small.accounts = 100;
    AccountTable table(small);
    table.mark("boss", Mark::blocked, at(0));
    for (const char* address : {"8.8.8.8", "9.9.9.9", "5.5.5.5"})
        table.add(login("victim", address, "US", 1));
    for (int i = 0; i < 10'000; ++i)
        table.add(login("guess" + std::to_string(i), "8.8.8.8", "US", 2 + i * 0.001));
    CHECK(table.size() == 100);
    CHECK(table.evicted() == 10'000 - 98);
    CHECK(table.judge(login("boss", "8.8.8.8", "US", 3)).standing == Standing::blocked);
    CHECK(table.add(login("victim", "6.6.6.6", "US", 13)).standing == Standing::too_many_addresses);
    // Of one account not more addresses are kept than tell that they are too many.
    for (int i = 0; i < 1000; ++i)
        table.add(login("victim", "7.7." + std::to_string(i / 250) + "." + std::to_string(i % 250),
                        "CN", 20 + i));
    CHECK(table.find("victim")->addresses.size() == AccountTable::kept_addresses);
    CHECK(table.find("victim")->count == 1004);
    table.expire(at(200'000));
    CHECK(table.size() == 1);
    CHECK(table.find("boss") != nullptr);
}

TEST_CASE("accounts: a checkpoint has what changed, and gives it back") {
    AccountTable table(limits(2, 0));
    table.add(login("joe", "8.8.8.8", "US", 0));
    table.add(login("joe", "2001:db8:1:2::9", "CH", 1));
    table.add(login("joe", "5.5.5.5", "DE", 2));
    table.mark("ann|x", Mark::allowed, at(3));
    std::map<std::string, std::string> stored;
    auto take = [&] {
        int changes = 0;
        auto put = [&](const std::string& user, const AccountUse* account) {
            ++changes;
            if (account == nullptr)
                stored.erase(user);
            else
                stored[user] = AccountTable::dump(*account);
        };
        std::size_t most = SIZE_MAX;
        table.take_changes(put, most);
        return changes;
    };
    CHECK(take() == 2);
    CHECK(take() == 0);
    AccountTable again(limits(2, 0));
    for (const auto& [user, dump] : stored) again.restore(AccountTable::undump(user, dump).value());
    REQUIRE(again.find("joe") != nullptr);
    CHECK(AccountTable::dump(*again.find("joe")) == AccountTable::dump(*table.find("joe")));
    CHECK(again.find("ann|x")->mark == Mark::allowed);
    auto counted = again.add(login("joe", "5.5.5.5", "DE", 3));
    CHECK(counted.standing == Standing::too_many_countries);
    CHECK_FALSE(counted.notice);  // that was said before the checkpoint
    table.forget("joe");
    CHECK(take() == 1);
    CHECK_FALSE(stored.contains("joe"));
    // One that was written before it said when it was told of.
    std::string old = "1:01:11:12:10002:20001:01:0";
    CHECK(AccountTable::undump("bob", old).value().over == Over::told);
    CHECK_FALSE(AccountTable::undump("bob", "nonsense"));
    // A name of a state that knew letter case beyond ASCII.
    CHECK(AccountTable::undump("J\u00d6RG", stored["ann|x"]).value().user == "j\u00f6rg");
}

TEST_CASE("access: lines of the file of old, and what is none") {
    UsersPlaces users;
    auto bad = read_places(
        "\xef\xbb\xbfjoe@example.org|IN\r\n\n# nobody|\n ann @ example.org | 192.0.2.1 "
        "\njoe@example.org|zz9\n"
        "|IN\nbob|2001:db8::/32|his office\nJOE@example.org|us\nnonsense\n",
        users);
    REQUIRE(bad.size() == 3);
    CHECK(bad[0].number == 5);
    CHECK(bad[1].number == 6);
    CHECK(bad[2].text == "nonsense");
    CHECK(users.at("joe@example.org").countries == std::vector<std::string>{"IN", "US"});
    CHECK(users.at("ann@example.org").addresses == std::vector<Prefix>{prefix("192.0.2.1")});
    CHECK(users.at("bob").addresses == std::vector<Prefix>{prefix("2001:db8::/32")});
}

TEST_CASE("access: a decision is told as the mail proxies of old told it") {
    AccessRules rules;
    rules.everywhere = false;
    rules.countries = {"IN"};
    AccountTable accounts;
    struct Facts : bandd::Facts {
        Origin origin(const Address& address) const override {
            Origin origin;
            origin.country = is_public(address) ? "DE" : private_country;
            origin.country_name = is_public(address) ? "Germany" : "";
            return origin;
        }
    } facts;
    LoginRequest request{"imap", "bob@example.org", ip("5.5.5.5"), at(0)};
    Decision decision = decide_access(rules, accounts, &facts, request);
    CHECK(decision.permit == Permit::country);
    CHECK(access_line(request, decision) ==
          "bob@example.org : COUNTRYFAILED|imap 5.5.5.5|DE|Germany");
    request.address = ip("192.168.1.1");
    decision = decide_access(rules, accounts, &facts, request);
    CHECK(access_line(request, decision) == "bob@example.org : AUTHPASS|imap 192.168.1.1|private|");
    CHECK(accounts.size() == 0);  // nobody has proven anything
    accounts.mark("bob@example.org", Mark::blocked, at(0));
    CHECK(decide_access(rules, accounts, &facts, request).permit == Permit::account);
    // Without a database nobody is anywhere, so who lists countries lets nobody in but the near.
    CHECK(decide_access(rules, accounts, nullptr, request).origin.country == private_country);
}

TEST_CASE("accounts: desks of an office are no places, nor is the machine itself") {
    AccessRules rules;
    rules.accounts.addresses = 2;
    AccountTable accounts(rules.accounts);
    auto log_in = [&](const std::string& address, bool own = false) {
        Address from = ip(address);
        LoginRequest request{"imap", "joe", from, at(1)};
        request.proven = true;
        request.own = own;
        return decide_access(rules, accounts, nullptr, request).permit;
    };
    for (int desk = 1; desk <= 22; ++desk)
        for (const char* net : {"10.0.0.", "172.20.1.", "192.168.7.", "169.254.3."})
            CHECK(log_in(net + std::to_string(desk)) == Permit::yes);
    for (const char* address : {"fd00::1", "fd00:0:0:1::1", "fe80::1", "127.0.0.1", "::1"})
        CHECK(log_in(address) == Permit::yes);
    CHECK(log_in("198.51.100.1", true) == Permit::yes);
    CHECK(accounts.find("joe") == nullptr);
    CHECK(log_in("198.51.100.2") == Permit::yes);
    CHECK(log_in("198.51.100.3") == Permit::yes);
    CHECK(log_in("172.32.0.1") == Permit::account);
    // Who is over is over at his desk, too.
    CHECK(log_in("192.168.7.1") == Permit::account);
}

TEST_CASE("accounts: what is only tried refuses nobody, and hides nothing that is in force") {
    AccessRules rules;
    rules.everywhere = false;
    rules.countries = {"US"};
    rules.accounts.addresses = 1;
    AccountTable accounts(rules.accounts);
    auto log_in = [&](const std::string& address) {
        LoginRequest request{"imap", "joe", ip(address), at(1)};
        request.proven = true;
        Decision decision = decide_access(rules, accounts, nullptr, request);
        return std::pair(decision, access_line(request, decision));
    };
    // Without a database all of them are in no country.
    rules.simulate = true;
    auto [first, first_line] = log_in("8.8.8.8");
    CHECK(first.permit == Permit::yes);
    CHECK(first.only_simulated());
    CHECK(first_line == "joe : COUNTRYFAILED|imap 8.8.8.8|unknown| (simulate)");
    auto [second, second_line] = log_in("9.9.9.9");
    CHECK(second.permit == Permit::account);
    CHECK_FALSE(second.only_simulated());
    CHECK(second_line == "joe : ACCOUNTFAILED|imap 9.9.9.9|unknown||2 addresses in 1d");
    rules.accounts.simulate = true;
    rules.simulate = false;
    CHECK(log_in("9.9.9.9").first.permit == Permit::country);
    rules.everywhere = true;
    auto [third, third_line] = log_in("9.9.9.9");
    CHECK(third.permit == Permit::yes);
    CHECK(third_line == "joe : ACCOUNTFAILED|imap 9.9.9.9|unknown||2 addresses in 1d (simulate)");
    accounts.mark("joe", Mark::blocked, at(2));
    CHECK(log_in("9.9.9.9").first.permit == Permit::account);
}

TEST_CASE("accounts: one user may more or less than all, and who is exempt is never over") {
    AccountLimits some = limits(2, 3);
    some.users["bob"] = {3, {}};
    some.users["ann"] = {{}, 1};
    some.users["eve"] = {0, 0};
    some.users["many"] = {0, 150};
    some.exempt = {"postmaster"};
    AccountTable table(some);
    // From how many countries, with an address each, a user may log in.
    auto places = [&](const std::string& user) {
        for (int i = 1; i <= 20; ++i) {
            std::string country{'A', static_cast<char>('A' + i)};
            auto next = login(user, "8.0.0." + std::to_string(i), country, i);
            bool good = table.judge(next).standing == Standing::good;
            REQUIRE(good == (table.add(next).standing == Standing::good));
            if (!good) return i - 1;
        }
        return 20;
    };
    CHECK(places("joe") == 2);
    CHECK(places("Bob") == 3);
    CHECK(places("ann") == 1);
    CHECK(places("eve") == 20);
    CHECK(places("PostMaster") == 20);
    CHECK_FALSE(table.add(login("postmaster", "9.9.9.9", "ZZ", 30)).notice);
    // So many addresses are kept that more than the limit can be told.
    for (int i = 0; i < 150; ++i)
        CHECK(table.add(login("many", "7.0.0." + std::to_string(i), "US", 40 + i)).standing ==
              Standing::good);
    CHECK(table.add(login("many", "7.0.1.0", "US", 200)).standing == Standing::too_many_addresses);
    // By hand is by hand.
    table.mark("postmaster", Mark::blocked, at(300));
    CHECK(table.judge(login("postmaster", "9.9.9.9", "ZZ", 301)).standing == Standing::blocked);
}
