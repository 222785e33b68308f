// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/slices.h"

#include "os/clock.h"

namespace bandd {

bool Slices::on_turn() {
    if (waiting_.empty()) return false;
    Step step = std::move(waiting_.front());
    waiting_.pop_front();
    double begin = stopwatch();
    bool more = true;
    while (more && stopwatch() - begin < longest) more = step();
    if (more) waiting_.push_back(std::move(step));
    return !waiting_.empty();
}

}  // namespace bandd
