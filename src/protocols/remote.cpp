// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocols/remote.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/printable.h"

namespace bandd {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& json, const char* key) {
    auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

Result<Prefix> read_prefix(std::string_view text) {
    auto prefix = parse_prefix(text);
    std::string what = "\"" + std::string(text.substr(0, longest_reason)) + "\"";
    if (!prefix)
        return fail(what, "is no address and no CIDR block", "write 192.0.2.1 or 2001:db8::/64");
    if (prefix->length < (prefix->is_v4() ? widest_v4 : widest_v6))
        return fail(what, "is wider than /24, or /48 of IPv6",
                    "ban it on that machine itself, by bandctl");
    return *prefix;
}

std::string without_controls(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, longest_reason))
        out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
    return out;
}

}  // namespace

Result<RemoteRequest> parse_json_request(std::string_view line) {
    Json json = Json::parse(line, nullptr, false);
    std::string command = json.is_object() ? text_of(json, "command") : "";
    if (command.empty() || !json.contains("v") || json["v"] != 1)
        return fail("request", R"(is not {"v": 1, "command": …} on one line)");
    Json arguments = json.value("arguments", Json::object());
    if (!arguments.is_object()) arguments = Json::object();
    RemoteRequest request;
    if (command == "auth") {
        request.kind = RemoteRequest::Kind::authenticate;
        request.token = text_of(arguments, "token");
        return request;
    }
    if (command == "add")
        request.kind = RemoteRequest::Kind::add;
    else if (command == "del")
        request.kind = RemoteRequest::Kind::remove;
    else if (command != "check")
        return fail("command \"" + without_controls(command) + "\"", "there is no such command",
                    "add, del and check are understood");
    auto prefix = read_prefix(text_of(arguments, "ip"));
    if (!prefix) return std::unexpected(prefix.error());
    request.prefix = *prefix;
    request.reason = without_controls(text_of(arguments, "reason"));
    if (std::string span = text_of(arguments, "for"); !span.empty()) {
        request.bantime = parse_duration(span);
        if (!request.bantime || *request.bantime <= Duration{0})
            return fail("\"" + without_controls(span) + "\"", "is no duration",
                        "write 90, 10m, 2h, 1d12h or forever");
    }
    return request;
}

bool is_text_command(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string_view command = line.substr(0, line.find(' '));
    return command == "add" || command == "del" || command == "check";
}

Result<RemoteRequest> parse_text_request(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto space = std::min(line.find(' '), line.size());
    std::string_view command = line.substr(0, space);
    std::string_view rest = line.substr(std::min(space + 1, line.size()));
    RemoteRequest request;
    if (command == "add")
        request.kind = RemoteRequest::Kind::add;
    else if (command == "del")
        request.kind = RemoteRequest::Kind::remove;
    else if (command != "check")
        return fail("command", "there is no such command", "add, del and check are understood");
    auto prefix = read_prefix(rest.substr(0, rest.find(' ')));
    if (!prefix) return std::unexpected(prefix.error());
    request.prefix = *prefix;
    auto reason = rest.find(' ');
    if (reason != std::string_view::npos)
        request.reason = without_controls(rest.substr(reason + 1));
    return request;
}

std::string json_reply(const RemoteReply& reply) {
    Json json{{"v", 1}, {"ok", !reply.error}};
    if (reply.error) {
        json["exit"] = 1;
        json["error"] = {{"what", reply.error->what},
                         {"reason", reply.error->reason},
                         {"hint", reply.error->hint}};
    } else {
        Json result{{"changed", reply.changed}, {"banned", reply.banned}};
        if (reply.until && *reply.until != never) result["until"] = format_rfc3339(*reply.until);
        if (!reply.reason.empty()) result["reason"] = reply.reason;
        json["result"] = std::move(result);
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// As the daemon did that mail servers of old know: "OK ", then + or - for its two rules, then what
// was asked.
std::string text_reply(std::string_view request, const RemoteReply& reply) {
    if (request.ends_with('\r')) request.remove_suffix(1);
    if (reply.error)
        return "ERROR " + printable(reply.error->what) + ": " + printable(reply.error->reason) +
               "\n";
    std::string line = request.starts_with("check") ? (reply.banned ? "OK banned" : "OK free")
                       : reply.changed              ? "OK ++"
                                                    : "OK --";
    line += " - ";
    line += without_controls(request);
    return line + "\n";
}

bool RateLimit::allows(const std::string& peer, Instant now) {
    if (buckets_.size() >= most_peers && !buckets_.contains(peer)) buckets_.clear();
    auto [bucket, is_new] = buckets_.try_emplace(peer, Bucket{static_cast<double>(a_minute_), now});
    Bucket& one = bucket->second;
    double minutes = std::chrono::duration<double>(now - one.at).count() / 60;
    one.left =
        std::min(one.left + std::max(minutes, 0.0) * a_minute_, static_cast<double>(a_minute_));
    one.at = now;
    if (one.left < 1) return false;
    one.left -= 1;
    return true;
}

}  // namespace bandd
