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
    CHECK(over.just_over);
    CHECK(over.countries == 3);
    CHECK(over.addresses == 4);
    CHECK_FALSE(table.add(login("joe", "5.5.5.6", "DE", 5)).just_over);
    CHECK(table.judge(login("ann", "5.5.5.5", "DE", 6)).standing == Standing::good);
    // A day later only what came last is left, and the next time it is said again.
    CHECK(table.add(login("joe", "5.5.5.6", "DE", 86403)).standing == Standing::good);
    CHECK(table.add(login("joe", "8.8.8.8", "US", 86410)).standing == Standing::good);
    CHECK(table.add(login("joe", "9.9.9.9", "CH", 86411)).just_over);
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
    CHECK_FALSE(counted.just_over);
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
        table.take_changes([&](const std::string& user, const AccountUse* account) {
            ++changes;
            if (account == nullptr)
                stored.erase(user);
            else
                stored[user] = AccountTable::dump(*account);
        });
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
    CHECK_FALSE(counted.just_over);  // that was said before the checkpoint
    table.forget("joe");
    CHECK(take() == 1);
    CHECK_FALSE(stored.contains("joe"));
    CHECK_FALSE(AccountTable::undump("bob", "nonsense"));
    CHECK_FALSE(AccountTable::undump("Bob", stored["ann|x"]));
}

TEST_CASE("access: lines of the file of old, and what is none") {
    UsersPlaces users;
    auto bad = read_places(
        "joe@example.org|IN\r\n\n# nobody|\n ann @ example.org | 192.0.2.1 \njoe@example.org|zz9\n"
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
