// SPDX-License-Identifier: GPL-2.0-or-later
// The source of lines that come from standard input: a pipe or a file, until it ends.
#pragma once

#include "os/loop.h"
#include "source/source.h"

namespace bandd {

class StandardInput : public Source {
  public:
    explicit StandardInput(Loop& loop) : loop_(loop) {}
    ~StandardInput() override;

    // It is read only if this was called. `on_end`: nothing comes any more.
    void want(std::function<void()> on_end) { on_end_ = std::move(on_end); }

    void configure(const Config& config, std::span<const SourceJail> jails, SavedSources& saved,
                   Instant now) override;
    bool is_ready() const override { return ready_; }
    void read(LineTaker& taker, Instant now) override;

  private:
    void end();

    Loop& loop_;
    std::function<void()> on_end_;
    Audience audience_;
    std::string rest_;  // a line that is not whole yet
    bool ready_ = false;
    bool watched_ = false;
    bool is_file_ = false;  // always ready; epoll does not take it
    std::size_t line_limit_ = 65536;
};

}  // namespace bandd
