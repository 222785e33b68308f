// SPDX-License-Identifier: GPL-2.0-or-later
// A command of bandctl is a file here, its name below, and a row in main.cpp's table.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/command_line.h"
#include "control/protocol.h"

namespace bandd {

// Another machine's bandd, and what proves to it who we are.
struct OtherMachine {
    std::string host;                          // HOST[:PORT]; empty if this machine's is meant
    std::string token_file, certificate, key;  // files
    std::string authority;  // who signed its certificate; empty if one that this machine trusts
};

// What may be given with every command.
struct CommonOptions {
    std::string config = "/etc/bandd";  // a directory or a file
    bool config_given = false;          // and not the standard one
    std::string socket;                 // empty if the configuration's
    bool json = false;
    OtherMachine remote;  // for the commands whose row says so
};

// Runs a command once the command line was read; gives bandctl's exit code.
using Run = std::function<int(const CommonOptions&)>;
// Says what a command takes on the command line, and gives what runs it.
using Command = Run(CommandLine& line);

// These ask the daemon.
Command status_command, bans_command, ban_command, unban_command, explain_command, history_command,
    accounts_command, account_command, config_command, allow_command, set_command, stop_command,
    start_command, reload_command, watch_command, flush_command, version_command, get_command,
    banned_command, ping_command;
// These need no daemon.
Command check_command, setup_command, test_command, geo_command, filters_command, replay_command,
    import_command, state_command, keys_command, fleet_command;

}  // namespace bandd
