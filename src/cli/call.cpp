// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/call.h"

#include <filesystem>

#include "cli/output.h"
#include "config/document.h"
#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

std::string find_socket(const CommonOptions& common) {
    if (!common.socket.empty()) return common.socket;
    namespace fs = std::filesystem;
    std::error_code ignored;
    fs::path file = common.config;
    if (fs::is_directory(file, ignored)) file /= "bandd.yaml";
    if (auto root = read_document(file.string()))
        if (const Value* socket = root->find("socket");
            socket != nullptr && !socket->text.empty()) {
            if (socket->text.starts_with('/')) return socket->text;
            return (fs::absolute(file).parent_path() / socket->text).lexically_normal().string();
        }
    return "/run/bandd/bandd.sock";
}

std::expected<Call, int> begin_call(const CommonOptions& common, const std::string& command,
                                    const Json& arguments) {
    auto no_daemon = [](const Error& error) {
        print_error(error);
        return std::unexpected<int>(exit_no_daemon);
    };
    auto client = ControlClient::connect(find_socket(common));
    if (!client) return no_daemon(client.error());
    if (auto sent = client->send(command, arguments); !sent) return no_daemon(sent.error());
    auto reply = client->receive();
    if (!reply) return no_daemon(reply.error());
    if (reply->value("ok", false)) return Call{std::move(*client), std::move((*reply)["result"])};
    if (common.json) print_json(*reply);
    print_error(error_from_json(reply->value("error", Json::object())));
    return std::unexpected<int>(reply->value("exit", static_cast<int>(exit_said_no)));
}

int call(const CommonOptions& common, const std::string& command, const Json& arguments,
         const Print& print) {
    auto answered = begin_call(common, command, arguments);
    if (!answered) return answered.error();
    if (!common.json) return print(answered->result);
    print_json(answered->result);
    return exit_done;
}

bool is_prefix(const std::string& text) {
    if (text.empty() || parse_prefix(text)) return true;
    print_error({"\"" + text + "\"",
                 "is no address and no CIDR block",
                 "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64",
                 {}});
    return false;
}

bool is_duration(const std::string& text) {
    if (text.empty() || parse_duration(text)) return true;
    print_error(
        {"\"" + text + "\"", "is not a duration", "write 90, 10m, 1h, 1d12h or forever", {}});
    return false;
}

}  // namespace bandd
