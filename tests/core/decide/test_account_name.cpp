// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/account_name.h"
#include "support/common.h"
#include "support/machine.h"

#include <fmt/format.h>

#include <random>
#include <sstream>

using namespace bandd;

TEST_CASE("account name: letter case does not count, whatever the letters are") {
    CHECK(account_name("Bob@Example.ORG") == "bob@example.org");
    CHECK(account_name("J\u00d6RG") == "j\u00f6rg");
    CHECK(account_name("\u0410\u041d\u041d\u0410") == "\u0430\u043d\u043d\u0430");
    CHECK(account_name("\u03a3\u03c2") == "\u03c3\u03c3");
    CHECK(account_name("Stra\u00dfe") == "strasse");
    CHECK(account_name("\u212aelvin") == "kelvin");
    CHECK(account_name("\U00010400") == "\U00010428");
    // Only case: nothing is composed, nothing left out.
    CHECK(account_name("e\u0301") == "e\u0301");
    CHECK(account_name("a\u00adb \ufb01") == "a\u00adb fi");
    CHECK(account_name("") == "");
    CHECK(account_name(std::string("A\0B", 3)) == std::string("a\0b", 3));
}

TEST_CASE("account name: what is no UTF-8 stays as it is, with ASCII letters small") {
    CHECK(account_name("M\xdcLLER") == "m\xdcller");
    CHECK(account_name("A\xff\xc3") == "a\xff\xc3");
    CHECK(account_name("\xed\xa0\x80X") == "\xed\xa0\x80x");  // half of a surrogate pair
    CHECK(account_name("\xc1\x81") == "\xc1\x81");            // overlong
    CHECK(account_name("\xe2\x84\u00d6") == "\xe2\x84\u00f6");
}

TEST_CASE("account name: it is cut between two characters, and the name of a name is itself") {
    std::string long_name;
    for (int i = 0; i < 200; ++i) long_name += "\u00d6";
    CHECK(account_name(long_name).size() == 254);
    CHECK(account_name("x" + long_name).size() == 255);
    CHECK(account_name(std::string(254, 'x') + "\u00df").size() == 254);
    CHECK(account_name(std::string(1000, 'X')) == std::string(255, 'x'));
    std::mt19937 random(3);
    const std::vector<std::string> pieces{"A",    "\u00df", "\u0390", "\u212a", "\ufb03", "\xe2",
                                          "\x84", "\xaa",   "\xf0",   "\u1e9e", "z",      "\u0130"};
    for (int i = 0; i < 20'000; ++i) {
        std::string name;
        for (auto left = random() % 150; left > 0; --left) name += pieces[random() % pieces.size()];
        std::string once = account_name(name);
        REQUIRE(once.size() <= longest_account_name);
        REQUIRE(account_name(once) == once);
    }
}

// Another implementation of the same: Python's str.casefold. They differ only if one knows a newer
// Unicode.
TEST_CASE("account name: each character of Unicode is folded as Python folds it") {
    Ran python = sh(R"(python3 -c '
import unicodedata
for code in range(0x80, 0x110000):
    if not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) != "Cn":
        print("%x" % code, chr(code).casefold().encode().hex())')");
    if (python.code != 0) {
        WARN("skipped: needs python3");
        return;
    }
    std::istringstream lines(python.out);
    std::string code, expected, differ;
    int count = 0;
    while (lines >> code >> expected) {
        std::string character;
        auto value = static_cast<char32_t>(std::stoul(code, nullptr, 16));
        auto add = [&](char32_t bits) { character += static_cast<char>(bits); };
        if (value < 0x800) {
            add(0xc0 | value >> 6);
        } else if (value < 0x10000) {
            add(0xe0 | value >> 12);
            add(0x80 | (value >> 6 & 0x3f));
        } else {
            add(0xf0 | value >> 18);
            add(0x80 | (value >> 12 & 0x3f));
            add(0x80 | (value >> 6 & 0x3f));
        }
        add(0x80 | (value & 0x3f));
        std::string hex;
        for (char c : account_name(character))
            hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
        if (hex != expected) differ += code + " ";
        REQUIRE(account_name(account_name(character)) == account_name(character));
        ++count;
    }
    CHECK(count > 100'000);
    CHECK(differ == "");
}
