// SPDX-License-Identifier: GPL-2.0-or-later
// What fail2ban's configuration says, resolved as fail2ban's own client resolves it, before any of
// it is bandd's.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "import/ini.h"

namespace bandd::fail2ban {

// "name[opt=value, opt="value"][opt='value']".
struct Reference {
    std::string name;
    Options options;
};
Result<Reference> parse_reference(std::string_view text);
// An `action =` value: references, separated by space or line ends outside of their brackets.
std::vector<std::string> split_references(std::string_view text);

// <tags> in values replaced by the values of other options, again and again; what is no option
// stays (<HOST>). `ini` is asked for what `options` does not have; tags in `left_alone` stay, too.
// With a condition ("family=inet6"), options that hold under it come first.
Result<Options> replace_tags(Options options, const Ini& ini, const Options& vars,
                             std::string_view condition = {},
                             const std::set<std::string, std::less<>>& left_alone = {});

// A filter as one jail uses it.
struct FilterDefinition {
    std::string name;
    std::vector<std::string> files;  // it was read from
    std::string prefregex;
    std::vector<std::string> failregex, ignoreregex, datepattern, journalmatch;
    std::string maxlines, usedns, logtype;
    Options all;  // every option, for %(known/…)s
};
// `vars`: the jail's options, which go before the filter's; may be empty.
Result<FilterDefinition> read_filter(const std::string& base, const Reference& reference,
                                     const std::string& backend, const Options& vars,
                                     std::vector<Error>& faults);

// An action as one jail uses it: commands with their tags still in, other options filled in.
struct ActionDefinition {
    Reference reference;
    std::vector<std::string> files;
    Options options;       // for IPv4
    Options options_ipv6;  // the same, where the action tells the families apart
    bool python = false;   // a .py: cannot be carried over
};

struct JailDefinition {
    std::string name;
    bool enabled = false;
    Options options;  // resolved, without filter and action
    FilterDefinition filter;
    std::vector<ActionDefinition> actions;
    std::vector<Error> problems;  // why it is not complete
};

struct Definitions {
    std::vector<JailDefinition> jails;
    std::vector<std::string> files;  // that jails were read from
    Options server;                  // [Definition] of fail2ban.conf
    std::vector<Error> faults;
};
// [Definition] of fail2ban.conf and what overrides it; empty if there is none.
Options read_server(const std::string& base, std::vector<Error>& faults);
// `with_disabled`: those that are not enabled, too.
Result<Definitions> read_definitions(const std::string& base, bool with_disabled);

}  // namespace bandd::fail2ban
