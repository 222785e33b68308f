// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl's end of the control socket. Blocking.
#pragma once

#include <string>

#include "control/protocol.h"
#include "os/fd.h"

namespace bandd {

class ControlClient {
  public:
    static Result<ControlClient> connect(const std::string& path);

    Result<> send(const std::string& command, const Json& arguments);
    // The next line; an error when the daemon has closed the connection, or does not answer: for
    // `longest_silence`, of a command that has nothing to do for `short_silence`.
    Result<Json> receive();
    // Lines that come when something happens, and may not for days.
    void wait_for_ever();

    static constexpr int longest_silence = 60;  // seconds; a million bans may be at work
    static constexpr int short_silence = 10;

  private:
    void set_patience(int seconds);
    Error unanswered() const;

    Fd fd_;
    int patience_ = short_silence;  // seconds
    std::string in_;
    std::string path_;
};

}  // namespace bandd
