// SPDX-License-Identifier: GPL-2.0-or-later
// How bandd is, as one value: `collect_status` fills it, printers show it. `status_to_json` is for
// bandctl (status_json.cpp), `status_to_prometheus` for Prometheus (prometheus.cpp).
//
// A new number is one row of a table in status.cpp; both printers then have it:
//
//   {{"lost_notices", "bandd_lost_notices_total", counter, "Overflows of inotify."},
//    [](const StatusSources& from) { return from.sources.files().watch().overflows(); }},
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/protocol.h"
#include "core/base/zone.h"
#include "core/decide/filter_health.h"
#include "daemon/latency.h"

namespace bandd {

class Answerer;
class ControlServer;
class Dispatch;
struct GeoblockReport;
class Endpoints;
class Engine;
class Fleet;
class Log;
class Pipeline;
class Programs;
class RoleErrors;
class ServicePorts;
class Sources;
struct Config;

// What a status is collected from.
struct StatusSources {
    const std::string& config_path;
    Instant started;
    const Config& config;
    const Engine& engine;
    const Dispatch& dispatch;
    const Pipeline& pipeline;
    const Sources& sources;
    const Answerer& answerer;
    const Programs& programs;
    const RoleErrors& role_errors;
    const Endpoints& endpoints;
    const ControlServer& control;
    const Log& log;
    const LatencyHistogram& turns;
    const GeoblockReport& geoblocks;
    const ServicePorts& ports;
    const std::optional<Error>& state_error;
    const Fleet* fleet;  // null: there is none
};

// What a number is called, by each printer.
struct NumberName {
    enum class Kind : std::uint8_t { counter, gauge };
    std::string_view json;    // empty if bandctl does not show it
    std::string_view metric;  // empty if Prometheus does not get it
    Kind kind = Kind::counter;
    std::string_view help = {};   // of the metric; empty if the row before belongs to it, too
    std::string_view label = {};  // what tells it from others of its metric: `verdict="pass"`
};
struct Number {
    const NumberName* name;  // a row of a table in status.cpp
    std::uint64_t value = 0;
};
using Numbers = std::vector<Number>;

// What is added to the dates of a log, or of a syslog sender's messages.
struct ClockStatus {
    std::string log;
    Duration offset{0};
};
struct FileStatus {
    std::string path;
    bool open = false;
    Numbers numbers;
};
// Something that a jail reads: logs, the journal, syslog.
struct LogStatus {
    enum class Kind : std::uint8_t { files, journal, syslog };
    Kind kind = Kind::files;
    std::string path;
    std::vector<FileStatus> files;
    std::optional<Error> error;
    bool waiting = false;  // for a file to exist
    Numbers numbers;
    std::string last_failure;         // of a handshake of syslog's
    std::vector<ClockStatus> clocks;  // whose dates are off
};
struct ActionStatus {
    std::string name;  // of several of a kind: exec, exec-2
    bool ready = false;
    std::optional<Error> error;
    Numbers numbers;
};
struct JailStatus {
    std::string name, filter, description;
    std::uint32_t maxretry = 0;
    std::optional<Duration> findtime;  // nothing: the day
    Duration bantime{0};
    bool simulate = false;
    Numbers numbers;
    std::vector<LogStatus> logs;
    std::vector<ActionStatus> actions;
    std::vector<std::string> ports;      // that bans close, of each action nftables: "22, 2222"
    std::optional<Blindness> blindness;  // of its filter
    std::string blind_pattern;           // its id
};
// A source of lines. It is no part of a jail: what jails gave up reading stays counted.
struct SourceStatus {
    std::string name;
    Numbers numbers;
};
// A socket on which somebody asks for decisions or for bans.
struct ListeningStatus {
    std::string what, address;
    Numbers numbers;
    std::string last_failure;
};
// Decisions on logins, by who asked for them.
struct DecisionStatus {
    std::string name;
    Numbers numbers;
    LatencyHistogram latency;
};

struct GeoblockStatus {
    std::string name;
    std::vector<std::string> countries;
    bool all_but = false;
    std::optional<std::size_t> networks;  // nothing: not in the kernel
};

struct Status {
    std::string version, config_path, state_path;
    Instant started;
    std::optional<Error> state_error;  // the state cannot be written
    Numbers numbers;
    std::vector<JailStatus> jails;
    std::vector<SourceStatus> sources;
    std::vector<ListeningStatus> listening;
    std::vector<DecisionStatus> decisions;
    std::vector<GeoblockStatus> geoblocks;
    std::optional<Error> geoblock_error;
    LatencyHistogram turns;  // how long the loop was busy
};

Status collect_status(const StatusSources& from);

// `jail`: only that one; empty: all.
Json status_to_json(const Status& status, std::string_view jail);
std::string status_to_prometheus(const Status& status);

}  // namespace bandd
