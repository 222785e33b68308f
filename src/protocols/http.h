// SPDX-License-Identifier: GPL-2.0-or-later
// Requests by HTTP and their replies: nginx's auth_http, Dovecot's auth policy. A helper process
// speaks HTTP itself (src/http); passwords never come here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/question.h"
#include "config/types.h"
#include "os/tcp_connection.h"

namespace bandd {

struct HttpRequest {
    std::uint64_t id = 0;  // of the helper
    std::string method, path;
    std::string query;                                         // after the "?", as it came
    TcpConnection connection;                                  // that it came by
    std::vector<std::pair<std::string, std::string>> headers;  // names in small letters
    std::string body;
    std::optional<PasswordVerdict> verdict;  // of the password, once bandd-auth was asked

    std::string_view header(std::string_view name) const;  // empty if it is not there
};
struct HttpReply {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// Compares in a time that does not tell how much of it was right.
bool is_same_secret(std::string_view given, std::string_view secret);
// By `Authorization: Bearer …` or `X-Auth-Key: …`, or from this machine if there is no token. Then
// it remains to be asked which of its users that is.
bool is_authorized(const HttpRequest& request, std::string_view token);

// A login that nginx or Dovecot wants a decision on, or tells of.
struct HttpLogin {
    std::string user, protocol;
    std::string method;  // of nginx: plain (also for LOGIN), apop, cram-md5, external, none
    Address address;
    bool report = false;   // Dovecot tells how it went; nothing is decided
    bool success = false;  // of a report
    bool refused_by_us = false;
    bool anonymous = false;  // nginx passes on who does not log in (smtp_auth none)
};
// From nginx's headers. Empty if it is not such a request.
std::optional<HttpLogin> parse_nginx(const HttpRequest& request);
// Whether somebody checks the password: we do (`auth`), or else the server behind, once we say OK.
// With IMAP and POP3 nginx hands it on. With SMTP the server behind may take nginx' word for it,
// and send mail for everybody.
bool is_checked(const HttpLogin& login, const HttpConfig& config);
// APOP and CRAM-MD5 answer a riddle that nginx made up. No mail server can say whether the answer
// is right, and nginx itself would need the password. EXTERNAL has none for us to check.
bool can_be_checked(const HttpLogin& login, const HttpConfig& config);

// To nginx: the client may go on, to the mail server for its protocol.
HttpReply let_in(const HttpLogin& login, const HttpConfig& config);
// To nginx, which puts the code in front for SMTP.
HttpReply refuse(std::string text, const char* code = "535 5.7.8");
// The same, with the code that tells a client to keep its password: RFC 5530, RFC 3206.
HttpReply refuse_for_now(std::string_view protocol);
// To bandd-http: whether the password is right is to be asked first.
HttpReply ask_whether_right(const PasswordServer& server);

// From Dovecot's JSON.
std::optional<HttpLogin> parse_dovecot(const HttpRequest& request);
HttpReply reply_to_dovecot(bool may, std::string_view text);

// `text` as a header may hold it: without line ends and other control characters.
std::string header_text(std::string_view text);

}  // namespace bandd
