// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/document.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("document: aliases that explode are refused, those of ordinary use are not") {
    // 370 bytes that stand for 10,000,000,000 words.
    std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c <= 'j'; ++c) {
        std::string before = std::string("*") + static_cast<char>(c - 1);
        bomb += std::string(1, c) + ": &" + c + " [" + before;
        for (int i = 1; i < 10; ++i) bomb += "," + before;
        bomb += "]\n";
    }
    auto refused = parse_document(bomb, "bomb.yaml");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == "its aliases (*name) repeat too much");

    std::string shared = "trusted: &trusted [192.0.2.1, 198.51.100.0/24, 2001:db8::1]\njails:\n";
    for (int i = 0; i < 200; ++i) shared += "  j" + std::to_string(i) + ": {ignoreip: *trusted}\n";
    auto value = parse_document(shared, "shared.yaml");
    REQUIRE(value);
    CHECK(value->find("jails")->entries.back().second.find("ignoreip")->items.size() == 3);
}

TEST_CASE("document: a map of many keys, and one that is given twice among them") {
    std::string users;
    for (int i = 0; i < 40'000; ++i) users += "user" + std::to_string(i) + ": [DE]\n";
    auto value = parse_document(users, "users.yaml");
    REQUIRE(value);
    CHECK(value->entries.size() == 40'000);
    auto twice = parse_document(users + "user7: [FR]\n", "users.yaml");
    REQUIRE_FALSE(twice);
    CHECK(to_line(twice.error()) ==
          "users.yaml:40001:1: \"user7\": is given twice, first in line 8; remove one of them");
}

TEST_CASE("document: what stands behind a file's first document is a fault") {
    auto refusal = [](const std::string& text) {
        auto value = parse_document(text, "bandd.yaml");
        return value ? std::string("taken") : to_line(value.error());
    };
    // One blank before the first key.
    CHECK(refusal(" log: {level: info}\ndefaults:\n  bantime: 1w\n") ==
          "bandd.yaml:2:1: YAML: the file's first document ends before this, and no other is "
          "read; let all keys of a file begin in one column; remove \"---\" and \"...\"");
    for (const char* text : {"a: 1\n---\nb: 2\n", "a: 1\n...\nb: 2\n", "{a: 1}\nb: 2\n",
                             " a: 1\nb: [ {\n", "a: 1\n---\n", "a: 1\n...\n---\nb: 2\n"}) {
        INFO(text);
        CHECK(refusal(text) != "taken");
    }
    for (const char* text : {"---\na: 1\n", "a: 1\n...\n", "# nothing\n", "",
                             "%YAML 1.2\n---\na: 1\n", "---\na: 1\n...\n", "  a: 1\n  b: 2\n",
                             "\xEF\xBB\xBF"
                             "a: 1\n"}) {
        INFO(text);
        CHECK(refusal(text) == "taken");
    }
}
