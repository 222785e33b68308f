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
    // The next line; an error when the daemon has closed the connection.
    Result<Json> receive();

  private:
    Fd fd_;
    std::string in_;
    std::string path_;
};

}  // namespace bandd
