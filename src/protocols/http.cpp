// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/http.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/reserved.h"

namespace bandd {
namespace {

using Json = nlohmann::json;

constexpr std::string_view refusal = "Login is not allowed from there";
constexpr std::string_view account_refusal = "This account was used from too many places";

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

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

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return {};
        out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
        i += 2;
    }
    return out;
}

std::string header_text(std::string_view text) {
    std::string out;
    for (char c : text) out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    return out;
}

std::optional<HttpLogin> parse_nginx(const HttpRequest& request) {
    HttpLogin login;
    login.anonymous = request.header("auth-method") == "none";
    auto user = percent_decoded(request.header("auth-user"));
    auto address = parse_address(request.header("client-ip"));
    if (!user || (user->empty() && !login.anonymous) || !address) return {};
    login.user = std::move(*user);
    login.address = *address;
    login.protocol = request.header("auth-protocol");
    return login;
}

HttpReply reply_to_nginx(const HttpLogin& login, const Decision& decision,
                         const HttpConfig& config) {
    HttpReply reply;
    if (decision.permit != Permit::yes) {
        reply.headers.emplace_back("Auth-Status",
                                   decision.permit == Permit::country ? refusal : account_refusal);
        // For SMTP, nginx sends this in front.
        reply.headers.emplace_back("Auth-Error-Code", "535 5.7.8");
        return reply;
    }
    auto server = config.mail_servers.find(login.protocol);
    if (server == config.mail_servers.end()) {
        reply.headers.emplace_back("Auth-Status", "Temporary server problem, try again later");
        reply.headers.emplace_back("Auth-Error-Code", "451 4.3.0");
        return reply;
    }
    reply.headers.emplace_back("Auth-Status", "OK");
    reply.headers.emplace_back("Auth-Server", to_string(server->second.address));
    reply.headers.emplace_back("Auth-Port", std::to_string(server->second.port));
    return reply;
}

bool is_checked_behind(const HttpLogin& login, const HttpConfig& config) {
    return config.backend_checks ||
           (!login.anonymous && (login.protocol == "imap" || login.protocol == "pop3"));
}

HttpReply refuse_unchecked() {
    HttpReply reply;
    reply.headers.emplace_back("Auth-Status",
                               "bandd is not told that the mail server checks passwords (http: "
                               "backend_checks)");
    reply.headers.emplace_back("Auth-Error-Code", "535 5.7.8");
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

HttpReply reply_to_dovecot(const Decision& decision) {
    HttpReply reply;
    reply.type = "application/json";
    Json json{{"status", decision.permit == Permit::yes ? 0 : -1},
              {"msg", decision.permit == Permit::yes       ? ""
                      : decision.permit == Permit::country ? refusal
                                                           : account_refusal}};
    reply.body = json.dump() + "\n";
    return reply;
}

}  // namespace bandd
