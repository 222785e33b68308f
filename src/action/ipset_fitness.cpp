// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/ipset_fitness.h"

#include <fmt/format.h>

namespace bandd {
namespace {

std::string called(const std::string& set) { return "ipset \"" + set + "\""; }
const char* family(bool v4) { return v4 ? "IPv4" : "IPv6"; }

}  // namespace

Error missing_ipset(const std::string& set, bool v4, const IpsetAction& action) {
    return {called(set),
            "does not exist",
            fmt::format("make it: ipset create {} hash:net family {} timeout 0 maxelem {}, or set "
                        "\"create: true\"",
                        set, v4 ? "inet" : "inet6", action.maxelem),
            {}};
}

Result<> check_ipset(const std::string& set, bool v4, const IpsetHeader& header) {
    if (header.type != "hash:net" && header.type != "hash:ip")
        return fail(called(set), "is of type " + header.type,
                    "bandd writes to hash:net and hash:ip sets");
    if (header.v4 != v4)
        return fail(called(set), fmt::format("holds {}, not {}", family(header.v4), family(v4)),
                    "name the IPv4 set with \"set:\" and the IPv6 one with \"set6:\"");
    return {};
}

std::vector<Error> doubts_about_ipset(const std::string& set, const IpsetHeader& header,
                                      const IpsetAction& action) {
    std::vector<Error> doubts;
    auto remark = [&](std::string reason, std::string hint) {
        doubts.push_back({called(set), std::move(reason), std::move(hint), {}});
    };
    int widest = header.v4 ? action.widest4 : action.widest6;
    int single = header.v4 ? 32 : 128;
    if (header.type == "hash:ip" && widest < single)
        remark(fmt::format("is of type hash:ip and can't hold the /{} that the jail bans", widest),
               header.v4 ? "make it a hash:net set, or write \"ban_prefix: {ipv4: 32}\""
                         : "make it a hash:net set, or write \"ban_prefix: {ipv6: 128}\"");
    if (header.netmask != 0 && header.netmask < single)
        remark(fmt::format("was made with netmask {}: each ban stops a whole /{}", header.netmask,
                           header.netmask),
               "make it without netmask, and say with \"ban_prefix\" how much is banned");
    if (header.drops_others)
        remark(fmt::format("was made with forceadd: beyond {} elements the kernel throws others "
                           "out, and says nothing",
                           header.maxelem),
               "make it without forceadd");
    return doubts;
}

std::optional<Error> note_on_ipset(const std::string& set, const IpsetHeader& header) {
    if (header.timed) return {};
    return Error{called(set),
                 "has no timeouts: bandd takes each address out at the end of its ban, which it "
                 "must be running for",
                 "make it with \"timeout 0\", and bans end by themselves",
                 {}};
}

Error full_ipset(const std::string& set, std::uint64_t maxelem) {
    return {called(set),
            fmt::format("is full: it holds {} elements", maxelem),
            "make the set larger (maxelem), or bantime shorter",
            {}};
}

Error full_set(const ActionConfig& action, bool v4, std::uint64_t most) {
    if (const auto* ipset = std::get_if<IpsetAction>(&action))
        return full_ipset(v4 ? ipset->set4 : ipset->set6, most);
    return {"the set of action " + std::string(action_name(action)),
            "is full: it holds " + std::to_string(most) + " elements",
            "",
            {}};
}

}  // namespace bandd
