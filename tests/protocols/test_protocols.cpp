// SPDX-License-Identifier: GPL-2.0-or-later
// What Postfix, nginx, Dovecot and other machines write, and how they are answered.
#include "protocols/http.h"
#include "protocols/postfix.h"
#include "protocols/refusal.h"
#include "protocols/remote.h"
#include "support/common.h"

using namespace bandd;
using namespace std::chrono_literals;

TEST_CASE("policy: a request is whole with its empty line, in any order, with unknown names") {
    std::string text =
        "instance=1.2\nsasl_username=joe@example.org\nprotocol_state=RCPT\nfuture=x=y\n"
        "client_address=2001:db8::9\nrequest=smtpd_access_policy\n\n";
    for (std::size_t i = 0; i < text.size(); ++i)
        CHECK(policy_request_size(std::string_view(text).substr(0, i)) == 0);
    CHECK(policy_request_size(text + "request=") == text.size());
    auto request = parse_policy_request(text);
    REQUIRE(request);
    CHECK(request->user == "joe@example.org");
    CHECK(request->instance == "1.2");
    CHECK(request->address == ip("2001:db8::9"));
    CHECK_FALSE(parse_policy_request("request=other\nsasl_username=joe\n\n"));
    CHECK_FALSE(parse_policy_request("\n"));
    CHECK_FALSE(parse_policy_request("GET / HTTP/1.1\r\n\r\n"));
    // Of an attribute that comes twice the first one counts.
    auto twice = parse_policy_request(
        "request=smtpd_access_policy\nclient_address=192.0.2.1\nclient_address=8.8.8.8\n\n");
    CHECK(twice->address == ip("192.0.2.1"));
    CHECK(twice->user.empty());
    CHECK(policy_reply("DUNNO") == "action=DUNNO\n\n");
}

TEST_CASE("postfix: mail of another server is told from a user's") {
    auto is_server = [](const std::string& attributes) {
        std::string text = "request=smtpd_access_policy\n" + attributes + "\n\n";
        auto request = parse_policy_request(text);
        return is_mail_from_server(request.value());
    };
    CHECK(is_server("protocol_state=RCPT"));
    CHECK(is_server("protocol_state=RCPT\nserver_port=25\nsasl_username="));
    CHECK(is_server("protocol_state=END-OF-MESSAGE\nserver_port=10025"));
    // He may log in later.
    for (const char* state : {"CONNECT", "EHLO", "HELO", ""})
        CHECK_FALSE(is_server("protocol_state=" + std::string(state)));
    CHECK_FALSE(is_server("protocol_state=RCPT\nsasl_username=joe"));
    CHECK_FALSE(is_server("protocol_state=RCPT\nserver_port=587"));
    CHECK_FALSE(is_server("protocol_state=MAIL\nserver_port=465"));
    CHECK(client_message("554 <ip> is <hostname>, <hostname>", ip("8.8.8.8"), "a.example") ==
          "554 8.8.8.8 is a.example, a.example");
    CHECK(client_message("<hostname>", ip("8.8.8.8"), "") == "unknown");
    CHECK(client_message("<hostname>", ip("8.8.8.8"), "a\r\n250 b") == "unknown");
    CHECK(client_message("<hostname>", ip("8.8.8.8"), "<ip>") == "unknown");
}

TEST_CASE("nginx: what it asks, and what it is told") {
    HttpRequest request;
    request.headers = {{"auth-user", "joe%40example.org%20x"},
                       {"auth-protocol", "imap"},
                       {"client-ip", "192.0.2.7"}};
    auto question = parse_nginx(request);
    REQUIRE(question);
    CHECK(question->user == "joe@example.org x");
    CHECK(question->protocol == "imap");
    HttpConfig config;
    config.mail_servers["imap"] = {ip("192.0.2.1"), 143};
    auto pass = let_in(*question, config);
    CHECK(pass.headers == decltype(pass.headers){{"Auth-Status", "OK"},
                                                 {"Auth-Server", "192.0.2.1"},
                                                 {"Auth-Port", "143"}});
    CHECK(refuse("no").headers ==
          decltype(pass.headers){{"Auth-Status", "no"}, {"Auth-Error-Code", "535 5.7.8"}});
    question->protocol = "smtp";  // no server is named for it
    CHECK(let_in(*question, config).headers[0].second != "OK");
    // Mail from strangers is passed on, whoever they are.
    HttpRequest stranger;
    stranger.headers = {
        {"auth-method", "none"}, {"auth-protocol", "smtp"}, {"client-ip", "8.8.8.8"}};
    REQUIRE(parse_nginx(stranger));
    CHECK(parse_nginx(stranger)->anonymous);
    // Somebody must check the password. With SMTP that is not sure.
    CHECK_FALSE(is_checked(*question, config));
    CHECK_FALSE(is_checked(*parse_nginx(stranger), config));
    for (const char* protocol : {"imap", "pop3"}) {
        question->protocol = protocol;
        CHECK(is_checked(*question, config));
    }
    for (const char* protocol : {"", "sieve", "IMAP", "smtp "}) {
        question->protocol = protocol;
        CHECK_FALSE(is_checked(*question, config));
    }
    config.backend_checks = true;
    CHECK(is_checked(*question, config));
    config.backend_checks = false;
    // We check it, if there is one.
    config.auth = PasswordServer{};
    CHECK(is_checked(*question, config));
    CHECK_FALSE(is_checked(*parse_nginx(stranger), config));
    for (const char* method : {"plain", ""}) {
        question->method = method;
        CHECK(can_be_checked(*question, config));
    }
    for (const char* method : {"apop", "cram-md5", "external", "PLAIN", "xoauth2"}) {
        question->method = method;
        CHECK_FALSE(can_be_checked(*question, config));
    }
    for (const char* name : {"auth-user", "client-ip", "auth-method", "auth-protocol"}) {
        HttpRequest doubled = request;
        doubled.headers.insert(doubled.headers.end(), 2, {name, "192.0.2.1"});
        CHECK_FALSE(parse_nginx(doubled));
    }
    request.headers[0].second = "joe%4";
    CHECK_FALSE(parse_nginx(request));
    request.headers = {{"auth-user", "joe"}, {"client-ip", "unix:"}};
    CHECK_FALSE(parse_nginx(request));
}

TEST_CASE("dovecot: what it asks and reports, and what it is told") {
    HttpRequest request;
    request.query = "command=report";
    request.body =
        R"({"login":"joe","remote":"192.0.2.7","protocol":"imap","success":true,"policy_reject":false})";
    auto question = parse_dovecot(request);
    REQUIRE(question);
    CHECK(question->report);
    CHECK(question->success);
    for (const char* bad : {"", "[]", "{", R"({"login":1,"remote":"192.0.2.7"})",
                            R"({"login":"joe","remote":"nowhere"})", R"({"login":""})"}) {
        request.body = bad;
        CHECK_FALSE(parse_dovecot(request));
    }
    CHECK(reply_to_dovecot(true, "").body == "{\"msg\":\"\",\"status\":0}\n");
    CHECK(reply_to_dovecot(false, "no").body == "{\"msg\":\"no\",\"status\":-1}\n");
}

TEST_CASE("refusals: what is known is put in, and nobody can make two lines of one") {
    LoginRequest login{"imap", "joe\r\naction=OK\u202e<ip>", ip("192.0.2.1"), {}};
    Origin origin;
    origin.country = "DE";
    origin.country_name = "Germany";
    CHECK(refusal("554 5.7.1 <user> <ip> <country> <country_name> <x> <", login, origin) ==
          "554 5.7.1 joe\\x0d\\x0aaction=OK\\u202e<ip> 192.0.2.1 DE Germany <x> <");
    std::string long_name(1000, 'x');
    login.user = long_name;
    CHECK(refusal("<user>", login, origin) == std::string(255, 'x'));
    CHECK(without_code("554 5.7.1 no, 5 times no") == "no, 5 times no");
    CHECK(without_code("REJECT not you") == "not you");
    CHECK(without_code("DEFER_IF_PERMIT 4.7.1 later") == "later");
    CHECK(without_code("REJECT") == "");
    CHECK(without_code("no") == "no");
}

TEST_CASE("http: a token is asked of everybody, or this machine's own programs need none") {
    HttpRequest request;
    request.connection.theirs = ip("127.0.0.1");
    CHECK(is_authorized(request, ""));
    CHECK_FALSE(is_authorized(request, "0123456789abcdef"));
    request.headers = {{"authorization", "Bearer 0123456789abcdef"}};
    CHECK(is_authorized(request, "0123456789abcdef"));
    request.headers = {{"x-auth-key", "0123456789abcdef"}};
    request.connection.theirs = ip("192.0.2.1");
    CHECK(is_authorized(request, "0123456789abcdef"));
    CHECK_FALSE(is_authorized(request, ""));
    request.headers = {{"x-auth-key", "0123456789abcde"}};
    CHECK_FALSE(is_authorized(request, "0123456789abcdef"));
    request.headers = {{"authorization", "Basic 0123456789abcdef"}};
    CHECK_FALSE(is_authorized(request, "0123456789abcdef"));
    CHECK_FALSE(is_same_secret("", "x"));
    CHECK_FALSE(is_same_secret("xx", "x"));
    CHECK(header_text("a\r\nb") == "a  b");
}

TEST_CASE("remote: the plain text dialect, as mail servers of old speak it") {
    auto request = parse_text_request("add 192.0.2.1\r");
    REQUIRE(request);
    CHECK(request->kind == RemoteRequest::Kind::add);
    CHECK(request->prefix == prefix("192.0.2.1"));
    CHECK(parse_text_request("add 192.0.2.1 broadband host")->reason == "broadband host");
    CHECK(parse_text_request("del 2001:db8::/64")->kind == RemoteRequest::Kind::remove);
    for (const char* bad : {"", "add", "add x", "add 10.0.0.0/8", "add 2001:db8::/32",
                            "drop 192.0.2.1", "ADD 192.0.2.1", "add 0.0.0.0/0"})
        CHECK_FALSE(parse_text_request(bad));
    RemoteReply done;
    done.changed = true;
    CHECK(text_reply("add 192.0.2.1", done) == "OK ++ - add 192.0.2.1\n");
    CHECK(text_reply("add 192.0.2.1\r", {}) == "OK -- - add 192.0.2.1\n");
    CHECK(text_reply("check 192.0.2.1", {}) == "OK free - check 192.0.2.1\n");
    RemoteReply refused;
    refused.error = Error{"ban", "no", "", {}};
    CHECK(text_reply("add 192.0.2.1", refused) == "ERROR ban: no\n");
}

TEST_CASE("remote: the JSON dialect, and what is none") {
    auto request = parse_json_request(
        R"({"v":1,"command":"add","arguments":{"ip":"192.0.2.0/24","for":"1h","reason":"a\nb"}})");
    REQUIRE(request);
    CHECK(request->prefix == prefix("192.0.2.0/24"));
    CHECK(request->bantime == Duration(1h));
    CHECK(request->reason == "a b");
    for (const char* bad :
         {"", "{}", "[1]", R"({"command":"add","arguments":{"ip":"192.0.2.1"}})",
          R"({"v":2,"command":"add","arguments":{"ip":"192.0.2.1"}})",
          R"({"v":1,"command":"add","arguments":{"ip":"192.0.0.0/16"}})",
          R"({"v":1,"command":"add","arguments":{"ip":"192.0.2.1","for":"soon"}})",
          R"({"v":1,"command":"add","arguments":{"ip":"192.0.2.1","for":"-1h"}})",
          R"({"v":1,"command":"flush"})", R"({"v":1,"command":"add","arguments":[]})"}) {
        INFO(bad);
        CHECK_FALSE(parse_json_request(bad));
    }
    CHECK(json_reply({}) ==
          "{\"ok\":true,\"result\":{\"banned\":false,\"changed\":false},\"v\":1}\n");
}

TEST_CASE("remote: so many requests a minute of each peer, and not more") {
    RateLimit limit(60);
    for (int i = 0; i < 60; ++i) CHECK(limit.allows("mx", at(0)));
    CHECK_FALSE(limit.allows("mx", at(0)));
    CHECK(limit.allows("other", at(0)));
    CHECK_FALSE(limit.allows("mx", at(0.9)));
    CHECK(limit.allows("mx", at(1.0)));
    CHECK_FALSE(limit.allows("mx", at(-100)));  // the clock was set back
    CHECK(limit.allows("mx", at(1000)));
}
