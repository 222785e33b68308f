// SPDX-License-Identifier: GPL-2.0-or-later
// A status as `bandctl status --json` shows it.
#include <unistd.h>

#include "core/base/printable.h"
#include "core/decide/log_clock.h"
#include "daemon/status.h"

namespace bandd {
namespace {

void add(Json& object, const Numbers& numbers) {
    for (const Number& number : numbers)
        if (!number.name->json.empty()) object[std::string(number.name->json)] = number.value;
}

Json to_json(const LogStatus& log) {
    Json json{{"path", log.path}};
    add(json, log.numbers);
    Json files = Json::array();
    for (const FileStatus& file : log.files) {
        Json entry{{"path", file.path}, {"open", file.open}};
        add(entry, file.numbers);
        files.push_back(std::move(entry));
    }
    json["files"] = std::move(files);
    // Behind is positive: so much is added.
    for (const ClockStatus& clock : log.clocks)
        json["dates_off"].push_back(
            {{"log", clock.log},
             {"dates", behind_or_ahead(clock.offset) + " the clock"},
             {"seconds", std::chrono::duration_cast<std::chrono::seconds>(clock.offset).count()}});
    if (log.kind == LogStatus::Kind::syslog) json["last_failure"] = log.last_failure;
    if (log.error)
        json["error"] = to_line(*log.error);
    else if (log.waiting)
        json["waiting"] = true;
    return json;
}

Json to_json(const ActionStatus& action) {
    Json json{{"action", action.name}, {"ready", action.ready}};
    add(json, action.numbers);
    if (action.error) json["error"] = to_line(*action.error);
    return json;
}

Json to_json(const Blindness& blindness, const std::string& pattern) {
    Json json{{"kind", name_of(blindness.kind)}, {"lines", blindness.lines}};
    if (blindness.kind == Blindness::Kind::pattern) json["pattern"] = pattern;
    if (blindness.since) json["since"] = format_rfc3339(*blindness.since);
    if (!blindness.example.empty()) json["example"] = printable(blindness.example);
    return json;
}

Json to_json(const JailStatus& jail) {
    Json json{{"jail", jail.name},
              {"filter", jail.filter},
              {"description", jail.description},
              {"maxretry", jail.maxretry},
              {"findtime", jail.findtime ? format_duration(*jail.findtime) : "today"},
              {"bantime", format_duration(jail.bantime)},
              {"simulate", jail.simulate},
              {"logs", Json::array()},
              {"actions", Json::array()}};
    add(json, jail.numbers);
    for (const LogStatus& log : jail.logs) json["logs"].push_back(to_json(log));
    for (const ActionStatus& action : jail.actions) json["actions"].push_back(to_json(action));
    json["ports"] = jail.ports;
    // For programs; a ban for ever is -1, as fail2ban has it.
    auto seconds = [](Duration span) -> std::int64_t {
        return span == forever ? -1
                               : std::chrono::duration_cast<std::chrono::seconds>(span).count();
    };
    json["seconds"] = {{"bantime", seconds(jail.bantime)},
                       {"findtime", jail.findtime ? Json(seconds(*jail.findtime)) : Json()}};
    if (jail.blindness) json["blindness"] = to_json(*jail.blindness, jail.blind_pattern);
    return json;
}

}  // namespace

Json status_to_json(const Status& status, std::string_view jail) {
    Json json{{"version", status.version},
              {"pid", getpid()},
              {"started", format_rfc3339(status.started)},
              {"config", status.config_path},
              {"state", status.state_path},
              {"jails", Json::array()},
              {"endpoints", Json::array()},
              {"decisions", Json::object()}};
    add(json, status.numbers);
    for (const JailStatus& one : status.jails)
        if (jail.empty() || one.name == jail) json["jails"].push_back(to_json(one));
    for (const ListeningStatus& one : status.listening) {
        Json entry{{"what", one.what}, {"listen", one.address}, {"last_failure", one.last_failure}};
        add(entry, one.numbers);
        json["endpoints"].push_back(std::move(entry));
    }
    for (const DecisionStatus& one : status.decisions) {
        Json entry = Json::object();
        add(entry, one.numbers);
        json["decisions"][one.name] = std::move(entry);
    }
    json["geoblocks"] = Json::array();
    for (const GeoblockStatus& one : status.geoblocks) {
        Json entry{{"geoblock", one.name}, {"countries", one.countries}, {"all_but", one.all_but}};
        if (one.networks) entry["networks"] = *one.networks;
        json["geoblocks"].push_back(std::move(entry));
    }
    if (status.geoblock_error) json["geoblock_error"] = to_line(*status.geoblock_error);
    if (status.state_error) json["state_error"] = to_line(*status.state_error);
    return json;
}

}  // namespace bandd
