// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/geoblock.h"

#include <algorithm>
#include <utility>

#include "config/actions.h"
#include "config/names.h"
#include "core/base/reserved.h"
#include "core/decide/condition.h"
#include "core/decide/facts.h"

namespace bandd {

template <>
NftablesAction& inside(GeoblockConfig& block) {
    return block.packets;
}

namespace {

void add_countries(const Field& field, GeoblockConfig& block) {
    for (const Value* word : field.words()) {
        if (is_country_code(word->text))
            block.countries.push_back(word->text);
        else
            field.error(*word, "is no country's code", "two capital letters: DE, US");
    }
}

void read_all_but(const Field& field, GeoblockConfig& block) {
    block.all_but = true;
    add_countries(field, block);
}

void check_geoblock(const Section& section, GeoblockConfig& block) {
    auto error = [&](const char* reason, const char* hint = "") {
        section.reading().errors.push_back({section.what(), reason, hint, block.where});
    };
    if (!is_jail_name(block.name)) error("is no name", "letters, digits and \"-\"");
    if ((section.find("countries") == nullptr) == (section.find("all_but") == nullptr))
        error("needs either \"countries\" or \"all_but\"");
    if (section.find("port") == nullptr)
        error("names no \"port\"",
              "write \"port: [smtp, imaps]\"; \"port: all\" also stops answers to connections "
              "that you make");
    if (std::exchange(block.packets.auto_ports, false))
        error("has no service, so \"port: auto\" says nothing");
    default_to_tcp(block.packets);
}

}  // namespace

const Table<GeoblockConfig>& geoblock_keys() {
    static const Table<GeoblockConfig> table = [] {
        std::vector<Key<GeoblockConfig>> keys{
            key::special("countries", add_countries, "list of codes", "",
                         "whose networks are kept out"),
            key::special("all_but", read_all_but, "list of codes", "",
                         "or: the networks of all countries but these (what no database knows may "
                         "come)"),
            key::prefixes("except", &GeoblockConfig::except, "never kept out"),
            key::special("port", read_packet_ports, "port, range, service, a list, or all", "",
                         "ports that are closed to them; all: every packet, answers to your own "
                         "connections, too"),
            key::special("protocol", read_packet_protocols, "tcp | udp | list", "tcp",
                         "protocols of these ports"),
        };
        return Table<GeoblockConfig>{"geoblock", joined<GeoblockConfig>(keys, packet_keys()),
                                     check_geoblock};
    }();
    return table;
}

namespace {

bool keeps_out(const GeoblockConfig& block, const Address& address, std::string_view country) {
    bool known = !country.empty() && country != private_country && country != unknown_country;
    bool excepted = std::ranges::any_of(
        block.except, [&](const Prefix& prefix) { return contains(prefix, address); });
    bool named = std::ranges::find(block.countries, country) != block.countries.end();
    return known && !excepted && named != block.all_but;
}

}  // namespace

std::vector<std::string> geoblocks_of(const std::vector<GeoblockConfig>& blocks,
                                      const Address& address, std::string_view country) {
    std::vector<std::string> texts;
    for (const GeoblockConfig& block : blocks)
        if (keeps_out(block, address, country))
            texts.push_back("geoblock " + block.name + ": country " + std::string(country));
    return texts;
}

void read_geoblocks(const Field& field, Config& config) {
    if (field.value().kind != Value::Kind::map)
        field.error_without_value("must be a map: a name, then its keys");
    for (const auto& [name, keys] : field.value().entries) {
        GeoblockConfig block;
        block.name = name.text;
        block.where = name.where;
        geoblock_keys().read(keys, "geoblock \"" + name.text + "\"", field.reading(), block);
        config.geoblocks.push_back(std::move(block));
    }
}

}  // namespace bandd
