// SPDX-License-Identifier: GPL-2.0-or-later
// Messages out of a stream: "LENGTH SP MESSAGE" or lines (RFC 6587), decided for each message anew,
// as rsyslog does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace bandd {

class SyslogFraming {
  public:
    // A message may be twice as long as a line; a greater LENGTH is no honest one, and what follows
    // is skipped up to the next line end.
    explicit SyslogFraming(std::size_t line_limit) : line_limit_(line_limit) {}

    // Views live until the function returns.
    using OnMessage = std::function<void(std::string_view message)>;
    void take(std::string_view bytes, const OnMessage& on_message);
    // The stream has ended: what was not ended by a line end is a message all the same.
    void end(const OnMessage& on_message);

    std::uint64_t dishonest() const { return dishonest_; }
    std::size_t waiting() const { return buffer_.size(); }

  private:
    std::size_t line_limit_;
    std::string buffer_;
    bool skipping_ = false;  // the rest of a message that was cut
    std::uint64_t dishonest_ = 0;
};

}  // namespace bandd
