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

// What a line of the log says, for who searches the journal or has it act (MESSAGE_ID, as systemd's
// catalogs mean it). Others' scripts know these: they never change.
struct Saying {
    std::string_view event, id;
};
constexpr Saying says_ban{"ban", "fd0163ed544e442c905c56234adfc27b"};
constexpr Saying says_would_ban{"would-ban", "e0cc98d6d23947f3a88cdfed048960e5"};
constexpr Saying says_extended{"extended", "e35931ccedc34a03bb7862260a55c580"};
constexpr Saying says_unban{"unban", "5cf6ac043a9c4e1e8cbed951eac0f521"};
constexpr Saying says_found{"found", "e74019daee634e1d8b2ce4553ec368c1"};
constexpr Saying says_ignored{"ignored", "92cc6e0785a946a6bd77e4b593694723"};
constexpr Saying says_account{"account", "c5e204d428da4555a15ec9245b0a7df2"};

std::vector<LogField> fields_of(const Saying& saying, std::string address) {
    return {{"MESSAGE_ID", std::string(saying.id)},
            {"EVENT", std::string(saying.event)},
            {"ADDRESS", std::move(address)}};
}

std::vector<LogField> fields_of(const Saying& saying, std::string address,
                                const std::string& jail) {
    auto fields = fields_of(saying, std::move(address));
    fields.push_back({"JAIL", jail});
    return fields;
}

std::vector<LogField> fields_of(const Saying& saying, const Ban& ban, const std::string& jail) {
    auto fields = fields_of(saying, to_string(ban.key.prefix), jail);
    fields.push_back({"REASON", ban.story->reason});
    fields.push_back({"OFFENCE", std::to_string(ban.offence)});
    if (ban.until != never) fields.push_back({"UNTIL", format_rfc3339(ban.until)});
    return fields;
}

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
        case Unbanned::Why::fleet:
            return "the fleet lifted it";
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
    log_.put(Severity::info,
             fmt::format("found {} jail={} pattern={} hits={}/{}", to_string(found.address), jail,
                         found.pattern, found.hits, engine_.rules(found.jail).maxretry),
             fields_of(says_found, to_string(found.address), jail));
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
    log_.put(Severity::info,
             fmt::format("ignored {} jail={} why=\"{}\"", to_string(ignored.address), jail,
                         why_text(ignored.why)),
             fields_of(says_ignored, to_string(ignored.address), jail));
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
    const std::string& jail = jail_name(ban.key.jail);
    bool simulated = ban.state == BanState::simulated;
    if (simulated)
        log_.put(Severity::notice,
                 fmt::format("would ban {} jail={} {} reason=\"{}\" hits={} (simulate)",
                             to_string(ban.key.prefix), jail, until_text(ban), ban.story->reason,
                             ban.hits),
                 fields_of(says_would_ban, ban, jail));
    tell_watchers_of(ban, simulated ? "would-ban" : "decided");
}

void Announcer::tell_of(const Extended& extended) {
    const Ban& ban = extended.ban;
    const std::string& jail = jail_name(ban.key.jail);
    log_.put(
        Severity::notice,
        fmt::format("extended {} jail={} {}", to_string(ban.key.prefix), jail, until_text(ban)),
        fields_of(says_extended, ban, jail));
    tell_watchers_of(ban, "extended");
}

void Announcer::tell_of(const Unbanned& unbanned) {
    const Ban& ban = unbanned.ban;
    const std::string& jail = jail_name(ban.key.jail);
    std::string_view why = why_text(unbanned.why);
    log_.put(Severity::notice,
             fmt::format("unban {} jail={} why=\"{}\"", to_string(ban.key.prefix), jail, why),
             fields_of(says_unban, ban, jail));
    tell_watchers_of(ban, "unban", why);
}

void Announcer::tell_of(const LoggedIn& login) {
    log_.write(Severity::info, "login {} of {} jail={}", to_string(login.address), login.user,
               jail_name(login.jail));
}

void Announcer::tell_of(const AccountOver& over) {
    auto fields = fields_of(says_account, to_string(over.address));
    fields.push_back({"ACCOUNT", over.user});
    log_.put(Severity::warning,
             fmt::format("account {} has {}: logins {}; last {} ({})", over.user, over.reason,
                         over.simulated ? "would be refused (simulate)" : "are refused",
                         to_string(over.address), over.country),
             fields);
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
        const std::string& jail = jail_name(ban.key.jail);
        log_.put(Severity::notice,
                 fmt::format("ban {} jail={} {} reason=\"{}\" hits={} offence={}",
                             to_string(ban.key.prefix), jail, until_text(ban), ban.story->reason,
                             ban.hits, ban.offence),
                 fields_of(says_ban, ban, jail));
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
