// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/protocol.h"

namespace bandd {

Json error_to_json(const Error& error) {
    Json json{{"what", error.what}};
    if (!error.reason.empty()) json["reason"] = error.reason;
    if (!error.hint.empty()) json["hint"] = error.hint;
    if (!error.where.file.empty())
        json["where"] = {
            {"file", error.where.file}, {"line", error.where.line}, {"column", error.where.column}};
    return json;
}

Error error_from_json(const Json& json) {
    Error error;
    error.what = json.value("what", "");
    error.reason = json.value("reason", "");
    error.hint = json.value("hint", "");
    if (auto where = json.find("where"); where != json.end()) {
        error.where.file = where->value("file", "");
        error.where.line = where->value("line", 0);
        error.where.column = where->value("column", 0);
    }
    return error;
}

Json request(const std::string& command, Json arguments) {
    return {{"v", protocol_version}, {"command", command}, {"arguments", std::move(arguments)}};
}

Json success(Json result) {
    return {{"v", protocol_version}, {"ok", true}, {"result", std::move(result)}};
}

Json to_json(const Origin& origin) {
    Json json{{"country", origin.country}};
    auto put = [&](const char* name, const std::string& value) {
        if (!value.empty()) json[name] = value;
    };
    put("country_name", origin.country_name);
    put("continent", origin.continent);
    if (origin.asn != 0) json["asn"] = origin.asn;
    put("network", origin.network);
    put("subdivision", origin.subdivision);
    put("city", origin.city);
    return json;
}

Json failure(const Error& error, int exit_code) {
    return {{"v", protocol_version},
            {"ok", false},
            {"exit", exit_code},
            {"error", error_to_json(error)}};
}

std::string text_argument(const Json& arguments, const char* name) {
    auto found = arguments.find(name);
    return found != arguments.end() && found->is_string() ? found->get<std::string>() : "";
}

Error bad_duration(const std::string& text) {
    return {"\"" + text + "\"", "is no duration", "write 90, 10m, 2h, 1d12h or forever", {}};
}

namespace {

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string to_line_of_json(const Json& json) { return dump(json) + "\n"; }

void add_unsaved(std::string& line, const Error& why) {
    Error error{"this holds, but is not saved",
                to_line(why),
                "a restart of bandd would forget it: mend that, and order it again",
                {}};
    line.insert(line.rfind('}'), ",\"unsaved\":" + dump(error_to_json(error)));
}

ListAnswer::ListAnswer(std::string_view name)
    : text_("{\"v\":" + std::to_string(protocol_version) + ",\"ok\":true,\"result\":{" +
            dump(Json(name)) + ":[") {}

void ListAnswer::add(const Json& row) {
    if (rows_++ > 0) text_ += ',';
    text_ += dump(row);
}

std::string ListAnswer::line(const Json& others) && {
    text_ += ']';
    for (const auto& [name, value] : others.items())
        text_ += "," + dump(Json(name)) + ":" + dump(value);
    text_ += "}}\n";
    return std::move(text_);
}

}  // namespace bandd
