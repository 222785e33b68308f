// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/ask.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/output.h"
#include "config/document.h"
#include "control/client.h"
#include "core/base/printable.h"

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

std::optional<Json> ask(const CommonOptions& common, const std::string& command,
                        const Json& arguments, int& exit_code) {
    auto client = ControlClient::connect(find_socket(common));
    if (!client) {
        print_error(client.error());
        exit_code = exit_no_daemon;
        return {};
    }
    auto sent = client->send(command, arguments);
    auto reply = sent ? client->receive() : Result<Json>(std::unexpected(sent.error()));
    if (!reply) {
        print_error(reply.error());
        exit_code = exit_no_daemon;
        return {};
    }
    if (!reply->value("ok", false)) {
        if (common.json) print_json(*reply);
        print_error(error_from_json(reply->value("error", Json::object())));
        exit_code = reply->value("exit", static_cast<int>(exit_said_no));
        return {};
    }
    exit_code = exit_done;
    Json result = std::move((*reply)["result"]);
    if (common.json) {
        print_json(result);
        return {};
    }
    return result;
}

std::string count(const Json& json, const char* key, std::string_view thing) {
    return count_of(json.value(key, std::size_t{0}), thing);
}

std::string text(const Json& json, const char* key) {
    auto found = json.find(key);
    if (found == json.end() || found->is_null()) return "";
    if (found->is_string()) return printable(found->get<std::string>());
    return found->dump();
}

}  // namespace bandd
