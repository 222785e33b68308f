// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/fleet.h"

namespace bandd {

template <>
FleetTrust& inside(FleetConfig& fleet) {
    return fleet.trust;
}

namespace {

void check_join(const Section& section, FleetConfig& fleet) {
    if (fleet.join.empty())
        section.error("has no \"join\"",
                      "name the file that bandctl fleet init made for this machine");
}

}  // namespace

const Table<FleetConfig>& fleet_keys() {
    static const Table<FleetConfig> table{
        "fleet",
        {
            key::path("join", &FleetConfig::join, "path",
                      "the file that `bandctl fleet init` made for this machine; read when bandd "
                      "starts"),
            key::words("jails", &FleetTrust::jails, "list of jails",
                       "jails of which bans of other machines are taken; none: all"),
            key::duration("longest", &FleetTrust::longest,
                          "longest ban of other machines that is taken", MayBeForever::yes),
            key::number("widest_ipv4", &FleetTrust::widest_v4, {8, 32},
                        "widest IPv4 block of theirs, as a prefix length"),
            key::number("widest_ipv6", &FleetTrust::widest_v6, {16, 128},
                        "widest IPv6 block of theirs, as a prefix length"),
            key::number("rate", &FleetTrust::rate, {1, 10'000'000},
                        "bans, ends and changes of one machine in a minute; further ones are "
                        "refused and counted"),
            key::number("outbox", &FleetConfig::outbox, {1, 100'000},
                        "MiB; hits that are kept while the server is away; over it, the oldest are "
                        "lost and counted"),
            key::number("most", &FleetTrust::most, {1, 100'000'000},
                        "bans of one machine at one time"),
        },
        check_join};
    return table;
}

}  // namespace bandd
