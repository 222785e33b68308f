// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of numbers, and how a status is filled from them. Numbers of one metric are rows
// beside each other.
#include "daemon/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "action/dispatch.h"
#include "config/ports.h"
#include "control/server.h"
#include "core/decide/engine.h"
#include "daemon/answerer.h"
#include "daemon/endpoints.h"
#include "daemon/fleet.h"
#include "daemon/geoblocker.h"
#include "daemon/pipeline.h"
#include "daemon/service_ports.h"
#include "os/log.h"
#include "os/role_errors.h"
#include "programs/programs.h"
#include "source/sources.h"

namespace bandd {
namespace {

constexpr auto counter = NumberName::Kind::counter;
constexpr auto gauge = NumberName::Kind::gauge;

template <class Subject>
struct Row {
    NumberName name;
    std::uint64_t (*read)(const Subject&);
};

template <class Subject, std::size_t count>
Numbers read_rows(const Row<Subject> (&rows)[count], const Subject& subject) {
    Numbers numbers;
    for (const Row<Subject>& row : rows) numbers.push_back({&row.name, row.read(subject)});
    return numbers;
}

using All = StatusSources;

const Row<All> of_daemon[] = {
    {{"lines", "bandd_lines_total", counter, "Lines read."},
     [](const All& from) { return from.pipeline.counts().lines; }},
    {{"candidates", "bandd_candidates_total", counter, "Lines that some pattern was tried on."},
     [](const All& from) { return from.pipeline.counts().candidates; }},
    {{"cut_lines", "bandd_cut_lines_total", counter, "Lines over line_limit."},
     [](const All& from) { return from.pipeline.cut_lines(); }},
    {{"cut_archives", "bandd_cut_archives_total", counter,
      "Compressed logs that held too much and were not read to their end."},
     [](const All& from) { return from.pipeline.cut_archives(); }},
    {{"forgotten_files", "bandd_forgotten_files_total", counter,
      "Rotated logs that are not known any more, as there were too many of one log."},
     [](const All& from) { return from.sources.files().watch().forgotten(); }},
    {{"unsettled_looks", "bandd_unsettled_looks_total", counter,
      "Looks at a log that was rotated all the while."},
     [](const All& from) { return from.sources.files().watch().unsettled(); }},
    {{"no_address", ""}, [](const All& from) { return from.pipeline.counts().no_address; }},
    {{"undated", ""}, [](const All& from) { return from.pipeline.counts().undated; }},
    {{"cut_matches", "bandd_cut_matches_total", counter,
      "Matches in lines that were cut, which are no hits: the end might have changed the address."},
     [](const All& from) { return from.pipeline.counts().cut_matches; }},
    {{"broken_json", "bandd_broken_json_total", counter,
      "JSON lines that were cut or faulty, as far as they were looked at."},
     [](const All& from) { return from.pipeline.counts().broken_json; }},
    {{"matcher_fallbacks", ""},
     [](const All& from) { return from.pipeline.counts().set_failures; }},
    {{"matcher_gave_up", "bandd_matcher_gave_up_total", counter,
      "Matches that took too many steps."},
     [](const All& from) { return from.pipeline.counts().gave_up; }},
    {{"host_names", ""}, [](const All& from) { return from.engine.hits_of_names(); }},
    {{"waiting_hits", "bandd_waiting_hits", gauge, "Hits that wait for an answer."},
     [](const All& from) -> std::uint64_t { return from.engine.waiting().size(); }},
    {{"lost_waiting_hits", "bandd_waiting_hits_lost_total", counter,
      "Hits for whose answer was no room."},
     [](const All& from) { return from.engine.waiting().lost(); }},
    {{"look_ups", ""}, [](const All& from) { return from.answerer.counts().look_ups; }},
    {{"look_ups_unanswered", ""},
     [](const All& from) { return from.answerer.counts().unanswered; }},
    {{"ignorecommands", ""}, [](const All& from) { return from.answerer.counts().programs; }},
    {{"programs_refused", "bandd_programs_refused_total", counter,
      "Programs that were not run, as the request was not in order."},
     [](const All& from) { return from.programs.refused(); }},
    {{"programs_ended", ""}, [](const All& from) { return from.programs.ends(); }},
    {{"connections_evicted", ""},
     [](const All& from) {
         return from.engine.conversations_evicted() + from.engine.sessions_evicted();
     }},
    {{"lost_notices", "bandd_lost_notices_total", counter,
      "Overflows of the kernel's file notices."},
     [](const All& from) { return from.sources.files().watch().overflows(); }},
    {{"kernel_losses", "bandd_kernel_losses_total", counter,
      "Times that bandd-kernel was lost, and started again."},
     [](const All& from) { return from.dispatch.losses(); }},
    {{"orders_put_off", "bandd_orders_put_off_total", counter,
      "Orders that were too many to keep until bandd-kernel answered."},
     [](const All& from) { return from.dispatch.overflows(); }},
    {{"refused_bans", "bandd_refused_bans_total", counter, "Bans over ban_limit."},
     [](const All& from) { return from.engine.refused_bans(); }},
    {{"tracked_bytes", "bandd_tracked_bytes", gauge,
      "Memory for the addresses that are counted (memory_limit)."},
     [](const All& from) -> std::uint64_t { return from.engine.windows_memory(); }},
    {{"memory_evicted", "bandd_memory_evicted_total", counter,
      "Addresses that made room for others as memory_limit was reached."},
     [](const All& from) { return from.engine.evicted_for_memory(); }},
    {{"refused_clients", ""}, [](const All& from) { return from.control.refused(); }},
    {{"http_refused", "bandd_http_refused_total", counter,
      "HTTP requests of users who may not ask."},
     [](const All& from) { return from.endpoints.http_refused(); }},
    {{"http_put_out", "bandd_http_put_out_total", counter,
      "HTTP connections that kept silent, or made room for others."},
     [](const All& from) -> std::uint64_t {
         return from.endpoints.http() == nullptr ? 0 : from.endpoints.http()->put_out();
     }},
    {{"lost_log_lines", "bandd_lost_log_lines_total", counter,
      "Lines of bandd's own log that were lost."},
     [](const All& from) { return from.log.lost(); }},
    {{"role_floods", "bandd_role_floods_total", counter,
      "Times that a process of bandd's wrote so much to standard error that it was not read."},
     [](const All& from) { return from.role_errors.floods(); }},
    {{"accounts", "bandd_accounts", gauge, "Accounts that are counted."},
     [](const All& from) -> std::uint64_t { return from.engine.accounts().size(); }},
    {{"accounts_evicted", "bandd_accounts_evicted_total", counter,
      "Accounts that made room for others."},
     [](const All& from) { return from.engine.accounts().evicted(); }},
    {{"held_notices", "bandd_held_notices_total", counter,
      "Times that an account went over its limits and was not told of at once (notice_every)."},
     [](const All& from) { return from.engine.accounts().held_notices(); }},
    {{"", "bandd_state_failed", gauge, "1 while the state cannot be written."},
     [](const All& from) -> std::uint64_t { return from.state_error ? 1 : 0; }},
    {{"", "bandd_remote_requests_total", counter, "Requests of other machines.",
      "verdict=\"taken\""},
     [](const All& from) {
         const RemoteCounts& remote = from.endpoints.remote_counts();
         return remote.requests - std::min(remote.refused, remote.requests);
     }},
    {{"", "bandd_remote_requests_total", counter, "", "verdict=\"refused\""},
     [](const All& from) { return from.endpoints.remote_counts().refused; }},
    {{"", "bandd_remote_requests_total", counter, "", "verdict=\"bad\""},
     [](const All& from) { return from.endpoints.remote_counts().bad; }},
};

constexpr auto refused = [](const Fleet& fleet, FleetMember::Refusal why) -> std::uint64_t {
    return fleet.member().refused(why);
};
using Refusal = FleetMember::Refusal;

const Row<Fleet> of_fleet[] = {
    {{"", "bandd_fleet_connected", gauge, "1 while the fleet's server is there."},
     [](const Fleet& fleet) -> std::uint64_t { return fleet.state().connected ? 1 : 0; }},
    {{"", "bandd_fleet_known_bans", gauge, "Bans of all machines, some of them over."},
     [](const Fleet& fleet) -> std::uint64_t { return fleet.member().words().size(); }},
    {{"", "bandd_fleet_unpublished", gauge, "Words on bans that the server has not stored."},
     [](const Fleet& fleet) -> std::uint64_t { return fleet.member().unpublished(); }},
    {{"", "bandd_fleet_behind", gauge, "Messages that this machine has not read."},
     [](const Fleet& fleet) { return fleet.behind(); }},
    {{"", "bandd_fleet_adopted_total", counter, "Bans that began or changed by what others said."},
     [](const Fleet& fleet) { return fleet.counts().adopted; }},
    {{"", "bandd_fleet_exempt_total", counter,
      "Bans of others of what is ignored here, or is this machine."},
     [](const Fleet& fleet) { return fleet.counts().exempt; }},
    {{"", "bandd_fleet_refused_total", counter, "Messages that were not taken.",
      "why=\"malformed\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::malformed); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"not_his\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::not_his); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"jail\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::jail); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"too_long\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::too_long); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"too_wide\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::too_wide); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"too_often\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::too_often); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"too_many\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::too_many); }},
    {{"", "bandd_fleet_refused_total", counter, "", "why=\"no_room\""},
     [](const Fleet& fleet) { return refused(fleet, Refusal::no_room); }},
    {{"", "bandd_fleet_hits_told_total", counter, "Hits that other machines are told of."},
     [](const Fleet& fleet) { return fleet.counts().hits_told; }},
    {{"", "bandd_fleet_hits_lost_total", counter, "Hits for which the outbox had no room."},
     [](const Fleet& fleet) { return fleet.counts().hits_lost; }},
    {{"", "bandd_fleet_outbox_bytes", gauge, "Hits that the server has not stored."},
     [](const Fleet& fleet) -> std::uint64_t { return fleet.outbox_bytes(); }},
    {{"", "bandd_fleet_hits_counted_total", counter, "Hits of all machines, on a counting one."},
     [](const Fleet& fleet) { return fleet.counter().counts().counted; }},
    {{"", "bandd_fleet_hits_late_total", counter, "Hits that came too late to count."},
     [](const Fleet& fleet) { return fleet.counter().counts().too_late; }},
    {{"", "bandd_fleet_clones_total", counter, "Messages of another machine with this one's name."},
     [](const Fleet& fleet) { return fleet.counts().clones; }},
};

// A jail, and how many of its bans are in which state.
struct JailSubject {
    const Engine& engine;
    std::uint64_t near_misses;
    bool blind;
    JailIndex jail;
    std::uint64_t active, pending, ports_left_open;
    const JailCounts& counts() const { return engine.counts(jail); }
};

const Row<JailSubject> of_jail[] = {
    {{"bans", "bandd_bans", gauge, "Bans that the kernel holds."},
     [](const JailSubject& jail) { return jail.active; }},
    {{"pending", "bandd_bans_pending", gauge, "Bans that the kernel has not taken yet."},
     [](const JailSubject& jail) { return jail.pending; }},
    {{"tracked", "bandd_tracked", gauge, "Addresses that are counted and not banned."},
     [](const JailSubject& jail) -> std::uint64_t {
         return jail.engine.windows(jail.jail).size();
     }},
    {{"hits", "bandd_hits_total", counter, "Lines that count."},
     [](const JailSubject& jail) { return jail.counts().hits; }},
    {{"ignored", "bandd_ignored_total", counter, "Hits that do not count."},
     [](const JailSubject& jail) { return jail.counts().ignored; }},
    {{"too_old", "bandd_too_old_total", counter, "Hits older than findtime."},
     [](const JailSubject& jail) { return jail.counts().too_old; }},
    {{"already_banned", "bandd_already_banned_total", counter, "Hits of banned addresses."},
     [](const JailSubject& jail) { return jail.counts().already_banned; }},
    {{"total_bans", "bandd_jail_bans_total", counter, "Bans decided."},
     [](const JailSubject& jail) { return jail.counts().bans; }},
    {{"total_unbans", "bandd_jail_unbans_total", counter, "Bans ended."},
     [](const JailSubject& jail) { return jail.counts().unbans; }},
    {{"near_misses", "bandd_near_misses_total", counter,
      "Lines that look like failures and are no hits, of those that were looked at."},
     [](const JailSubject& jail) { return jail.near_misses; }},
    {{"blind", "bandd_filter_blind", gauge,
      "1 while a filter does not know the lines of its program."},
     [](const JailSubject& jail) -> std::uint64_t { return jail.blind ? 1 : 0; }},
    {{"ports_left_open", "bandd_ports_left_open", gauge,
      "Ports of a service that `port: auto` does not close, as they are too many."},
     [](const JailSubject& jail) { return jail.ports_left_open; }},
    {{"evicted", "bandd_evicted_total", counter, "Addresses that made room for others."},
     [](const JailSubject& jail) -> std::uint64_t {
         return jail.engine.windows(jail.jail).evicted() +
                jail.engine.escalation(jail.jail).evicted();
     }},
};

struct ActionSubject {
    const Dispatch& dispatch;
    const TargetStatus& target;
};

const Row<ActionSubject> of_action[] = {
    {{"waiting", "bandd_action_waiting", gauge, "Orders that an action has not carried out."},
     [](const ActionSubject& action) -> std::uint64_t { return action.target.waiting; }},
    {{"missing", "bandd_action_missing", gauge, "Bans that an action's set is too full for."},
     [](const ActionSubject& action) -> std::uint64_t {
         return action.dispatch.missing(action.target.spec.id);
     }},
    {{"failures", "bandd_action_failures_total", counter, "Orders that failed."},
     [](const ActionSubject& action) { return action.target.failures; }},
    {{"applied", "bandd_action_applied_total", counter, "Orders that were carried out."},
     [](const ActionSubject& action) { return action.target.applied; }},
    {{"repairs", ""}, [](const ActionSubject& action) { return action.target.repairs; }},
};

const Row<Reader> of_file[] = {
    {{"offset", "bandd_source_position_bytes", gauge, "How far a log is read."},
     [](const Reader& reader) { return reader.tail.position().offset; }},
    {{"size", "bandd_source_size_bytes", gauge, "How long it is."},
     [](const Reader& reader) -> std::uint64_t { return reader.tail.size(); }},
};

const Row<JournalSource::Status> of_journal[] = {
    {{"entries", ""}, [](const JournalSource::Status& journal) { return journal.entries; }},
};

const Row<SyslogListener> of_syslog[] = {
    {{"messages", "bandd_syslog_messages_total", counter, "Messages that a listener got."},
     [](const SyslogListener& listener) { return listener.counts().messages; }},
    {{"dropped", "bandd_syslog_dropped_total", counter, "Messages that the kernel had to drop."},
     [](const SyslogListener& listener) { return listener.counts().dropped; }},
    {{"refused", ""}, [](const SyslogListener& listener) { return listener.counts().refused; }},
    {{"failed_handshakes", ""},
     [](const SyslogListener& listener) { return listener.counts().failed_handshakes; }},
    {{"cut", ""}, [](const SyslogListener& listener) { return listener.counts().cut; }},
    {{"clients", ""},
     [](const SyslogListener& listener) -> std::uint64_t { return listener.clients(); }},
    {{"clients_refused", ""},
     [](const SyslogListener& listener) { return listener.counts().clients_refused; }},
    {{"clients_made_room", ""},
     [](const SyslogListener& listener) { return listener.counts().clients_made_room; }},
};

const Row<ScanCounts> of_source[] = {
    {{"lines", "bandd_source_lines_total", counter, "Lines read of a source."},
     [](const ScanCounts& counts) { return counts.lines; }},
    {{"candidates", "bandd_source_candidates_total", counter,
      "Those that some pattern was tried on."},
     [](const ScanCounts& counts) { return counts.candidates; }},
    {{"matcher_gave_up", "bandd_source_matcher_gave_up_total", counter,
      "Searches by PCRE2 of lines of this source that took too long: no match."},
     [](const ScanCounts& counts) { return counts.gave_up; }},
    {{"hits", "bandd_source_hits_total", counter, "Those that a filter calls an attack."},
     [](const ScanCounts& counts) { return counts.hits; }},
};

const Row<StreamServer> of_listening[] = {
    {{"clients", "bandd_clients", gauge, "Clients that are connected."},
     [](const StreamServer& server) -> std::uint64_t { return server.clients(); }},
    {{"", "bandd_clients_refused_total", counter,
      "Clients that were refused or cut off, or whose TLS was wrong."},
     [](const StreamServer& server) {
         const StreamCounts& counts = server.counts();
         return counts.refused + counts.too_many + counts.made_room + counts.cut_off +
                counts.bad_tls;
     }},
    {{"accepted", ""}, [](const StreamServer& server) { return server.counts().accepted; }},
    {{"refused", ""}, [](const StreamServer& server) { return server.counts().refused; }},
    {{"too_many", ""}, [](const StreamServer& server) { return server.counts().too_many; }},
    {{"made_room", ""}, [](const StreamServer& server) { return server.counts().made_room; }},
    {{"cut_off", ""}, [](const StreamServer& server) { return server.counts().cut_off; }},
    {{"bad_tls", ""}, [](const StreamServer& server) { return server.counts().bad_tls; }},
    {{"no_descriptors", "bandd_accept_paused_total", counter,
      "Times that there was no descriptor left for a client."},
     [](const StreamServer& server) { return server.counts().no_descriptors; }},
};

const Row<EndpointCounts> of_decisions[] = {
    {{"passed", "bandd_decisions_total", counter, "Decisions on logins.", "verdict=\"pass\""},
     [](const EndpointCounts& counts) { return counts.passed; }},
    {{"refused_country", "bandd_decisions_total", counter, "", "verdict=\"country\""},
     [](const EndpointCounts& counts) { return counts.refused_country; }},
    {{"refused_account", "bandd_decisions_total", counter, "", "verdict=\"account\""},
     [](const EndpointCounts& counts) { return counts.refused_account; }},
    {{"refused_unchecked", "bandd_decisions_total", counter, "", "verdict=\"unchecked\""},
     [](const EndpointCounts& counts) { return counts.refused_unchecked; }},
    {{"wrong_password", "bandd_decisions_total", counter, "", "verdict=\"wrong password\""},
     [](const EndpointCounts& counts) { return counts.wrong_password; }},
    {{"not_checked", "bandd_decisions_total", counter, "", "verdict=\"not checked\""},
     [](const EndpointCounts& counts) { return counts.not_checked; }},
    {{"refused_broadband", "bandd_decisions_total", counter, "", "verdict=\"broadband\""},
     [](const EndpointCounts& counts) { return counts.refused_broadband; }},
    {{"bad", "bandd_decisions_total", counter, "", "verdict=\"bad\""},
     [](const EndpointCounts& counts) { return counts.bad; }},
    {{"reports", "bandd_decisions_total", counter, "", "verdict=\"report\""},
     [](const EndpointCounts& counts) { return counts.reports; }},
    {{"simulated_country", "bandd_simulated_refusals_total", counter,
      "Logins that passed, and would be refused without simulate.", "verdict=\"country\""},
     [](const EndpointCounts& counts) { return counts.simulated_country; }},
    {{"simulated_account", "bandd_simulated_refusals_total", counter, "", "verdict=\"account\""},
     [](const EndpointCounts& counts) { return counts.simulated_account; }},
};

LogStatus status_of_log(const Watch& watch, std::size_t log) {
    LogStatus status;
    status.path = watch.logs()[log].spec.path;
    for (const Reader& reader : watch.readers())
        if (reader.logs.contains(log) && !reader.finished) {
            status.files.push_back(
                {reader.tail.position().path, reader.tail.is_open(), read_rows(of_file, reader)});
            if (Duration offset = reader.chain->clock().offset(); offset != Duration{0})
                status.clocks.push_back({reader.tail.path(), offset});
        }
    if (const Error* error = watch.error(log)) status.error = *error;
    status.waiting = watch.waiting(log);
    return status;
}

std::vector<LogStatus> logs_of_jail(const StatusSources& from, JailIndex jail) {
    std::vector<LogStatus> logs;
    for (std::size_t log : from.sources.files().logs_of(jail))
        logs.push_back(status_of_log(from.sources.files().watch(), log));
    if (auto journal = from.sources.journal().status(jail))
        logs.push_back({.kind = LogStatus::Kind::journal,
                        .path = "journal",
                        .error = journal->error,
                        .numbers = read_rows(of_journal, *journal)});
    for (const SyslogListener* listener : from.sources.syslog().listeners(jail)) {
        logs.push_back({.kind = LogStatus::Kind::syslog,
                        .path = to_string(listener->address()),
                        .numbers = read_rows(of_syslog, *listener),
                        .last_failure = listener->counts().last_failure});
        for (const SyslogSource::Clock& clock : from.sources.syslog().clocks(*listener))
            logs.back().clocks.push_back({clock.sender, clock.offset});
    }
    return logs;
}

// Each has a name of its own, so that what one does is not taken for what another one does.
std::vector<ActionStatus> actions_of_jail(const StatusSources& from, JailIndex jail) {
    std::vector<ActionStatus> all;
    std::map<std::string_view, int> of_kind;
    for (const TargetStatus& target : from.dispatch.targets()) {
        if (target.spec.jail != jail) continue;
        std::string_view kind = action_name(target.spec.action);
        int number = ++of_kind[kind];
        all.push_back({number == 1 ? std::string(kind) : fmt::format("{}-{}", kind, number),
                       target.prepared || !target.error, target.error,
                       read_rows(of_action, {from.dispatch, target})});
    }
    return all;
}

std::vector<JailStatus> status_of_jails(const StatusSources& from) {
    const BanTable& bans = from.engine.bans();
    std::vector<JailStatus> jails;
    for (std::size_t i = 0; i < from.config.jails.size(); ++i) {
        JailIndex index = from.engine.jails()[i];
        const JailRules& rules = from.engine.rules(index);
        JailStatus jail;
        jail.name = rules.name;
        jail.filter = from.config.jails[i].filter;
        jail.description = from.config.jails[i].description;
        jail.maxretry = rules.maxretry;
        if (!rules.today) jail.findtime = rules.findtime;
        jail.bantime = rules.bantime.base;
        jail.simulate = rules.simulate;
        const Filter* filter = from.pipeline.filter_of(index);
        std::string_view identity = filter == nullptr ? "" : std::string_view(filter->identity);
        const FilterHealth& health = from.pipeline.health();
        const Blindness* blindness = health.blindness(identity);
        if (blindness != nullptr) jail.blindness = *blindness;
        if (blindness != nullptr && blindness->pattern < filter->patterns.size())
            jail.blind_pattern = filter->patterns[blindness->pattern].id;
        jail.numbers = read_rows(
            of_jail, {from.engine, health.counts(identity).value_or(FilterHealth::Counts{}).alike,
                      blindness != nullptr && blindness->kind != Blindness::Kind::tag, index,
                      bans.count(index, BanState::active) + bans.count(index, BanState::simulated),
                      bans.count(index, BanState::pending), from.ports.left_open(rules.name)});
        jail.logs = logs_of_jail(from, index);
        for (const TargetStatus& target : from.dispatch.targets())
            if (const auto* nftables = std::get_if<NftablesAction>(&target.spec.action);
                nftables != nullptr && target.spec.jail == index)
                jail.ports.push_back(to_string(nftables->ports));
        jail.actions = actions_of_jail(from, index);
        jails.push_back(std::move(jail));
    }
    return jails;
}

std::vector<GeoblockStatus> status_of_geoblocks(const StatusSources& from) {
    std::vector<GeoblockStatus> all;
    for (const GeoblockConfig& block : from.config.geoblocks) {
        GeoblockStatus status{block.name, block.countries, block.all_but, {}};
        for (const auto& [name, networks] : from.geoblocks.networks)
            if (name == block.name) status.networks = networks;
        all.push_back(std::move(status));
    }
    return all;
}

}  // namespace

Status collect_status(const StatusSources& from) {
    Status status;
    status.version = BANDD_VERSION;
    status.config_path = from.config_path;
    status.state_path = from.config.state;
    status.started = from.started;
    status.state_error = from.state_error;
    status.numbers = read_rows(of_daemon, from);
    if (from.fleet != nullptr)
        for (const Number& number : read_rows(of_fleet, *from.fleet))
            status.numbers.push_back(number);
    status.jails = status_of_jails(from);
    for (const auto& [name, counts] : from.pipeline.counts_by_source())
        status.sources.push_back({name, read_rows(of_source, counts)});
    for (const Endpoints::Listening& one : from.endpoints.servers())
        status.listening.push_back({one.what, to_string(one.server->address()),
                                    read_rows(of_listening, *one.server),
                                    one.server->counts().last_failure});
    for (const auto& [name, counts] : from.endpoints.counts())
        status.decisions.push_back({name, read_rows(of_decisions, counts), counts.latency});
    status.geoblocks = status_of_geoblocks(from);
    status.geoblock_error = from.geoblocks.error;
    status.turns = from.turns;
    return status;
}

}  // namespace bandd
