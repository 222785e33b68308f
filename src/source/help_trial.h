// SPDX-License-Identifier: GPL-2.0-or-later
// Whether it pays that other threads help. That depends on the machine (two processors may be one
// that is shared), on who else uses it, and on what the lines are. So it is measured, in turns with
// and without them, and again after ever more bytes while the answer stays the same.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

namespace bandd {

class HelpTrial {
  public:
    // So much faster it must be with helpers, which take processor time from others.
    static constexpr double least_gain = 1.15;
    static constexpr int turns = 4;  // of a trial, every second one with helpers
    static constexpr std::size_t bytes_a_turn = std::size_t{1} << 20;
    static constexpr std::size_t first_hold = std::size_t{64} << 20;  // bytes to the next trial
    static constexpr std::size_t longest_hold = std::size_t{1} << 30;

    bool is_trying() const { return hold_left_ == 0; }
    // What comes next, is it to be scanned with help?
    bool with_help() const { return is_trying() ? turn_ % 2 == 0 : pays_; }
    // So long it took, with what `with_help` said.
    void took(std::size_t bytes, double seconds) {
        if (bytes == 0) return;
        if (!is_trying()) {
            hold_left_ -= std::min(hold_left_, bytes);
            return;
        }
        // The best of its kind: what others do meanwhile makes single turns longer.
        double& best = with_help() ? with_ : without_;
        best = std::min(best, seconds / static_cast<double>(bytes));
        if (++turn_ < turns) return;
        bool pays = with_ * least_gain <= without_;
        hold_ = pays == pays_ && hold_ > 0 ? std::min(2 * hold_, longest_hold) : first_hold;
        pays_ = pays;
        hold_left_ = hold_;
        turn_ = 0;
        with_ = without_ = std::numeric_limits<double>::max();
    }

  private:
    bool pays_ = false;
    int turn_ = 0;
    std::size_t hold_ = 0, hold_left_ = 0;
    double with_ = std::numeric_limits<double>::max();  // seconds a byte
    double without_ = std::numeric_limits<double>::max();
};

}  // namespace bandd
