// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/end_users.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("end users: known by the name of their host, as the list of MIMEDefang's users had it") {
    EndUserRules rules;
    auto refused = [&](const std::string& address, const char* name, const char* reverse = "") {
        return end_user_reason(rules, {ip(address), name, reverse}).has_value();
    };
    const char* customer = "24-196-192-021.dhcp.hckr.nc.charter.com";
    CHECK(refused("24.196.192.21", customer, customer));
    CHECK(refused("8.1.0.1", "cable-7.isp.example"));
    CHECK_FALSE(refused("8.1.0.1", "mail.example.org", "mail.example.org"));
    // Of whom nothing is known nothing is said.
    CHECK_FALSE(refused("8.1.0.1", "unknown", "unknown"));
    CHECK_FALSE(refused("8.1.0.1", "", ""));
    // The provider says that it is a customer's line, though it does not lead back.
    CHECK(refused("8.1.0.1", "unknown", "dsl-7.isp.example"));
    CHECK(name_of({ip("8.1.0.1"), "unknown", "dsl-7.isp.example"}) == "dsl-7.isp.example");
    CHECK(name_of({ip("8.1.0.1"), "unknown", "unknown"}) == "");
    // The office's own leases.
    CHECK_FALSE(refused("192.168.1.7", "dhcp-7.office.example.org"));
}

TEST_CASE("end users: exceptions, which nobody gives to himself") {
    EndUserRules rules;
    std::vector<Prefix> office{prefix("8.2.0.0/16")};
    rules.except = PrefixSet(office);
    rules.except_names = {"*.dsl.friend.example"};
    rules.words = {"kunde"};
    auto refused = [&](const std::string& address, const char* name, const char* reverse = "") {
        return end_user_reason(rules, {ip(address), name, reverse}).has_value();
    };
    CHECK_FALSE(refused("8.2.0.9", "dsl-7.isp.example"));
    CHECK_FALSE(refused("8.1.0.1", "Mail.DSL.friend.example"));
    CHECK(refused("8.1.0.1", "unknown", "mail.dsl.friend.example"));
    CHECK(refused("8.1.0.1", "kunde7.isp.example"));
}
