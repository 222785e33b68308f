// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/call.h"

#include <algorithm>
#include <filesystem>

#include "cli/output.h"
#include "config/document.h"
#include "config/types.h"
#include "core/base/instant.h"
#include "core/base/typed_prefix.h"

namespace bandd {

namespace {

namespace fs = std::filesystem;

fs::path configuration_file(const CommonOptions& common) {
    std::error_code ignored;
    fs::path file = common.config;
    if (fs::is_directory(file, ignored)) file /= "bandd.yaml";
    return file;
}

// Of whom `--config` was given: a socket without a name of its own may be that of a daemon that
// runs on another configuration.
struct Refusal {
    Error error;
    int code;
};
std::expected<void, Refusal> check_configuration(const CommonOptions& common,
                                                 ControlClient& client) {
    if (!common.config_given || !common.socket.empty()) return {};
    auto no_answer = [](const Error& error) {
        return std::unexpected(Refusal{error, exit_no_daemon});
    };
    if (auto sent = client.send("version", Json::object()); !sent) return no_answer(sent.error());
    auto reply = client.receive();
    if (!reply) return no_answer(reply.error());
    std::string theirs = text_argument(reply->value("result", Json::object()), "config");
    fs::path ours = fs::absolute(configuration_file(common)).lexically_normal();
    std::error_code ignored;  // who may not look there goes by the name
    if (theirs.empty() || theirs == ours || fs::equivalent(theirs, ours, ignored)) return {};
    return std::unexpected(
        Refusal{{"bandd",
                 "runs on the configuration \"" + theirs + "\", not on \"" + ours.string() + "\"",
                 "give --socket if that daemon is meant",
                 {}},
                exit_usage});
}

}  // namespace

Result<std::string> find_path(const CommonOptions& common, std::string_view key,
                              const std::string& standard) {
    std::error_code ignored;
    fs::path file = configuration_file(common);
    std::error_code fault;
    if (!fs::exists(file, fault)) {
        if (!common.config_given || fs::is_directory(common.config, ignored)) return standard;
        return fail("configuration \"" + common.config + "\"",
                    fault ? fault.message() : "No such file or directory");
    }
    auto root = read_document(file.string());
    if (!root) return std::unexpected(root.error());
    const Value* path = root->find(key);
    if (path == nullptr || path->text.empty()) return standard;
    return (fs::absolute(file).parent_path() / path->text).lexically_normal().string();
}

Result<std::string> find_socket(const CommonOptions& common) {
    if (!common.socket.empty()) return common.socket;
    return find_path(common, "socket", Config().socket);
}

std::expected<Json, int> ask(ControlClient& client, const std::string& command,
                             const Json& arguments) {
    auto fail_with = [](const Error& error, int code) {
        print_error(error);
        return std::unexpected(code);
    };
    if (auto sent = client.send(command, arguments); !sent)
        return fail_with(sent.error(), exit_no_daemon);
    auto reply = client.receive();
    if (!reply) return fail_with(reply.error(), exit_no_daemon);
    if (!reply->value("ok", false))
        return fail_with(error_from_json(reply->value("error", Json::object())),
                         reply->value("exit", static_cast<int>(exit_said_no)));
    Json result = reply->value("result", Json::object());
    if (auto unsaved = reply->find("unsaved"); unsaved != reply->end() && result.is_object())
        result["unsaved"] = *unsaved;
    return result;
}

int say_unsaved(const Json& result) {
    auto unsaved = result.is_object() ? result.find("unsaved") : result.end();
    if (unsaved == result.end()) return exit_done;
    print_error(error_from_json(*unsaved));
    return exit_said_no;
}

bool is_running(const CommonOptions& common) {
    auto socket = find_socket(common);
    if (!socket) return false;
    auto client = ControlClient::connect(*socket);
    return client && check_configuration(common, *client).has_value();
}

std::expected<Call, int> begin_call(const CommonOptions& common, const std::string& command,
                                    const Json& arguments) {
    auto no_daemon = [](const Error& error) {
        print_error(error);
        return std::unexpected<int>(exit_no_daemon);
    };
    auto socket = find_socket(common);
    if (!socket) {
        print_error(socket.error());
        print_error({"bandctl",
                     "cannot tell where bandd's socket is",
                     "mend that first, or give --socket; bandd itself goes on as it was",
                     {}});
        return std::unexpected<int>(exit_usage);
    }
    auto client = ControlClient::connect(*socket);
    if (!client) return no_daemon(client.error());
    if (auto same = check_configuration(common, *client); !same) {
        print_error(same.error().error);
        return std::unexpected<int>(same.error().code);
    }
    auto result = ask(*client, command, arguments);
    if (!result) return std::unexpected(result.error());
    return Call{std::move(*client), std::move(*result)};
}

int call(const CommonOptions& common, const std::string& command, const Json& arguments,
         const Print& print) {
    auto answered = begin_call(common, command, arguments);
    if (!answered) return answered.error();
    int code = exit_done;
    if (common.json)
        print_json(answered->result);
    else
        code = print(answered->result);
    return std::max(code, say_unsaved(answered->result));
}

bool is_prefix(const std::string& text) {
    if (text.empty()) return true;
    auto prefix = read_prefix(text);
    if (!prefix) print_error(prefix.error());
    return prefix.has_value();
}

bool is_duration(const std::string& text) {
    if (text.empty() || parse_duration(text)) return true;
    print_error(bad_duration(text));
    return false;
}

}  // namespace bandd
