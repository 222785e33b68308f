// SPDX-License-Identifier: GPL-2.0-or-later
// Which services of this machine have a shipped jail: for `bandctl setup`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/document.h"

namespace bandd {

struct Service {
    std::string jail, description;
    std::string file;                // of the shipped jail
    std::string reads;               // the logs that exist, or "the journal"; empty: nothing yet
    bool must_be_asked_for = false;  // it is shipped as disabled; the file says why
};

// A jail is offered if its software is installed: one of its `software` exists, or a log that no
// other program writes to, or a unit or start script of its service. That there is a log of mail,
// or of a web server, says nothing of who writes there.
std::vector<Service> find_services(const std::map<std::string, const Value*>& shipped);

}  // namespace bandd
