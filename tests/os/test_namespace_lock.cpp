// SPDX-License-Identifier: GPL-2.0-or-later
#include <unistd.h>

#include "os/namespace_lock.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("what one process has of a network namespace no other one gets, until it ends") {
    std::string name = "bandd test " + std::to_string(getpid());
    auto first = lock_in_namespace(name, getuid());
    REQUIRE(first);
    REQUIRE(first->get() >= 0);
    auto second = lock_in_namespace(name, getuid());
    REQUIRE_FALSE(second);
    CHECK(to_line(second.error()) == name + ": process " + std::to_string(getpid()));
    CHECK(lock_in_namespace(name + " other", getuid())->get() >= 0);
    first->reset();
    CHECK(lock_in_namespace(name, getuid())->get() >= 0);
    CHECK_FALSE(lock_in_namespace(std::string(200, 'x'), getuid()));
}

TEST_CASE("a name that a stranger took is no reason not to start") {
    if (getuid() != 0) return;
    std::string name = "bandd test of strangers " + std::to_string(getpid());
    REQUIRE(seteuid(65534) == 0);
    auto stranger = lock_in_namespace(name, 65534);
    REQUIRE(seteuid(0) == 0);
    REQUIRE(stranger);
    auto ours = lock_in_namespace(name, 0);
    REQUIRE(ours);
    CHECK(ours->get() < 0);
}
