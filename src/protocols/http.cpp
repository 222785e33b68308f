// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/http.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/percent.h"
#include "core/base/reserved.h"

namespace bandd {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& json, const char* key) {
    auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}
bool flag_of(const Json& json, const char* key) {
    auto found = json.find(key);
    return found != json.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
    for (const auto& [known, value] : headers)
        if (known == name) return value;
    return {};
}

bool is_same_secret(std::string_view given, std::string_view secret) {
    unsigned char different = given.size() == secret.size() ? 0 : 1;
    for (std::size_t i = 0; i < secret.size(); ++i) {
        char c = given.empty() ? '\0' : given[i % given.size()];
        different = static_cast<unsigned char>(different | (c ^ secret[i]));
    }
    return different == 0;
}

bool is_authorized(const HttpRequest& request, std::string_view token) {
    if (token.empty()) return is_loopback(request.connection.theirs);
    std::string_view given = request.header("authorization");
    constexpr std::string_view bearer = "Bearer ";
    if (given.starts_with(bearer)) return is_same_secret(given.substr(bearer.size()), token);
    return is_same_secret(request.header("x-auth-key"), token);
}

std::string header_text(std::string_view text) {
    std::string out;
    for (char c : text) out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    return out;
}

std::optional<HttpLogin> parse_nginx(const HttpRequest& request) {
    // Of two, one would be checked, and the other one believed.
    for (std::string_view name : {"auth-user", "client-ip", "auth-method", "auth-protocol"})
        if (std::ranges::count(request.headers, name, [](const auto& header) -> std::string_view {
                return header.first;
            }) > 1)
            return {};
    HttpLogin login;
    login.method = request.header("auth-method");
    login.anonymous = login.method == "none";
    auto user = percent_decoded(request.header("auth-user"));
    auto address = parse_address(request.header("client-ip"));
    if (!user || (user->empty() && !login.anonymous) || !address) return {};
    login.user = std::move(*user);
    login.address = *address;
    login.protocol = request.header("auth-protocol");
    return login;
}

bool is_checked(const HttpLogin& login, const HttpConfig& config) {
    if (config.backend_checks) return true;
    return !login.anonymous &&
           (config.auth || login.protocol == "imap" || login.protocol == "pop3");
}

bool can_be_checked(const HttpLogin& login, const HttpConfig& config) {
    if (login.anonymous || login.method.empty() || login.method == "plain") return true;
    return login.method == "external" && !config.auth;
}

HttpReply refuse(std::string text, const char* code) {
    HttpReply reply;
    reply.headers.emplace_back("Auth-Status", std::move(text));
    reply.headers.emplace_back("Auth-Error-Code", code);
    return reply;
}

HttpReply refuse_for_now(std::string_view protocol) {
    std::string code = protocol == "imap"   ? "[UNAVAILABLE] "
                       : protocol == "pop3" ? "[SYS/TEMP] "
                                            : "";
    return refuse(code + "Temporary server problem, try again later", "451 4.3.0");
}

HttpReply let_in(const HttpLogin& login, const HttpConfig& config) {
    auto server = config.mail_servers.find(login.protocol);
    if (server == config.mail_servers.end()) return refuse_for_now(login.protocol);
    HttpReply reply;
    reply.headers.emplace_back("Auth-Status", "OK");
    reply.headers.emplace_back("Auth-Server", to_string(server->second.address));
    reply.headers.emplace_back("Auth-Port", std::to_string(server->second.port));
    return reply;
}

HttpReply ask_whether_right(const PasswordServer& server) {
    constexpr std::chrono::seconds grace{2};  // bandd-auth keeps to the timeout
    HttpReply reply;
    reply.status = ask_for_password;
    auto patience = std::chrono::ceil<std::chrono::seconds>(server.timeout) + grace;
    reply.headers.emplace_back("seconds", std::to_string(patience.count()));
    return reply;
}

std::optional<HttpLogin> parse_dovecot(const HttpRequest& request) {
    Json json = Json::parse(request.body, nullptr, false);
    if (!json.is_object()) return {};
    HttpLogin login;
    login.user = text_of(json, "login");
    login.protocol = text_of(json, "protocol");
    auto address = parse_address(text_of(json, "remote"));
    if (!address || login.user.empty()) return {};
    login.address = *address;
    login.report = request.query == "command=report";
    login.success = flag_of(json, "success");
    login.refused_by_us = flag_of(json, "policy_reject");
    return login;
}

HttpReply reply_to_dovecot(bool may, std::string_view text) {
    HttpReply reply;
    reply.type = "application/json";
    reply.body = Json{{"status", may ? 0 : -1}, {"msg", may ? "" : text}}.dump() + "\n";
    return reply;
}

}  // namespace bandd
