// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/remote.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>

#include "cli/output.h"
#include "net/tls_client.h"

namespace bandd {
namespace {

constexpr std::uint16_t standard_port = 7071;

struct HostAndPort {
    std::string host;
    std::uint16_t port = standard_port;
};

// mail.example, mail.example:7071, 192.0.2.1:7071, 2001:db8::1, [2001:db8::1]:7071
Result<HostAndPort> parse_host(const std::string& text) {
    HostAndPort out{text};
    std::string& host = out.host;
    auto colon = host.rfind(':');
    bool bare_v6 = host.find(':') != colon && !host.starts_with('[');
    if (colon != std::string::npos && !bare_v6 && !host.ends_with(']')) {
        const char* end = host.data() + host.size();
        auto [stop, fault] = std::from_chars(host.data() + colon + 1, end, out.port);
        if (fault != std::errc{} || stop != end || out.port == 0)
            return fail("\"" + text + "\"", "is no HOST:PORT");
        host.resize(colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return out;
}

Result<Json> exchange(TlsClient& client, const std::string& verb, const Json& arguments) {
    auto line = client.ask(to_line_of_json(request(verb, arguments)));
    if (!line) return std::unexpected(line.error());
    Json reply = Json::parse(*line, nullptr, false);
    if (!reply.is_object()) return fail("remote bandd", "it sent no JSON: " + *line);
    if (!reply.value("ok", false))
        return std::unexpected(error_from_json(reply.value("error", Json::object())));
    return reply.value("result", Json::object());
}

Result<Json> ask_other_machine(const OtherMachine& other, const std::string& verb,
                               const Json& arguments) {
    auto where = parse_host(other.host);
    if (!where) return std::unexpected(where.error());
    auto client = TlsClient::connect(where->host, where->port,
                                     {other.certificate, other.key, other.authority});
    if (!client) return std::unexpected(client.error());
    if (!other.token_file.empty()) {
        std::ifstream file(other.token_file);
        std::string token;
        if (!std::getline(file, token))
            return fail("\"" + other.token_file + "\"", "cannot be read");
        if (auto known = exchange(*client, "auth", {{"token", token}}); !known) return known;
    }
    return exchange(*client, verb, arguments);
}

void print_answer(const std::string& ip, const Json& result) {
    if (!result.value("banned", false)) {
        print_wrapped("{} is {}free there\n", ip, result.value("changed", false) ? "now " : "");
        return;
    }
    std::string until = text(result, "until");
    std::string reason = text(result, "reason");
    print_wrapped("{} is banned there, {}{}\n", ip,
                  until.empty() ? "for ever" : "until " + local_time(until),
                  reason.empty() ? "" : ": " + reason);
}

}  // namespace

int refuse_for_remote() {
    print_error({"--remote", "there the jail is given by who asks, and nothing is forced", {}, {}});
    return exit_usage;
}

int call_remote(const CommonOptions& common, const std::string& verb, const std::string& ip,
                const RemoteBan& ban) {
    Json arguments{{"ip", ip}};
    if (!ban.bantime.empty()) arguments["for"] = ban.bantime;
    if (!ban.reason.empty()) arguments["reason"] = ban.reason;
    auto result = ask_other_machine(common.remote, verb, arguments);
    if (!result) {
        print_error(result.error());
        return exit_said_no;
    }
    if (common.json)
        print_json(*result);
    else
        print_answer(ip, *result);
    return exit_done;
}

}  // namespace bandd
