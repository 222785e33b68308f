// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd's other processes write to standard error: a library's last words before it gives up.
// Whoever took one over may write there without end. So of each role a few lines within a time are
// said, and the rest is not read before that is over: the daemon has no work with it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/instant.h"
#include "os/roles.h"

namespace bandd {

class Loop;

class RoleErrors {
  public:
    static constexpr unsigned most_lines = 60;  // of a role, within `period`
    static constexpr Duration period = std::chrono::hours(1);
    static constexpr std::size_t longest_line = 512;  // bytes; the rest of it is left out
    // Read within `period`: lines without end, and empty ones, are not said, but are work, too.
    static constexpr std::size_t most_bytes = 64 << 10;
    using Say = std::function<void(const std::string& line)>;

    // `roles` and `loop` outlive it.
    RoleErrors(const Roles& roles, Loop& loop, Say say);
    ~RoleErrors();
    RoleErrors(const RoleErrors&) = delete;
    RoleErrors& operator=(const RoleErrors&) = delete;

    // When one that wrote too much is read again.
    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);
    // Times that one wrote too much.
    std::uint64_t floods() const { return floods_; }

  private:
    struct Writer {
        std::string line;  // that has no end yet
        bool cut = false;  // it was said already, and its rest is left out
        unsigned lines = 0;
        std::size_t bytes = 0;
        Instant since;
        bool read = false;  // by the loop
        bool is_flood() const { return lines >= most_lines || bytes >= most_bytes; }
    };
    void watch(Role role);
    void leave(Role role);
    void on_readable(Role role, Instant now);
    void take(Role role, std::string_view bytes);
    void say(Role role);

    const Roles& roles_;
    Loop& loop_;
    Say say_;
    std::array<Writer, role_count> writers_;
    std::uint64_t floods_ = 0;
};

}  // namespace bandd
