// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/call.h"

#include <filesystem>

#include "cli/output.h"
#include "config/document.h"
#include "core/base/address.h"
#include "core/base/instant.h"

namespace bandd {

FoundSocket find_socket(const CommonOptions& common) {
    if (!common.socket.empty()) return {common.socket, {}};
    namespace fs = std::filesystem;
    std::error_code ignored;
    fs::path file = common.config;
    if (fs::is_directory(file, ignored)) file /= "bandd.yaml";
    FoundSocket found{"/run/bandd/bandd.sock", {}};
    if (!fs::exists(file, ignored)) return found;
    auto root = read_document(file.string());
    if (!root) {
        found.fault = root.error();
        return found;
    }
    const Value* socket = root->find("socket");
    if (socket == nullptr || socket->text.empty()) return found;
    found.path = (fs::absolute(file).parent_path() / socket->text).lexically_normal().string();
    return found;
}

std::expected<Call, int> begin_call(const CommonOptions& common, const std::string& command,
                                    const Json& arguments) {
    auto no_daemon = [](const Error& error) {
        print_error(error);
        return std::unexpected<int>(exit_no_daemon);
    };
    FoundSocket socket = find_socket(common);
    auto client = ControlClient::connect(socket.path);
    if (!client && socket.fault) {
        print_error(*socket.fault);
        print_error({"bandctl",
                     "cannot tell where bandd's socket is",
                     "mend that first, or give --socket; bandd itself goes on as it was",
                     {}});
        return std::unexpected<int>(exit_usage);
    }
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
