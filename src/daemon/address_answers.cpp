// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/address_answers.h"

#include "control/protocol.h"
#include "core/base/printable.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"

namespace bandd {
namespace {

Json describe(const Facts& facts, const Address& address) {
    Origin origin = facts.origin(address);
    bool known = origin.country != private_country && origin.country != unknown_country;
    Json json{{"ip", to_string(address)},
              {"countryCode", known ? origin.country : ""},
              {"country", origin.country_name}};
    if (origin.asn != 0) json["asn"] = origin.asn;
    if (!origin.network.empty()) json["network"] = origin.network;
    return json;
}

std::string line_of(const Json& json) {
    // A database, or a line that is the reason of a ban, may hold anything.
    return printable_json(json.dump(-1, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace

std::string geo_answer(const Facts& facts, const Address& address) {
    return line_of(describe(facts, address));
}

std::string verdict_answer(const Engine& engine, const Facts& facts, const Address& address,
                           Instant now) {
    Json json = describe(facts, address);
    const Ban* longest = nullptr;
    for (const Ban* ban : engine.bans_over(make_prefix(address, address.bits()))) {
        if (ban->state == BanState::simulated || ban->until <= now) continue;
        if (longest == nullptr || ban->until > longest->until) longest = ban;
    }
    json["banned"] = longest != nullptr;
    if (longest != nullptr) {
        json["jail"] = engine.rules(longest->key.jail).name;
        json["until"] = time_to_json(longest->until);
        json["reason"] = longest->story ? longest->story->reason : "";
    }
    return line_of(json);
}

}  // namespace bandd
