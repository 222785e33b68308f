// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/reserved.h"
#include "core/decide/broadband.h"
#include "core/decide/condition.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct SomeFacts : Facts {
    mutable int look_ups = 0;
    Origin origin(const Address& address) const override {
        ++look_ups;
        Origin origin;
        origin.country = is_public(address) ? unknown_country : private_country;
        if (address == ip("77.88.8.8")) return {"RU", "Russia", "EU", 13238, "Yandex", "", ""};
        if (address == ip("8.8.8.8")) return {"US", "United States", "NA", 15169, "Google", "", ""};
        return origin;
    }
};

Truth evaluate(const std::string& text, const std::string& address, const Fields& fields = {}) {
    SomeFacts facts;
    auto condition = Condition::parse(text);
    INFO(text);
    if (!condition) INFO(condition.error().what);
    REQUIRE(condition);
    Address who = ip(address);
    return condition->evaluate({who, fields, &facts});
}
bool holds(const std::string& text, const std::string& address, const Fields& fields = {}) {
    return evaluate(text, address, fields) == Truth::yes;
}

std::string fault(const std::string& text) {
    auto condition = Condition::parse(text);
    if (condition) return "none";
    const ConditionFault& found = condition.error();
    return std::to_string(found.offset) + ": " + found.what +
           (found.hint.empty() ? "" : "; " + found.hint);
}

}  // namespace

TEST_CASE("where: countries, continents, networks and addresses") {
    CHECK(holds("country in [RU, CN]", "77.88.8.8"));
    CHECK(holds("country in [ru]", "77.88.8.8"));
    CHECK_FALSE(holds("country in [RU, CN]", "8.8.8.8"));
    CHECK(holds("country not in [RU, CN]", "8.8.8.8"));
    CHECK(holds("country is RU", "77.88.8.8"));
    CHECK(holds("country is not RU", "8.8.8.8"));
    CHECK(holds("country = RU", "77.88.8.8"));
    CHECK(holds("country != RU", "8.8.8.8"));
    CHECK(holds("continent in [EU]", "77.88.8.8"));
    CHECK(holds("asn in [AS13238, 64500]", "77.88.8.8"));
    CHECK_FALSE(holds("asn in [64500]", "77.88.8.8"));
    CHECK(holds("ip in [77.88.0.0/16, 2001:db8::/32]", "77.88.8.8"));
    CHECK(holds("ip in [77.88.0.0/16, 2001:db8::/32]", "2001:db8::1"));
    CHECK_FALSE(holds("ip in [77.88.0.0/16]", "8.8.8.8"));
}

TEST_CASE("where: and, or, not, parentheses") {
    Fields fields{{"user", "joe"}};
    CHECK(holds("country is RU and user is joe", "77.88.8.8", fields));
    CHECK_FALSE(holds("country is RU and user is ann", "77.88.8.8", fields));
    CHECK(holds("country is US or user is joe", "77.88.8.8", fields));
    CHECK(holds("not country is US", "77.88.8.8"));
    CHECK(holds("not not country is RU", "77.88.8.8"));
    // "and" binds stronger than "or".
    CHECK(holds("country is RU or country is US and user is ann", "77.88.8.8", fields));
    CHECK_FALSE(holds("(country is RU or country is US) and user is ann", "77.88.8.8", fields));
    CHECK(holds("not (country is US or user is ann)", "77.88.8.8", fields));
}

TEST_CASE("where: what is not known bans nobody, either way") {
    // Private, unknown to the database, no database, no such word in this line.
    for (const char* who : {"192.168.1.1", "9.9.9.9"}) {
        CHECK(evaluate("country in [RU]", who) == Truth::unknown);
        CHECK(evaluate("country not in [RU]", who) == Truth::unknown);
        CHECK(evaluate("asn not in [64500]", who) == Truth::unknown);
    }
    CHECK(holds("country is private", "192.168.1.1"));
    CHECK(holds("country in [RU, unknown]", "9.9.9.9"));
    CHECK(evaluate("country is private", "9.9.9.9") == Truth::unknown);
    CHECK(evaluate("user not in [root]", "8.8.8.8") == Truth::unknown);
    CHECK(evaluate("user is root and country is RU", "8.8.8.8") == Truth::no);
    CHECK(evaluate("user is root or country is US", "8.8.8.8") == Truth::yes);
    Address who = ip("77.88.8.8");
    CHECK(Condition::parse("country not in [US]")->evaluate({who, {}, nullptr}) == Truth::unknown);
}

TEST_CASE("where: what the filter captured") {
    Fields fields{
        {"user", "Admin@example.org"}, {"port", "587"}, {"hostname", "dsl-7.isp.example"}};
    CHECK(holds("user in [root, \"admin@*\"]", "8.8.8.8", fields));
    CHECK(holds("user matches \"^Admin@\"", "8.8.8.8", fields));
    CHECK(holds("user in [\"J\u00d6RG*\"]", "8.8.8.8", {{"user", "J\u00f6rg@Example.org"}}));
    CHECK_FALSE(holds("user matches ^admin", "8.8.8.8", fields));
    CHECK(holds("user not matches ^admin", "8.8.8.8", fields));
    CHECK(holds("port in [25, 500-600]", "8.8.8.8", fields));
    CHECK(holds("port = 587", "8.8.8.8", fields));
    CHECK_FALSE(holds("port in [25]", "8.8.8.8", fields));
    CHECK(holds("hostname is broadband", "8.8.8.8", fields));
    CHECK(holds("hostname in [*.isp.example]", "8.8.8.8", fields));
    CHECK(evaluate("hostname is broadband", "8.8.8.8", {{"hostname", "unknown"}}) ==
          Truth::unknown);
}

TEST_CASE("where: the databases are asked once for a hit, and only if they are needed") {
    SomeFacts facts;
    Address who = ip("77.88.8.8");
    Condition::parse("country is RU and continent is EU and asn is 1")->evaluate({who, {}, &facts});
    CHECK(facts.look_ups == 1);
    Condition::parse("ip in [10.0.0.0/8] and country is RU")->evaluate({who, {}, &facts});
    CHECK(facts.look_ups == 1);
}

TEST_CASE("where: what it goes by is kept with the ban") {
    SomeFacts facts;
    Address who = ip("77.88.8.8");
    Fields fields{{"hostname", "77-88-8-8.isp.example"}};
    auto condition = Condition::parse("country is RU or asn is 1 or hostname is broadband");
    Fields used = condition->used_facts({who, fields, &facts});
    CHECK(used == Fields{{"country", "RU"},
                         {"asn", "13238"},
                         {"broadband", "its address stands in the name"}});
}

TEST_CASE("where: a fault is told with its place and what to do") {
    CHECK(fault("") ==
          "0: a comparison must stand here, not the end; begin with country, asn, ip, port, "
          "hostname, or a field of the filter");
    CHECK(fault("country in [UK]") == "12: \"UK\" is no country's code; did you mean GB?");
    CHECK(fault("country in [RU, Russia]") ==
          "16: \"Russia\" is no country's code; write two letters as in ISO 3166-1, private or "
          "unknown");
    CHECK(fault("country in RU") == "11: a list must stand here, not \"RU\"; write in [RU, CN]");
    CHECK(fault("country in [RU") == "11: this list is not closed; add \"]\"");
    CHECK(fault("(country is RU") == "0: this parenthesis is not closed; add \")\"");
    CHECK(fault("country is RU country is US") ==
          "14: what stands here belongs to nothing: \"country\"; join comparisons with \"and\" or "
          "\"or\"");
    CHECK(fault("country RU") ==
          "8: after \"country\" must stand an operator, not \"RU\"; one of: in […], not in […], "
          "is, is not, matches \"…\"");
    CHECK(fault("asn in [Google]") == "8: \"Google\" is no AS number; write 64500 or AS64500");
    CHECK(fault("ip in [1.2.3]") == "7: \"1.2.3\" is no address and no CIDR block");
    CHECK(fault("port in [99999]") ==
          "9: \"99999\" is no port and no range of ports; write 25 or 1024-65535");
    CHECK(fault("country matches R.") == "8: \"country\" is no text to match; use in […] or is");
    CHECK(fault("user matches \"(\"") == "13: RE2 refuses the pattern: missing ): (");
    CHECK(fault("user is \"x") == "8: this quotation mark is not closed");
    CHECK(fault("and country is RU") == "0: \"and\" cannot stand here");
    CHECK(fault("country is RU and") ==
          "17: a comparison must stand here, not the end; begin with country, asn, ip, port, "
          "hostname, or a field of the filter");
    std::string deep(1000, '(');
    CHECK(fault(deep + "country is RU") == "100: is nested too deeply");
}

TEST_CASE("broadband: the address in the name, in the ways that providers write it") {
    for (const char* name :
         {"24-196-192-021.dhcp.hckr.nc.charter.com", "24.196.192.21.isp.example",
          "host21-192-196-24.isp.example", "host21-24-196-192.isp.example",
          "024196192021.isp.example", "021192196024.isp.example", "ip18c4c015.isp.example",
          "c18c4c015.isp.example", "15c0c418.isp.example", "18-c4-c0-15.isp.example",
          "x24-196-192-21.example", "415547413.isp.example", "24-196-192-21.static.isp.example."}) {
        INFO(name);
        CHECK(is_broadband(name, ip("24.196.192.21"), {}) == "its address stands in the name");
    }
    for (const char* name : {"mail.example.org", "24-196-192-22.isp.example", "mx21.24.example.org",
                             "124-196-192-21.isp.example", "24.196.192.21",
                             "a24-196-192.isp.example", "24-196-21-21.isp.example", ""}) {
        INFO(name);
        CHECK(is_broadband(name, ip("24.196.192.21"), {}) == std::nullopt);
    }
    Address v6 = ip("2001:db8:12:34:1:2:3:abcd");
    for (const char* name :
         {"2001-db8-12-34-1-2-3-abcd.isp.example",
          "x.2001-0db8-0012-0034-0001-0002-0003-abcd.isp.example",
          "d.c.b.a.3.0.0.0.2.0.0.0.1.0.0.0.4.3.0.0.2.1.0.0.8.b.d.0.1.0.0.2.isp.example",
          "d.c.b.a.3.0.0.0.2.0.0.0.1.0.0.0.isp.example", "000100020003abcd.isp.example",
          "0001-0002-0003-abcd.isp.example"}) {
        INFO(name);
        CHECK(is_broadband(name, v6, {}));
    }
    CHECK(is_broadband("2001-db8--1.isp.example", ip("2001:db8::1"), {}));
    CHECK_FALSE(is_broadband("mail1.example.org", ip("2001:db8::1"), {}));
    CHECK_FALSE(is_broadband("0-0-0-1.example.org", ip("2001:db8::1"), {}));
}

TEST_CASE("broadband: words of customer lines, in front of the domain only") {
    Address who = ip("24.196.192.21");
    std::vector<std::string> more{"kunde"};
    for (const char* name : {"adsl.isp.example", "x.adsl-1.isp.example", "dhcp7.isp.example",
                             "p1.pool.isp.example", "ppp.isp.example", "dynamic.isp.example",
                             "cable-7.isp.example", "A.DSL.isp.example", "kunde7.isp.example"}) {
        INFO(name);
        CHECK(is_broadband(name, who, more));
    }
    // What a MIMEDefang filter of 2006 looked for, by cable., hsdl. and dsl.
    for (const char* name :
         {"cablemodem-3.isp.example", "telecable.city.isp.example", "c1.hsdl.isp.example",
          "hsdlpool.isp.example", "dslpool1.isp.example", "p3.dsldyn.isp.example",
          "adslgw.isp.example", "sdslcust.isp.example", "vdsl2.isp.example", "hdsl1.isp.example"}) {
        INFO(name);
        CHECK(is_broadband(name, who, {}));
    }
    for (const char* name :
         {"landslide.isp.example", "mail.cablevision.example", "dsl.example", "cable.example.",
          "mail.example.org", "spool.isp.example", "kunden.isp.example",
          // Words that only begin so, and names below a country's registry.
          "mail.dynamics.example.com", "poolside.example.com", "mx.poole.gov.uk",
          "mail.dialog.example.com", "mail.dialysis.example.com", "dynamo.sport.example.com",
          "mail.dynamite.example.com", "mail.adslot.example.com", "cablecar.sf.example.com",
          "mail.dslr-shop.example.com", "mail.cables.example.com", "mail.broadband.com.au",
          "mail.cable.co.uk", "mx.dsl.net.pk", "smtp.dialup.com.ua", "mx1.pool.co.nz"}) {
        INFO(name);
        CHECK_FALSE(is_broadband(name, who, more));
    }
    CHECK(is_broadband("dsl.isp.com.au", who, {}));
    CHECK_FALSE(is_broadband("mail8.dc1.rack2.u3.example.net", ip("8.1.2.3"), {}));
    CHECK_FALSE(is_broadband("smtp25.host8.dc10.az0.example.com", ip("8.10.0.25"), {}));
    CHECK(is_broadband("ip8x1x2x3.isp.example", ip("8.1.2.3"), {}));
    CHECK(is_broadband("host3-8.1.2.isp.example", ip("8.1.2.3"), {}));
    CHECK(is_broadband("a.dhcp.isp.example", who, {}) == "\"dhcp\" stands in the name");
}

TEST_CASE("wildcards match as in a shell, letter case aside") {
    CHECK(matches_wildcard("Mail.Example.ORG", "*.example.org"));
    CHECK(matches_wildcard("abc", "a*c"));
    CHECK(matches_wildcard("", "*"));
    CHECK(matches_wildcard("aaab", "*a*b"));
    CHECK_FALSE(matches_wildcard("example.org", "*.example.org"));
    CHECK_FALSE(matches_wildcard("abcd", "a*c"));
    CHECK_FALSE(matches_wildcard("a", ""));
}

TEST_CASE("public are addresses that IANA gives out") {
    for (const char* text : {"8.8.8.8", "100.128.0.1", "2a00:1450::1", "223.255.255.255"})
        CHECK(is_public(ip(text)));
    for (const char* text : {"10.1.2.3", "100.64.0.1", "127.0.0.1", "172.31.255.255", "192.168.0.1",
                             "203.0.113.9", "224.0.0.1", "255.255.255.255", "::1", "fe80::1",
                             "fd00::1", "2001:db8::1", "ff02::1", "::"})
        CHECK_FALSE(is_public(ip(text)));
}
