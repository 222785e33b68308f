// SPDX-License-Identifier: GPL-2.0-or-later
// A subcommand of bandctl is a row in main.cpp's table and a function here.
#pragma once

#include <string>
#include <vector>

#include "control/protocol.h"

namespace bandd {

// Another machine's bandd.
struct NetworkOptions {
    std::string host;  // HOST[:PORT]; empty: this machine's
    std::string token_file, certificate, key;
    std::string authority;  // who signed its certificate; empty: whom this machine believes
};

struct CommonOptions {
    std::string config = "/etc/bandd";
    std::string socket;  // empty: what the configuration says
    bool json = false;
    NetworkOptions network;
};

struct RemoteOptions {
    std::string ip, jail, prefix, sort = "from", bantime, reason, since;
    std::size_t limit = 10'000;
    std::string user, verb;
    bool all = false, force = false;
};

// Those that ask the daemon. All give bandctl's exit code.
int run_status(const CommonOptions& common, const RemoteOptions& options);
int run_bans(const CommonOptions& common, const RemoteOptions& options);
int run_ban(const CommonOptions& common, const RemoteOptions& options);
int run_unban(const CommonOptions& common, const RemoteOptions& options);
int run_explain(const CommonOptions& common, const RemoteOptions& options);
int run_history(const CommonOptions& common, const RemoteOptions& options);
int run_reload(const CommonOptions& common, const RemoteOptions& options);
int run_flush(const CommonOptions& common, const RemoteOptions& options);
int run_watch(const CommonOptions& common, const RemoteOptions& options);
int run_accounts(const CommonOptions& common, const RemoteOptions& options);
int run_account(const CommonOptions& common, const RemoteOptions& options);
int run_version(const CommonOptions& common, const RemoteOptions& options);

// Those that need no daemon.
int run_check(const CommonOptions& common, const std::string& directory);
struct TestOptions {
    std::string filter, file;
    std::string regex;               // instead of a filter
    bool fail2ban = false;           // its dialect
    std::vector<std::string> lines;  // instead of a file
    std::vector<std::string> modes;
    std::string timezone;
    bool all = false;
};
int run_test(const CommonOptions& common, const TestOptions& options);
struct ImportOptions {
    std::string from = "/etc/fail2ban", to = "/etc/bandd";
    bool all = false, force = false;
};
int run_import(const CommonOptions& common, const ImportOptions& options);
struct ReplayOptions {
    std::vector<std::string> logs;
    std::string jail;
};
int run_replay(const CommonOptions& common, const ReplayOptions& options);
int run_filters(const CommonOptions& common);
// Without an address: which databases there are.
int run_geo(const CommonOptions& common, const std::vector<std::string>& addresses);
int run_keys(const CommonOptions& common, bool as_man_page);
struct StateOptions {
    std::string verb, file;  // export or import; empty is standard output or input
};
int run_state(const CommonOptions& common, const StateOptions& options);

}  // namespace bandd
