// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "core/base/eight_bytes.h"
#include "core/base/printable.h"
#include "core/text/encoding.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::string utf8(char32_t code) {
    std::string bytes;
    std::string unit{static_cast<char>(code & 0xff), static_cast<char>(code >> 8 & 0xff)};
    if (code >= 0x10000) {
        char32_t high = 0xd800 + ((code - 0x10000) >> 10);
        char32_t low = 0xdc00 + (code & 0x3ff);
        unit = {static_cast<char>(high & 0xff), static_cast<char>(high >> 8),
                static_cast<char>(low & 0xff), static_cast<char>(low >> 8)};
    }
    decode(Encoding::utf16le, unit, bytes);
    return bytes;
}

// Python's own tables of Unicode say what a control character is.
std::set<char32_t> controls_by_python() {
    auto close = [](std::FILE* pipe) { pclose(pipe); };
    std::unique_ptr<std::FILE, decltype(close)> pipe(
        popen("python3 -c \"import unicodedata\n"
              "for c in range(0x110000):\n"
              "    if unicodedata.category(chr(c)) in ('Cc', 'Cf', 'Zl', 'Zp'): print(c)\"",
              "r"));
    std::set<char32_t> found;
    unsigned long code = 0;
    while (std::fscanf(pipe.get(), "%lu", &code) == 1) found.insert(static_cast<char32_t>(code));
    return found;
}

bool is_ascii_text(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

TEST_CASE("printable: no control character of Unicode reaches a terminal") {
    auto controls = controls_by_python();
    REQUIRE(controls.size() > 150);
    for (char32_t code : controls) {
        INFO(static_cast<unsigned>(code));
        CHECK(is_control(code));
        if (code == 0xfeff) continue;  // decode takes it for a byte-order mark
        CHECK(is_ascii_text(printable("a" + utf8(code) + "b")));
        std::string json = nlohmann::json{{"user", "a" + utf8(code) + "b"}}.dump();
        std::string safe = printable_json(json);
        CHECK(is_ascii_text(safe));
        CHECK(nlohmann::json::parse(safe) == nlohmann::json::parse(json));
    }
    // What people write passes.
    for (char32_t code : {U'a', U'~', U' ', U'ü', U'€', U'中', U'😀', U'\u00a0', U'\u0301'}) {
        CHECK_FALSE(is_control(code));
        CHECK(printable(utf8(code)) == utf8(code));
    }
}

TEST_CASE("printable: controls and bytes that are no UTF-8 are shown by number") {
    CHECK(printable("a\x1b[2Jb\r\n") == "a\\x1b[2Jb\\x0d\\x0a");
    CHECK(printable("\x7f") == "\\x7f");
    CHECK(printable("\xc2\x9b"
                    "31m") == "\\u009b31m");
    CHECK(printable("\xe2\x80\xae"
                    "gpj.exe") == "\\u202egpj.exe");
    CHECK(printable("\xf3\xa0\x81\x81") == "\\U000e0041");
    // RFC 3629: overlong, surrogates, too large, cut
    CHECK(printable("\xc0\x80") == "\\xc0\\x80");
    CHECK(printable("\xe0\x82\x9b") == "\\xe0\\x82\\x9b");
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
    CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
    CHECK(printable("\xf0\x82\x82\x9b") == "\\xf0\\x82\\x82\\x9b");
    CHECK(printable("ab\xe2\x80") == "ab\\xe2\\x80");
    CHECK(printable("\x9b") == "\\x9b");
}

TEST_CASE("printable: JSON keeps its lines and its meaning") {
    CHECK(printable_json("{\"a\":1}\n{\"b\":2}\n") == "{\"a\":1}\n{\"b\":2}\n");
    CHECK(printable_json("{\"a\":\"\x7f\xc2\x9b\xe2\x80\xae\"}\n") ==
          "{\"a\":\"\\u007f\\u009b\\u202e\"}\n");
    CHECK(printable_json("{\"a\":\"\xf3\xa0\x81\x81\"}") == "{\"a\":\"\\udb40\\udc41\"}");
}

// Plain text is copied eight bytes at a time. Where what is special begins must not matter.
TEST_CASE("printable: text is the same wherever it is cut into eights") {
    const std::vector<std::string> specials{std::string(1, '\0'),
                                            "\x01",
                                            "\n",
                                            "\r",
                                            "\x1b",
                                            "\x1f",
                                            "\x7f",
                                            "\xc2\x80",
                                            "\xc2\x9b",
                                            "\xc3\xbc",
                                            "\xe2\x80\xae",
                                            "\xe4\xb8\xad",
                                            "\xf0\x9f\x98\x80",
                                            "\xf3\xa0\x81\x81"};
    const std::vector<std::string> strays{"\x80", "\xc2", "\xff", "\xe2\x80", "\xf0\x9f\x98"};
    // One character after another, none of them beside enough others to be copied with them.
    auto one_by_one = [](const std::vector<std::string>& characters, auto&& show) {
        std::string out;
        for (const std::string& character : characters) out += show(character);
        return out;
    };
    auto by_json = [](const std::string& character) { return printable_json(character); };
    std::mt19937 random(1);
    auto any_of = [&](const std::vector<std::string>& list) {
        return list[random() % list.size()];
    };
    auto any_plain = [&] { return std::string(1, static_cast<char>(' ' + random() % 95)); };
    auto check = [&](const std::vector<std::string>& characters) {
        std::string text = one_by_one(characters, [](const std::string& one) { return one; });
        INFO(nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
        CHECK(printable(text) == one_by_one(characters, printable));
        CHECK(printable_json(text) == one_by_one(characters, by_json));
    };
    for (const std::string& special : specials)
        for (std::size_t size = 1; size <= 24; ++size)
            for (std::size_t at = 0; at < size; ++at) {
                std::vector<std::string> characters(size);
                for (std::string& one : characters) one = any_plain();
                characters[at] = special;
                check(characters);
            }
    for (int i = 0; i < 2000; ++i) {
        std::vector<std::string> characters(random() % 64);
        for (std::string& one : characters)
            one = random() % 4 == 0 ? any_of(specials) : any_plain();
        check(characters);
    }
    // Of bytes that are no UTF-8 each is shown by itself, if plain text is around it.
    for (const std::string& stray : strays)
        for (std::size_t at = 0; at < 16; ++at) {
            std::string shown;
            for (char c : stray) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
            std::string before(at, 'a');
            CHECK(printable(before + stray + "bcdefghi") == before + shown + "bcdefghi");
        }
}

TEST_CASE("printable: eight bytes are judged as each of them") {
    for (unsigned byte = 0; byte < 256; ++byte)
        for (unsigned at = 0; at < 8; ++at)
            for (char beside : {' ', '~', '\x7f', '\x1f', '\xff', '\0'}) {
                std::string text(8, beside);
                text[at] = static_cast<char>(byte);
                std::uint64_t marks = non_printables(eight_at(text.data()));
                for (unsigned i = 0; i < 8; ++i) {
                    auto c = static_cast<unsigned char>(text[i]);
                    bool marked = (marks >> (8 * i) & 0xff) != 0;
                    CHECK(marked == (c < 0x20 || c > 0x7e));
                }
            }
}
