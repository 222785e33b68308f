// SPDX-License-Identifier: GPL-2.0-or-later
// bandctl --remote: another machine's bandd, by TLS.
#include <fmt/format.h>

#include <charconv>
#include <fstream>

#include "cli/ask.h"
#include "cli/output.h"
#include "net/tls_client.h"

namespace bandd {
namespace {

constexpr std::uint16_t standard_port = 7071;

Result<Json> exchange(TlsClient& client, const Json& request) {
    auto line = client.ask(to_line_of_json(request));
    if (!line) return std::unexpected(line.error());
    Json reply = Json::parse(*line, nullptr, false);
    if (!reply.is_object()) return fail("remote bandd", "its answer is none: " + *line);
    if (!reply.value("ok", false))
        return std::unexpected(error_from_json(reply.value("error", Json::object())));
    return reply.value("result", Json::object());
}

Result<Json> ask_once(const NetworkOptions& network, const Json& request) {
    std::string host = network.host;
    std::uint16_t port = standard_port;
    auto colon = host.rfind(':');
    bool bare_v6 = host.find(':') != colon && !host.starts_with('[');
    if (colon != std::string::npos && !bare_v6 && !host.ends_with(']')) {
        const char* end = host.data() + host.size();
        auto [stop, fault] = std::from_chars(host.data() + colon + 1, end, port);
        if (fault != std::errc{} || stop != end || port == 0)
            return fail("\"" + host + "\"", "is no HOST:PORT");
        host.resize(colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto client =
        TlsClient::connect(host, port, {network.certificate, network.key, network.authority});
    if (!client) return std::unexpected(client.error());
    if (!network.token_file.empty()) {
        std::ifstream file(network.token_file);
        std::string token;
        if (!std::getline(file, token))
            return fail("\"" + network.token_file + "\"", "cannot be read");
        auto known =
            exchange(*client, {{"v", 1}, {"command", "auth"}, {"arguments", {{"token", token}}}});
        if (!known) return known;
    }
    return exchange(*client, request);
}

}  // namespace

int ask_network(const CommonOptions& common, const std::string& verb,
                const RemoteOptions& options) {
    if (!options.jail.empty() || options.all || options.force) {
        print_error(
            {"--remote", "there the jail is given by who asks, and nothing is forced", {}, {}});
        return exit_usage;
    }
    Json arguments{{"ip", options.ip}};
    if (!options.bantime.empty()) arguments["for"] = options.bantime;
    if (!options.reason.empty()) arguments["reason"] = options.reason;
    auto result = ask_once(common.network, {{"v", 1}, {"command", verb}, {"arguments", arguments}});
    if (!result) {
        print_error(result.error());
        return exit_said_no;
    }
    if (common.json) {
        print_json(*result);
        return exit_done;
    }
    std::string until = text(*result, "until");
    if (result->value("banned", false))
        fmt::print("{} is banned there, {}{}\n", options.ip,
                   until.empty() ? "for ever" : "until " + local_time(until),
                   text(*result, "reason").empty() ? "" : ": " + text(*result, "reason"));
    else
        fmt::print("{} is {}free there\n", options.ip,
                   result->value("changed", false) ? "now " : "");
    return exit_done;
}

}  // namespace bandd
