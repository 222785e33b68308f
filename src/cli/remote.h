// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl --remote: another machine's bandd, over TLS, by its `remote:`.
#pragma once

#include <string>

#include "cli/command.h"

namespace bandd {

// What a ban there is to be; empty if that machine decides.
struct RemoteBan {
    std::string bantime, reason;
};

// Asks that machine to "add" or "del" a ban or to "check" an address, and prints its answer; gives
// bandctl's exit code.
int call_remote(const CommonOptions& common, const std::string& verb, const std::string& ip,
                const RemoteBan& ban = {});

// Refuses an option that has no meaning there; gives the exit code.
int refuse_for_remote();

}  // namespace bandd
