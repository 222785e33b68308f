// SPDX-License-Identifier: GPL-2.0-or-later
// Work of commands that is too much for one turn: some of it each turn, so that a ban waits at most
// `longest` for it, however many commands there are.
#pragma once

#include <deque>
#include <functional>

namespace bandd {

class Slices {
  public:
    static constexpr double longest = 0.001;  // seconds of a turn

    // Does a little of the work, some tens of microseconds of it. True: there is more.
    using Step = std::function<bool()>;
    void add(Step step) { waiting_.push_back(std::move(step)); }

    // Between two turns; steps of one piece of work, and of another one the next time. True: there
    // is more to do.
    bool on_turn();

  private:
    std::deque<Step> waiting_;
};

}  // namespace bandd
