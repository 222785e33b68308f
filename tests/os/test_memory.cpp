// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/memory.h"

#include <alloca.h>

#include <cstring>
#include <fstream>
#include <string>

#include "support/common.h"

using namespace bandd;

namespace {

std::size_t stack_kib() {
    std::ifstream maps("/proc/self/smaps");
    std::string line;
    bool in_stack = false;
    while (std::getline(maps, line)) {
        if (line.find('-') < line.find(' ')) in_stack = line.ends_with("[stack]");
        if (in_stack && line.starts_with("Private_Dirty:")) return std::stoul(line.substr(14));
    }
    return 0;
}

[[gnu::noinline]] void use_much_stack() {
    auto* bytes = static_cast<volatile char*>(alloca(1 << 20));
    for (int i = 0; i < 1 << 20; i += 1024) bytes[i] = 1;
}

}  // namespace

TEST_CASE("after a start the stack that it needed is given back") {
    use_much_stack();
    REQUIRE(stack_kib() > 1000);
    release_start_memory();
    CHECK(stack_kib() < 300);
}
