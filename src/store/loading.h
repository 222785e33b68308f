// SPDX-License-Identifier: GPL-2.0-or-later
// A state on its way from the store's thread, which reads it, to the loop: in pieces, of which few
// wait, so that a large one takes no more memory than a small one.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "os/fd.h"
#include "store/checkpoint.h"

namespace bandd {

class Loading {
  public:
    static constexpr std::size_t rows_a_piece = 2048;
    static constexpr std::size_t most_waiting = 8;  // pieces; then reading waits

    Loading();

    // Of the reading thread: where the parts go, and that there are no more.
    Restore restore(Instant history_since);
    void end(std::optional<Error> error);

    // Of the loop. Nothing: none is there, or none comes any more. `wait`: for one that comes.
    std::optional<Piece> next(bool wait);
    // Whoever reads waits for nobody any more, and what it reads is thrown away.
    void stop();
    // Readable: there is a piece.
    int fd() const { return there_.get(); }

  private:
    void put_row();
    void put();

    Piece piece_;  // the reading thread's
    Fd there_;     // eventfd
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Piece> waiting_;
    bool stopped_ = false;
    bool ended_ = false;  // the last one was taken
};

}  // namespace bandd
