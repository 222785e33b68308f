// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/access.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/program.h"

namespace bandd {

template <>
AccountLimits& inside(AccessConfig& access) {
    return access.rules.accounts;
}

namespace {

void read_countries(const Field& field, AccessConfig& access) {
    for (const Value* word : field.words()) {
        access.rules.everywhere = false;
        if (is_country_code(word->text) || word->text == unknown_country)
            access.rules.countries.push_back(word->text);
        else if (word->text != private_country)
            field.error(*word, "is no country's code", "two capital letters: DE, US; or unknown");
    }
}

// A map: a user, then a list of countries and addresses.
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

void read_users_key(const Field& field, AccessConfig& access) {
    read_users_map(field.value(), access.rules.users, field.reading().errors);
}

void read_not_counted(const Field& field, AccessConfig& access) {
    access.rules.not_counted = PrefixSet(field.prefixes());
}

void read_accounts_action(const Field& field, AccessConfig& access) {
    access.action = read_program(field, accounts_action_keys());
}

// What Postfix may be answered: a code of the SMTP server first, or a word of access(5).
bool is_postfix_answer(const std::string& text) {
    auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    bool code = text.size() > 4 && (text[0] == '4' || text[0] == '5') && is_digit(text[1]) &&
                is_digit(text[2]) && text[3] == ' ';
    return code || text.starts_with("REJECT") || text.starts_with("DEFER") ||
           text.starts_with("DISCARD") || text.starts_with("HOLD");
}

template <std::string AccessConfig::* message>
void read_message(const Field& field, AccessConfig& access) {
    auto text = field.text();
    if (!text) return;
    if (!is_postfix_answer(*text))
        field.error_without_value("is no answer that Postfix could give",
                                  "begin it with a code: 554 5.7.1 …");
    if (text->find_first_of("\r\n") != std::string::npos)
        field.error_without_value("must be one line");
    access.*message = std::move(*text);
}

}  // namespace

const Table<AccessConfig>& access_keys() {
    static const Table<AccessConfig> table{
        "access",
        {
            key::special("countries", read_countries, "list of codes, or unknown", "everywhere",
                         "from where everybody may log in; private addresses always may"),
            key::special("users", read_users_key, "map of lists", "",
                         "from where else one user may: countries, addresses, CIDRs"),
            key::path("users_file", &AccessConfig::users_file, "path",
                      "the same, as lines `user|CC` and `user|ADDRESS`, or as a map (NAME.yaml); "
                      "read again when it changes"),
            key::special("message", read_message<&AccessConfig::place_message>, "text",
                         &AccessConfig::place_message,
                         "what Postfix answers to a login that is not allowed"),
        }};
    return table;
}

const Table<AccessConfig>& accounts_keys() {
    static const Table<AccessConfig> table{
        "accounts",
        {
            key::duration("findtime", &AccountLimits::findtime,
                          "the time in which countries and addresses are counted"),
            key::number("countries", &AccountLimits::countries, {0, 250},
                        "different countries from which an account may be used in that time; 0: "
                        "any number"),
            key::number("addresses", &AccountLimits::addresses, {0, 10'000},
                        "different addresses, the same"),
            key::special("ignoreip", read_not_counted, "list of addresses and CIDRs", "",
                         "logins from there do not count"),
            key::number("limit", &AccountLimits::accounts, {1, 10'000'000},
                        "most accounts that are counted at one time; over it, of those with the "
                        "fewest addresses the one heard of longest ago is forgotten"),
            key::special("message", read_message<&AccessConfig::message>, "text",
                         &AccessConfig::message, "what Postfix answers then"),
            key::special("action", read_accounts_action, "list: program and arguments, or a map",
                         "",
                         "run once when an account has too many; <user>, <ip>, <country>, "
                         "<countries>, <addresses>, <reason> are replaced"),
        }};
    return table;
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
