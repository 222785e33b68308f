// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/access.h"

#include <algorithm>

#include "config/program.h"
#include "config/syslog_words.h"

namespace bandd {

template <>
AccountLimits& inside(AccessConfig& access) {
    return access.rules.accounts;
}
template <>
AccessRules& inside(AccessConfig& access) {
    return access.rules;
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

constexpr Range most_countries{0, 250};
constexpr Range most_addresses{0, 10'000};

void read_user_countries(const Field& field, UserLimits& limits) {
    if (auto number = field.whole_number(most_countries))
        limits.countries = static_cast<std::uint32_t>(*number);
}

void read_user_addresses(const Field& field, UserLimits& limits) {
    if (auto number = field.whole_number(most_addresses))
        limits.addresses = static_cast<std::uint32_t>(*number);
}

void read_user_limits(const Field& field, AccountLimits& limits) {
    if (field.value().kind != Value::Kind::map)
        field.error_without_value("must be a map: a user, then its limits");
    for (const auto& [name, keys] : field.value().entries)
        user_limits_keys().read(keys, "user \"" + name.text + "\"", field.reading(),
                                limits.users[account_name(name.text)]);
}

void read_exempt(const Field& field, AccountLimits& limits) {
    for (const ListItem& item : field.items()) limits.exempt.insert(account_name(item.text));
}

void read_accounts_action(const Field& field, AccessConfig& access) {
    access.action = read_program(field, accounts_action_keys());
}

void read_login_syslog(const Field& field, AccessConfig& access) {
    access.syslog.emplace();
    login_syslog_keys().read(field.value(), "syslog", field.reading(), *access.syslog);
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
    if (auto text = read_postfix_answer(field)) access.*message = std::move(*text);
}

}  // namespace

std::optional<std::string> read_postfix_answer(const Field& field) {
    auto text = field.text();
    if (!text) return {};
    if (!is_postfix_answer(*text))
        field.error_without_value("is no answer that Postfix could give",
                                  "begin it with a code: 554 5.7.1 …");
    else if (text->find_first_of("\r\n") != std::string::npos)
        field.error_without_value("must be one line");
    else
        return text;
    return {};
}

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
                         "what the client of a login that is not allowed is told; Postfix alone "
                         "shows the code; <user>, <ip>, <country> and <country_name> are replaced"),
            key::special("password_message", read_message<&AccessConfig::password_message>, "text",
                         &AccessConfig::password_message,
                         "the same of a wrong password, where bandd checks it (`http: auth`)"),
            key::special("syslog", read_login_syslog, "map", "",
                         "a line about each login goes to syslog, too"),
            key::boolean("simulate", &AccessRules::simulate,
                         "log and count whom it would refuse, but let them in"),
        }};
    return table;
}

const Table<LoginSyslog>& login_syslog_keys() {
    static const Table<LoginSyslog> table{
        "access syslog",
        {
            key::syslog_facility("facility", &LoginSyslog::facility),
            key::syslog_severity("severity", &LoginSyslog::severity),
            key::text("ident", &LoginSyslog::ident, "word", "the program name in the line"),
        }};
    return table;
}

const Table<AccessConfig>& accounts_keys() {
    static const Table<AccessConfig> table{
        "accounts",
        {
            key::duration("findtime", &AccountLimits::findtime,
                          "the time in which countries and addresses are counted"),
            key::number("countries", &AccountLimits::countries, most_countries,
                        "different countries from which an account may be used in that time; 0: "
                        "any number"),
            key::number("addresses", &AccountLimits::addresses, most_addresses,
                        "different addresses, the same"),
            key::special("ignoreip", read_not_counted, "list of addresses, CIDRs, file:PATH", "",
                         "logins from there do not count"),
            key::special("users", read_user_limits, "map of limits", "",
                         "`countries` and `addresses` of single users, by name"),
            key::special("exempt", read_exempt, "list of user names, file:PATH", "",
                         "accounts that may be used from any number of places"),
            key::number("limit", &AccountLimits::accounts, {1, 10'000'000},
                        "most accounts that are counted at one time; over it, of those with the "
                        "fewest addresses the one heard of longest ago is forgotten"),
            key::special("message", read_message<&AccessConfig::message>, "text",
                         &AccessConfig::message,
                         "what the client is told then; see `access: message`"),
            key::special("action", read_accounts_action, "list: program and arguments, or a map",
                         "",
                         "run when an account has too many; <user>, <ip>, <country>, "
                         "<countries>, <addresses>, <reason> are replaced"),
            key::duration("notice_every", &AccountLimits::notice_every,
                          "so often at most an account that has too many is told of, and the "
                          "action run, though it goes over its limits again and again"),
            key::boolean("simulate", &AccountLimits::simulate,
                         "log and count what it would refuse, but let it in, and run no action; "
                         "accounts that are blocked by hand are refused"),
        }};
    return table;
}

const Table<UserLimits>& user_limits_keys() {
    static const Table<UserLimits> table{
        "accounts user",
        {
            key::special("countries", read_user_countries, "0 to 250", "as for all",
                         "different countries from which this account may be used; 0: any number"),
            key::special("addresses", read_user_addresses, "0 to 10000", "as for all",
                         "different addresses, the same"),
        }};
    return table;
}

Result<UsersPlaces> read_users(const AccessConfig& access, std::vector<Error>& bad_lines) {
    UsersPlaces users = access.rules.users;
    if (access.users_file.empty()) return users;
    if (access.users_file.ends_with(".yaml")) {
        auto map = read_document(access.users_file);
        if (!map) return std::unexpected(map.error());
        if (map->kind != Value::Kind::null) read_users_map(*map, users, bad_lines);
        return users;
    }
    auto text = read_text(access.users_file);
    if (!text) return fail("users_file", to_line(text.error()), "check \"access:\" in bandd.yaml");
    for (const BadLine& line : read_places(*text, users))
        bad_lines.push_back({"\"" + line.text + "\"",
                             "is not user|COUNTRY and not user|ADDRESS",
                             {},
                             {access.users_file, line.number, 1}});
    return users;
}

}  // namespace bandd
