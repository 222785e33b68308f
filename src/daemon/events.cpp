// SPDX-License-Identifier: GPL-2.0-or-later
// One line an event in the daemon's own log, one JSON object an event for watchers. A ban is told
// of when the kernel has it, not before.
#include "daemon/daemon.h"

namespace bandd {

const std::string& Daemon::jail_name(JailIndex jail) const { return engine_->rules()[jail].name; }

namespace {

std::string until_text(const Ban& ban) {
    return ban.until == never ? "for ever" : "until " + format_rfc3339(ban.until);
}

std::string_view why_text(Ignored::Why why) {
    switch (why) {
        case Ignored::Why::ignoreip:
            return "ignoreip";
        case Ignored::Why::own_address:
            return "own address";
        case Ignored::Why::where:
            return "not what \"where\" asks for";
        case Ignored::Why::nothing_to_count:
            return "has nothing of what \"count\" counts";
        case Ignored::Why::exempt:
            return "exempt: ignorecommand or a host name in ignoreip";
        case Ignored::Why::too_old:
            return "older than findtime";
        case Ignored::Why::already_banned:
            return "already banned";
    }
    return "?";
}

}  // namespace

void Daemon::on_event(const Event& event) {
    dirty_ = true;
    // Under an attack nearly every line is one of these two, and mostly nobody listens.
    bool counted = std::holds_alternative<Found>(event) || std::holds_alternative<Ignored>(event);
    bool watched = control_ && control_->has_watchers();
    if (counted && !watched && !log_.wants(Severity::info)) return;
    Json json;
    if (const auto* found = std::get_if<Found>(&event)) {
        const std::string& jail = jail_name(found->jail);
        log_.write(Severity::info, "found {} jail={} pattern={} hits={}/{}",
                   to_string(found->address), jail, found->pattern, found->hits,
                   engine_->rules()[found->jail].maxretry);
        if (watched)
            json = {{"kind", "found"},     {"ip", to_string(found->address)},
                    {"jail", jail},        {"pattern", found->pattern},
                    {"hits", found->hits}, {"time", format_rfc3339(found->time)}};
    } else if (const auto* ignored = std::get_if<Ignored>(&event)) {
        log_.write(Severity::info, "ignored {} jail={} why=\"{}\"", to_string(ignored->address),
                   jail_name(ignored->jail), why_text(ignored->why));
        if (watched)
            json = {{"kind", "ignored"},
                    {"ip", to_string(ignored->address)},
                    {"jail", jail_name(ignored->jail)},
                    {"why", why_text(ignored->why)},
                    {"time", format_rfc3339(ignored->time)}};
    } else if (const auto* banned = std::get_if<Banned>(&event)) {
        const Ban& ban = banned->ban;
        if (ban.state == BanState::simulated)
            log_.write(Severity::notice, "would ban {} jail={} {} reason=\"{}\" hits={} (simulate)",
                       to_string(ban.key.prefix), jail_name(ban.key.jail), until_text(ban),
                       ban.story->reason, ban.hits);
        if (watched) {
            json = ban_to_json(ban, false);
            json["kind"] = ban.state == BanState::simulated ? "would-ban" : "decided";
        }
    } else if (const auto* extended = std::get_if<Extended>(&event)) {
        log_.write(Severity::notice, "extended {} jail={} {}", to_string(extended->ban.key.prefix),
                   jail_name(extended->ban.key.jail), until_text(extended->ban));
        if (watched) {
            json = ban_to_json(extended->ban, false);
            json["kind"] = "extended";
        }
    } else if (const auto* unbanned = std::get_if<Unbanned>(&event)) {
        const Ban& ban = unbanned->ban;
        std::string_view why = unbanned->why == Unbanned::Why::expired   ? "its time is over"
                               : unbanned->why == Unbanned::Why::by_hand ? "by hand"
                                                                         : "its jail is gone";
        log_.write(Severity::notice, "unban {} jail={} why=\"{}\"", to_string(ban.key.prefix),
                   jail_name(ban.key.jail), why);
        if (watched) {
            json = ban_to_json(ban, false);
            json["kind"] = "unban";
            json["why"] = why;
        }
    }
    if (const auto* login = std::get_if<LoggedIn>(&event)) {
        log_.write(Severity::info, "login {} of {} jail={}", to_string(login->address), login->user,
                   jail_name(login->jail));
    } else if (const auto* over = std::get_if<AccountOver>(&event)) {
        on_account_over(*over);
    }
    if (!json.is_null()) control_->tell_watchers(json);
}

void Daemon::on_report(const Report& report) {
    for (const Ban& ban : report.in_force) {
        log_.write(Severity::notice, "ban {} jail={} {} reason=\"{}\" hits={} offence={}",
                   to_string(ban.key.prefix), jail_name(ban.key.jail), until_text(ban),
                   ban.story->reason, ban.hits, ban.offence);
        if (control_ && control_->has_watchers()) {
            Json json = ban_to_json(ban, false);
            json["kind"] = "ban";
            control_->tell_watchers(json);
        }
    }
    for (const Report::Trouble& trouble : report.troubles) {
        const TargetSpec& spec = dispatch_->targets()[trouble.target].spec;
        if (trouble.recovered)
            log_.write(Severity::notice, "jail={} action={} works again (was: {})", spec.jail_name,
                       action_name(spec.action), to_line(trouble.error));
        else
            log_.write(Severity::error, "jail={} {}", spec.jail_name, to_line(trouble.error));
    }
    for (TargetId target : report.repaired) {
        const TargetSpec& spec = dispatch_->targets()[target].spec;
        log_.write(Severity::warning,
                   "jail={} action={}: bans were missing in the kernel and were put back",
                   spec.jail_name, action_name(spec.action));
    }
}

}  // namespace bandd
