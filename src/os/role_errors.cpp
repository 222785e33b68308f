// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/role_errors.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>

#include "os/clock.h"
#include "os/loop.h"

namespace bandd {
namespace {

constexpr std::size_t one_read = 4096;
// What may be in a pipe while it is not read: a process may make it as large as this
// (/proc/sys/fs/pipe-max-size).
constexpr std::size_t largest_pipe = 1 << 20;

Role role_at(std::size_t index) { return static_cast<Role>(index); }

}  // namespace

RoleErrors::RoleErrors(const Roles& roles, Loop& loop, Say say)
    : roles_(roles), loop_(loop), say_(std::move(say)) {
    for (std::size_t i = 0; i < role_count; ++i) watch(role_at(i));
}

RoleErrors::~RoleErrors() {
    for (std::size_t i = 0; i < role_count; ++i) {
        // Why a start failed may be the last words of a process.
        if (writers_[i].read) on_readable(role_at(i), now());
        leave(role_at(i));
    }
}

void RoleErrors::watch(Role role) {
    auto added = loop_.add(roles_.errors_of(role), EPOLLIN,
                           [this, role](std::uint32_t) { on_readable(role, now()); });
    writers_[static_cast<std::size_t>(role)].read = added.has_value();
}

void RoleErrors::leave(Role role) {
    Writer& writer = writers_[static_cast<std::size_t>(role)];
    if (writer.read) loop_.remove(roles_.errors_of(role));
    writer.read = false;
}

std::optional<Instant> RoleErrors::next_deadline() const {
    std::optional<Instant> next;
    for (const Writer& writer : writers_)
        if (writer.is_flood() && (!next || writer.since + period < *next))
            next = writer.since + period;
    return next;
}

void RoleErrors::on_time(Instant now) {
    for (std::size_t i = 0; i < role_count; ++i) {
        Writer& writer = writers_[i];
        if (!writer.is_flood() || (now >= writer.since && now < writer.since + period)) continue;
        writer = {};
        // What was written meanwhile is old.
        std::array<char, one_read> bytes;
        for (std::size_t left = largest_pipe; left > 0; left -= bytes.size())
            if (::read(roles_.errors_of(role_at(i)), bytes.data(), bytes.size()) <= 0) break;
        watch(role_at(i));
    }
}

void RoleErrors::on_readable(Role role, Instant now) {
    Writer& writer = writers_[static_cast<std::size_t>(role)];
    std::array<char, one_read> bytes;
    ssize_t got = ::read(roles_.errors_of(role), bytes.data(), bytes.size());
    if (got == 0) return leave(role);  // bandd-root has gone, and all of that role
    if (got < 0) return;
    if (now < writer.since || now >= writer.since + period) {
        writer.since = now;
        writer.lines = 0;
        writer.bytes = 0;
    }
    writer.bytes += static_cast<std::size_t>(got);
    take(role, {bytes.data(), static_cast<std::size_t>(got)});
    if (!writer.is_flood()) return;
    leave(role);
    ++floods_;
    say_(fmt::format(
        "{} wrote {} lines of {} bytes to standard error: what it writes within the next {} min "
        "is not read",
        role_program(role), writer.lines, writer.bytes,
        (writer.since + period - now) / std::chrono::minutes(1)));
}

void RoleErrors::take(Role role, std::string_view bytes) {
    Writer& writer = writers_[static_cast<std::size_t>(role)];
    for (char byte : bytes) {
        if (writer.lines >= most_lines) return;
        if (byte == '\n') {
            if (!writer.cut && !writer.line.empty()) say(role);
            writer.line.clear();
            writer.cut = false;
        } else if (!writer.cut) {
            writer.line += byte;
            writer.cut = writer.line.size() >= longest_line;
            if (writer.cut) say(role);
        }
    }
}

void RoleErrors::say(Role role) {
    Writer& writer = writers_[static_cast<std::size_t>(role)];
    ++writer.lines;
    say_(fmt::format("{} wrote to standard error: {}", role_program(role), writer.line));
}

}  // namespace bandd
