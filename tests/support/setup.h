// SPDX-License-Identifier: GPL-2.0-or-later
// What tests of the running daemon begin with: a configuration directory, bandd on it, and
// bandctl's answers. A test of one subject derives from it and adds its own filters and keys.
#pragma once

#include <string>
#include <vector>

#include "control/protocol.h"
#include "support/common.h"
#include "support/machine.h"

namespace bandd {

inline bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

struct Setup {
    TempDirectory dir;  // readable for the account that bandd changes to
    std::string log = dir / "app.log";
    DaemonProcess daemon;

    // `prefix` comes before the daemon's command line: "ip netns exec router".
    explicit Setup(const std::string& prefix = "");

    // Writes bandd.yaml: where state and socket are, which account bandd changes to, then `text`.
    void write_config(const std::string& text) const { write_config_as("nobody", text); }
    // The same with another account, whose group has its name.
    void write_config_as(const std::string& user, const std::string& text) const;
    // Writes geo.mmdb: lines "8.1.0.0/16 country_code=US".
    void make_database(const std::string& lines) const;
    // Starts the daemon; the test fails with its log if it does not start.
    void start();

    // bandctl's answer with --json.
    Json json(const std::string& arguments) const;
    // The bans in the order of their addresses, one a line, with these members of each.
    using Members = std::vector<std::string>;
    std::string bans(const Members& members = {"ip", "jail", "state"}) const;
    // Waits until `bans` are as expected; false, with the daemon's log, if that never comes.
    bool bans_become(const std::string& expected,
                     const Members& members = {"ip", "jail", "state"}) const;
};

// The same with the filter "app": "denied USER ADDRESS" is a hit.
struct AppSetup : Setup {
    explicit AppSetup(const std::string& prefix = "");
    void configure(const std::string& jails, const std::string& other_keys = "") const;
    // The jail "app": two hits in app.log ban.
    void configure_app(const std::string& keys = "", const std::string& other_keys = "") const;
    // Appends a hit to app.log, or to another file.
    void denied(const std::string& ip, const std::string& file = "") const;
    // Whether a set of nftables holds it.
    static bool in_set(const std::string& set, const std::string& ip);
};

}  // namespace bandd
