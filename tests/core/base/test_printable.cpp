// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

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
