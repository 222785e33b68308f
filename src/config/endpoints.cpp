// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/actions.h"
#include "config/listen.h"
#include "config/load.h"
#include "core/base/reserved.h"
#include "core/decide/condition.h"

namespace bandd {

AskedProgram read_program(const Section& section, std::string_view key, std::string_view table,
                          const Value& value) {
    AskedProgram program;
    if (value.kind != Value::Kind::map) {
        program.argv = parse_argv(section, key);
        return program;
    }
    Section keys(value, table, std::string(table), section.errors());
    program.argv = parse_argv(keys, "run");
    keys.text("user", program.user);
    keys.duration("timeout", program.timeout, false);
    if (keys.find("run") == nullptr)
        keys.error(value, "\"" + std::string(key) + "\"", "has nothing to run",
                   "give \"run: [/usr/bin/program, <ip>]\"");
    return program;
}

namespace {

std::vector<Prefix> read_prefixes(const Section& section, const std::string& key) {
    std::vector<Prefix> prefixes;
    for (const Value* word : section.words(key)) {
        if (auto prefix = parse_prefix(word->text))
            prefixes.push_back(*prefix);
        else
            section.error(*word, "\"" + key + ": " + word->text + "\"",
                          "is no address and no CIDR block");
    }
    return prefixes;
}

// Of one line, without its end. `file:PATH` is the first line of a file.
std::string read_secret(const Section& section, const std::string& key, const Absolute& absolute) {
    constexpr std::size_t shortest = 16;
    std::string secret;
    section.text(key, secret);
    const Value* value = section.find(key);
    if (value == nullptr || value->kind != Value::Kind::scalar) return "";
    if (secret.starts_with("file:")) {
        std::string path = absolute(secret.substr(5));
        std::ifstream file(path);
        secret.clear();
        if (!std::getline(file, secret)) {
            section.error(*value, "\"" + key + "\"", "cannot read \"" + path + "\"");
            return "";
        }
        if (secret.ends_with('\r')) secret.pop_back();
    }
    if (secret.size() < shortest)
        section.error(*value, "\"" + key + "\"", "is shorter than 16 characters",
                      "make one with: openssl rand -hex 16");
    return secret;
}

// A map: a user, then a list of places.
void read_users_map(const Value& map, UsersPlaces& users, std::vector<Error>& errors) {
    if (map.kind != Value::Kind::map)
        errors.push_back(
            {"\"users\"", "must be a map: a user, then a list of places", {}, map.where});
    for (const auto& [user, places] : map.entries) {
        auto add = [&, &name = user.text](const Value& place) {
            if (place.kind != Value::Kind::scalar || !add_place(users, name, place.text))
                errors.push_back({"\"" + name + ": " + place.text + "\"",
                                  "is no country's code, no address and no CIDR block",
                                  {},
                                  place.where});
        };
        if (places.kind == Value::Kind::list)
            std::ranges::for_each(places.items, add);
        else
            add(places);
    }
}

void read_access(const Section& root, const Absolute& absolute, AccessConfig& access) {
    const Value* value = root.find("access");
    if (value == nullptr) return;
    access.where = value->where;
    Section keys(*value, "access", "access", root.errors());
    for (const Value* word : keys.words("countries")) {
        access.rules.everywhere = false;
        if (is_country_code(word->text) || word->text == unknown_country)
            access.rules.countries.push_back(word->text);
        else if (word->text != private_country)
            keys.error(*word, "\"countries: " + word->text + "\"", "is no country's code",
                       "two capital letters: DE, US; or unknown");
    }
    if (const Value* users = keys.find("users"))
        read_users_map(*users, access.rules.users, root.errors());
    keys.text("users_file", access.users_file);
    access.users_file = absolute(access.users_file);
    keys.text("message", access.place_message);
}

void read_accounts(const Section& root, AccessConfig& access) {
    const Value* value = root.find("accounts");
    if (value == nullptr) return;
    access.accounts_where = value->where;
    Section keys(*value, "accounts", "accounts", root.errors());
    AccountLimits& limits = access.rules.accounts;
    keys.duration("findtime", limits.findtime, false);
    keys.number("countries", limits.countries, 0, 250);
    keys.number("addresses", limits.addresses, 0, 10'000);
    keys.number("limit", limits.accounts, 1, 10'000'000);
    access.rules.not_counted = PrefixSet(read_prefixes(keys, "ignoreip"));
    keys.text("message", access.message);
    if (const Value* action = keys.find("action"))
        access.action = read_program(keys, "action", "accounts action", *action);
}

// An answer of Postfix's: a code of the SMTP server first, or a word of access(5).
void check_message(const Section& root, const char* key, const std::string& message) {
    const Value* map = root.find(key);
    const Value* value = map == nullptr ? nullptr : map->find("message");
    if (value == nullptr) return;
    bool code =
        message.size() > 4 && (message[0] == '4' || message[0] == '5') &&
        std::ranges::all_of(message.substr(1, 2), [](char c) { return c >= '0' && c <= '9'; }) &&
        message[3] == ' ';
    bool word = message.starts_with("REJECT") || message.starts_with("DEFER") ||
                message.starts_with("DISCARD") || message.starts_with("HOLD");
    if (!code && !word)
        root.error(*value, "\"message\"", "is no answer that Postfix could give",
                   "begin it with a code: 554 5.7.1 …");
    if (message.find_first_of("\r\n") != std::string::npos)
        root.error(*value, "\"message\"", "must be one line");
}

void read_policy(const Section& root, const Absolute& absolute, PolicyConfig& policy) {
    const Value* value = root.find("policy");
    if (value == nullptr) return;
    Section keys(*value, "policy", "policy", root.errors());
    policy.from = read_prefixes(keys, "from");
    for (const Value* word : keys.words("listen")) {
        auto address = parse_listen_address(word->text, 10040, 0);
        if (address && address->kind == ListenAddress::Kind::unix_datagram)
            address->kind = ListenAddress::Kind::unix_stream;
        bool good = address && (address->kind == ListenAddress::Kind::unix_stream ||
                                address->kind == ListenAddress::Kind::tcp);
        if (!good) {
            keys.error(*word, "\"listen: " + word->text + "\"", "is no address to listen at",
                       "write unix:/var/spool/postfix/private/bandd or tcp://127.0.0.1:10040");
            continue;
        }
        address->path = absolute(address->path);
        policy.listen.push_back(std::move(*address));
    }
}

void read_http(const Section& root, const Absolute& absolute, HttpConfig& http) {
    const Value* value = root.find("http");
    if (value == nullptr) return;
    Section keys(*value, "http", "http", root.errors());
    http.token = read_secret(keys, "token", absolute);
    std::string listen;
    keys.text("listen", listen);
    if (const Value* word = keys.find("listen")) {
        auto address = parse_listen_address(listen, 10041, 0);
        if (!address || address->kind != ListenAddress::Kind::tcp)
            keys.error(*word, "\"listen: " + listen + "\"", "is no address to listen at",
                       "write tcp://127.0.0.1:10041");
        else if (!is_loopback(address->address) && http.token.empty())
            keys.error(*word, "\"listen: " + listen + "\"",
                       "others than this machine could ask, and no \"token\" is given",
                       "listen at 127.0.0.1, or give a token");
        else
            http.listen = *address;
    }
    for (const char* protocol : {"imap", "pop3", "smtp"}) {
        std::string text;
        keys.text(protocol, text);
        if (text.empty()) continue;
        auto server = parse_host_and_port(text, 0);
        if (server && server->second != 0)
            http.mail_servers[protocol] = {server->first, server->second};
        else
            keys.error(*keys.find(protocol), fmt::format("\"{}: {}\"", protocol, text),
                       "is no address with a port", "write 127.0.0.1:143");
    }
}

void read_peer(const Value& name, const Value& value, const Absolute& absolute, const Section& at,
               RemoteConfig& remote) {
    PeerConfig peer;
    peer.name = name.text;
    peer.where = name.where;
    peer.jail = manual_jail;
    Section keys(value, "peer", "peer \"" + name.text + "\"", at.errors());
    peer.token = read_secret(keys, "token", absolute);
    keys.text("certificate", peer.certificate);
    keys.text("jail", peer.jail);
    keys.duration("longest", peer.longest, true);
    auto words = keys.words("may");
    if (words.empty() && keys.find("may") == nullptr)
        peer.may_add = peer.may_delete = peer.may_check = true;
    for (const Value* word : words) {
        if (word->text == "add")
            peer.may_add = true;
        else if (word->text == "del")
            peer.may_delete = true;
        else if (word->text == "check")
            peer.may_check = true;
        else
            keys.error(*word, "\"may: " + word->text + "\"", "must be one of add, del, check");
    }
    if (keys.find("token") == nullptr && peer.certificate.empty())
        keys.error(value, keys.what(), "cannot be told from others",
                   "give it a \"token\", or the name in its \"certificate\"");
    if (!peer.certificate.empty() && remote.tls.clients.empty())
        keys.error(*keys.find("certificate"), "\"certificate\"",
                   "nobody says which certificates are believed", "give \"clients\" in \"remote\"");
    remote.peers.push_back(std::move(peer));
}

void read_remote(const Section& root, const Absolute& absolute, RemoteConfig& remote) {
    const Value* value = root.find("remote");
    if (value == nullptr) return;
    remote.where = value->where;
    Section keys(*value, "remote", "remote", root.errors());
    keys.text("certificate", remote.tls.certificate);
    keys.text("key", remote.tls.key);
    keys.text("clients", remote.tls.clients);
    for (std::string* path : {&remote.tls.certificate, &remote.tls.key, &remote.tls.clients})
        *path = absolute(*path);
    remote.from = read_prefixes(keys, "from");
    remote.text_from = read_prefixes(keys, "text_from");
    remote.text_jail = manual_jail;
    keys.text("text_jail", remote.text_jail);
    keys.number("rate", remote.rate, 1, 1'000'000);
    for (const Value* word : keys.words("listen")) {
        auto address = parse_listen_address(word->text, 7070, 7071);
        bool tls = address && address->kind == ListenAddress::Kind::tls;
        if (!tls && !(address && address->kind == ListenAddress::Kind::tcp)) {
            keys.error(*word, "\"listen: " + word->text + "\"", "is no address to listen at",
                       "write tls://0.0.0.0:7071, or tcp://127.0.0.1:7070 for plain text");
            continue;
        }
        if (tls && (remote.tls.certificate.empty() || remote.tls.key.empty()))
            keys.error(*word, "\"listen: " + word->text + "\"", "needs \"certificate\" and \"key\"",
                       "name two PEM files");
        if (tls) address->tls = remote.tls;
        remote.listen.push_back(std::move(*address));
    }
    if (const Value* peers = keys.find("peers")) {
        if (peers->kind != Value::Kind::map)
            keys.error(*peers, "\"peers\"", "must be a map: a name, then its keys");
        for (const auto& [name, entry] : peers->entries)
            read_peer(name, entry, absolute, keys, remote);
    }
}

void read_geoblocks(const Section& root, Config& config) {
    const Value* value = root.find("geoblock");
    if (value == nullptr) return;
    if (value->kind != Value::Kind::map)
        root.error(*value, "\"geoblock\"", "must be a map: a name, then its keys");
    for (const auto& [name, entry] : value->entries) {
        GeoblockConfig block;
        block.name = name.text;
        block.where = name.where;
        Section keys(entry, "geoblock", "geoblock \"" + name.text + "\"", root.errors());
        if (!is_jail_name(name.text))
            keys.error(name, keys.what(), "is no name", "letters, digits and \"-\"");
        for (const char* key : {"countries", "all_but"})
            for (const Value* word : keys.words(key)) {
                block.all_but = key == std::string_view("all_but");
                if (is_country_code(word->text))
                    block.countries.push_back(word->text);
                else
                    keys.error(*word, "\"" + std::string(key) + ": " + word->text + "\"",
                               "is no country's code", "two capital letters: DE, US");
            }
        if ((keys.find("countries") == nullptr) == (keys.find("all_but") == nullptr))
            keys.error(name, keys.what(), "needs either \"countries\" or \"all_but\"");
        block.except = read_prefixes(keys, "except");
        bool all_ports = false;
        if (const Value* port = keys.find("port"); port != nullptr && port->text == "all")
            all_ports = true;
        else
            read_packets(keys, block.packets, root.errors());
        if (keys.find("port") == nullptr)
            keys.error(name, keys.what(), "names no \"port\"",
                       "write \"port: [smtp, imaps]\"; \"port: all\" also stops answers to "
                       "connections that you make");
        if (all_ports) {
            // All keys but the port, which is none.
            Value without = entry;
            std::erase_if(without.entries,
                          [](const Entry& one) { return one.first.text == "port"; });
            Section rest(without, "geoblock", keys.what(), root.errors());
            read_packets(rest, block.packets, root.errors());
        }
        config.geoblocks.push_back(std::move(block));
    }
}

}  // namespace

void read_endpoints(const Section& root, const Absolute& absolute, Config& config) {
    read_access(root, absolute, config.access);
    read_accounts(root, config.access);
    check_message(root, "access", config.access.place_message);
    check_message(root, "accounts", config.access.message);
    read_policy(root, absolute, config.policy);
    read_geoblocks(root, config);
    read_http(root, absolute, config.http);
    read_remote(root, absolute, config.remote);
}

Result<UsersPlaces> read_users(const AccessConfig& access, std::vector<Error>& bad_lines) {
    UsersPlaces users = access.rules.users;
    if (access.users_file.empty()) return users;
    std::string what = "users_file \"" + access.users_file + "\"";
    if (access.users_file.ends_with(".yaml")) {
        auto map = read_document(access.users_file);
        if (!map) return std::unexpected(map.error());
        if (map->kind != Value::Kind::null) read_users_map(*map, users, bad_lines);
        return users;
    }
    std::ifstream file(access.users_file);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return fail(what, "cannot be read", "check \"access:\" in bandd.yaml");
    for (const BadLine& line : read_places(text.str(), users))
        bad_lines.push_back({"\"" + line.text + "\"",
                             "is not user|COUNTRY and not user|ADDRESS",
                             {},
                             {access.users_file, line.number, 1}});
    return users;
}

}  // namespace bandd
