// SPDX-License-Identifier: GPL-2.0-or-later
// What JsonReader finds in lines, for tests/json/oracle to compare. Arguments are paths. Lines come
// as hexadecimal digits; for each, one line is printed: `no_object`, `broken`, or the values as
// hexadecimal digits, `-` for one that is not there.
#include <cstdio>
#include <iostream>
#include <string>

#include "core/text/json_line.h"

using namespace bandd;

namespace {

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

void print_hex(std::string_view bytes) {
    std::putchar('=');
    for (char c : bytes) std::printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
}

}  // namespace

int main(int count, char** arguments) {
    JsonPaths paths;
    for (int i = 1; i < count; ++i) {
        auto path = parse_json_path(arguments[i]);
        if (!path || paths.add(*path) != static_cast<std::size_t>(i - 1)) return 2;
    }
    JsonReader reader;
    for (std::string hex; std::getline(std::cin, hex);) {
        JsonReader::Outcome outcome = reader.read(from_hex(hex), paths);
        if (outcome != JsonReader::Outcome::read) {
            std::puts(outcome == JsonReader::Outcome::broken ? "broken" : "no_object");
            continue;
        }
        for (std::size_t i = 0; i < paths.size(); ++i) {
            if (auto value = reader.value(i))
                print_hex(*value);
            else
                std::putchar('-');
            std::putchar(i + 1 < paths.size() ? ' ' : '\n');
        }
    }
}
