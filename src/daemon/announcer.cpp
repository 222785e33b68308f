// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/announcer.h"

#include "action/dispatch.h"
#include "control/server.h"
#include "core/decide/engine.h"
#include "daemon/ban_json.h"
#include "daemon/login_log.h"
#include "os/log.h"

namespace bandd {
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
        case Ignored::Why::same_attempt:
            return "another line of an attempt that was counted";
        case Ignored::Why::exempt:
            return "exempt: ignorecommand or a host name in ignoreip";
        case Ignored::Why::too_old:
            return "older than findtime";
        case Ignored::Why::already_banned:
            return "already banned";
    }
    return "?";
}

std::string_view why_text(Unbanned::Why why) {
    switch (why) {
        case Unbanned::Why::expired:
            return "its time is over";
        case Unbanned::Why::by_hand:
            return "by hand";
        case Unbanned::Why::jail_gone:
            return "its jail is gone";
        case Unbanned::Why::ignored:
            return "it is ignored or our own, or holds such an address";
    }
    return "?";
}

}  // namespace

bool Announcer::is_watched() const { return watchers_.has_watchers(); }

const std::string& Announcer::jail_name(JailIndex jail) const { return engine_.rules(jail).name; }

void Announcer::tell_watchers_of(const Ban& ban, const char* kind, std::string_view why) {
    if (!is_watched()) return;
    Json json = ban_to_json(ban, jail_name(ban.key.jail));
    json["kind"] = kind;
    if (!why.empty()) json["why"] = why;
    watchers_.tell_watchers(json);
}

void Announcer::tell(const Event& event) {
    std::visit([this](const auto& one) { tell_of(one); }, event);
}

// Under an attack nearly every line is a `Found` or an `Ignored`, and mostly nobody listens.
void Announcer::tell_of(const Found& found) {
    bool watched = is_watched();
    if (!watched && !log_.wants(Severity::info)) return;
    const std::string& jail = jail_name(found.jail);
    log_.write(Severity::info, "found {} jail={} pattern={} hits={}/{}", to_string(found.address),
               jail, found.pattern, found.hits, engine_.rules(found.jail).maxretry);
    if (watched)
        watchers_.tell_watchers({{"kind", "found"},
                                 {"ip", to_string(found.address)},
                                 {"jail", jail},
                                 {"pattern", found.pattern},
                                 {"hits", found.hits},
                                 {"time", format_rfc3339(found.time)}});
}

void Announcer::tell_of(const Ignored& ignored) {
    bool watched = is_watched();
    if (!watched && !log_.wants(Severity::info)) return;
    const std::string& jail = jail_name(ignored.jail);
    log_.write(Severity::info, "ignored {} jail={} why=\"{}\"", to_string(ignored.address), jail,
               why_text(ignored.why));
    if (watched)
        watchers_.tell_watchers({{"kind", "ignored"},
                                 {"ip", to_string(ignored.address)},
                                 {"jail", jail},
                                 {"why", why_text(ignored.why)},
                                 {"time", format_rfc3339(ignored.time)}});
}

// The log has a line of a real ban once the kernel holds it.
void Announcer::tell_of(const Banned& banned) {
    const Ban& ban = banned.ban;
    bool simulated = ban.state == BanState::simulated;
    if (simulated)
        log_.write(Severity::notice, "would ban {} jail={} {} reason=\"{}\" hits={} (simulate)",
                   to_string(ban.key.prefix), jail_name(ban.key.jail), until_text(ban),
                   ban.story->reason, ban.hits);
    tell_watchers_of(ban, simulated ? "would-ban" : "decided");
}

void Announcer::tell_of(const Extended& extended) {
    const Ban& ban = extended.ban;
    log_.write(Severity::notice, "extended {} jail={} {}", to_string(ban.key.prefix),
               jail_name(ban.key.jail), until_text(ban));
    tell_watchers_of(ban, "extended");
}

void Announcer::tell_of(const Unbanned& unbanned) {
    const Ban& ban = unbanned.ban;
    std::string_view why = why_text(unbanned.why);
    log_.write(Severity::notice, "unban {} jail={} why=\"{}\"", to_string(ban.key.prefix),
               jail_name(ban.key.jail), why);
    tell_watchers_of(ban, "unban", why);
}

void Announcer::tell_of(const LoggedIn& login) {
    log_.write(Severity::info, "login {} of {} jail={}", to_string(login.address), login.user,
               jail_name(login.jail));
}

void Announcer::tell_of(const AccountOver& over) {
    log_.write(Severity::warning, "account {} has {}: logins {}; last {} ({})", over.user,
               over.reason, over.simulated ? "would be refused (simulate)" : "are refused",
               to_string(over.address), over.country);
    if (is_watched())
        watchers_.tell_watchers({{"kind", "account"},
                                 {"user", over.user},
                                 {"reason", over.reason},
                                 {"ip", to_string(over.address)},
                                 {"country", over.country},
                                 {"simulate", over.simulated},
                                 {"time", format_rfc3339(over.time)}});
}

void Announcer::tell(const Report& report) {
    for (const Ban& ban : report.in_force) {
        log_.write(Severity::notice, "ban {} jail={} {} reason=\"{}\" hits={} offence={}",
                   to_string(ban.key.prefix), jail_name(ban.key.jail), until_text(ban),
                   ban.story->reason, ban.hits, ban.offence);
        tell_watchers_of(ban, "ban");
    }
    for (const Report::Trouble& trouble : report.troubles) {
        const TargetSpec& spec = dispatch_.targets()[trouble.target].spec;
        if (trouble.recovered)
            log_.write(Severity::notice, "jail={} action={} works again (was: {})", spec.jail_name,
                       action_name(spec.action), to_line(trouble.error));
        else
            log_.write(Severity::error, "jail={} {}", spec.jail_name, to_line(trouble.error));
    }
    for (const Error& error : report.failed) log_.put(Severity::error, to_line(error));
    for (const auto& [target, remark] : report.remarks)
        log_.write(Severity::notice, "jail={} {}", dispatch_.targets()[target].spec.jail_name,
                   to_line(remark));
    for (TargetId target : report.repaired) {
        const TargetSpec& spec = dispatch_.targets()[target].spec;
        log_.write(Severity::warning,
                   "jail={} action={}: bans were missing in the kernel and were put back",
                   spec.jail_name, action_name(spec.action));
    }
}

void Announcer::tell_login(const LoginRequest& request, const Decision& decision) {
    bool refused = decision.verdict() != Permit::yes;
    if (refused || !request.again) logins_.put(access_line(request, decision));
    if (!is_watched() || request.again) return;
    const char* kind = decision.only_simulated() ? "log-on would be refused"
                       : refused                 ? "log-on refused"
                                                 : "log-on";
    watchers_.tell_watchers({{"kind", kind},
                             {"user", request.user},
                             {"protocol", request.protocol},
                             {"ip", to_string(request.address)},
                             {"country", decision.origin.country},
                             {"reason", decision.reason}});
}

void Announcer::tell_failed_password(const LoginRequest& request, const Origin& origin) {
    logins_.put(login_line(request, "AUTHFAILED", origin));
}

}  // namespace bandd
