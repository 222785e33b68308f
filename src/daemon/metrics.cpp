// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers for Prometheus, in its text format.
#include <fmt/format.h>

#include "core/base/printable.h"
#include "daemon/daemon.h"
#include "os/clock.h"

namespace bandd {
namespace {

// Label values: backslash, quote and line end are escaped.
std::string label(std::string_view text) {
    std::string out;
    for (char c : printable(text)) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

class Page {
  public:
    void begin(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    template <class Number>
    void value(std::string_view labels, Number number, std::string_view suffix = "") {
        text_ += name_;
        text_ += suffix;
        if (!labels.empty()) text_ += fmt::format("{{{}}}", labels);
        text_ += fmt::format(" {}\n", number);
    }
    template <class Number>
    void one(std::string_view name, std::string_view type, std::string_view help, Number number) {
        begin(name, type, help);
        value("", number);
    }
    void histogram(const std::string& labels, const LatencyHistogram& times) {
        std::string before = labels.empty() ? "" : labels + ",";
        for (std::size_t i = 0; i < times.bounds.size(); ++i)
            value(fmt::format("{}le=\"{}\"", before, times.bounds[i]), times.up_to[i], "_bucket");
        value(before + "le=\"+Inf\"", times.count, "_bucket");
        value(labels, times.sum, "_sum");
        value(labels, times.count, "_count");
    }
    std::string take() { return std::move(text_); }

  private:
    std::string name_, text_;
};

}  // namespace

std::string Daemon::metrics() const {
    Page page;
    page.begin("bandd_info", "gauge", "The version that runs.");
    page.value(fmt::format("version=\"{}\"", BANDD_VERSION), 1);
    page.one("bandd_start_time_seconds", "gauge", "When bandd was started.",
             static_cast<double>(started_.us) / 1e6);
    const ScanCounts scanned = pipeline_->counts();
    page.one("bandd_lines_total", "counter", "Lines read.", scanned.lines);
    page.one("bandd_candidates_total", "counter", "Lines that some pattern was tried on.",
             scanned.candidates);
    page.one("bandd_cut_lines_total", "counter", "Lines over line_limit.", pipeline_->cut_lines());
    page.one("bandd_matcher_gave_up_total", "counter", "Matches that took too many steps.",
             scanned.gave_up);

    auto by_source = [&](const char* name, const char* help, auto member) {
        page.begin(name, "counter", help);
        for (const auto& [source, counts] : pipeline_->counts_by_source())
            page.value(fmt::format("source=\"{}\"", label(source)), counts.*member);
    };
    by_source("bandd_source_lines_total", "Lines read of a source.", &ScanCounts::lines);
    by_source("bandd_source_candidates_total", "Those that some pattern was tried on.",
              &ScanCounts::candidates);
    by_source("bandd_source_hits_total", "Those that a filter calls an attack.", &ScanCounts::hits);

    std::size_t jails = engine_->rules().size();
    auto each_jail = [&](auto&& tell) {
        for (std::size_t i = 0; i < jails; ++i)
            tell(fmt::format("jail=\"{}\"", engine_->rules()[i].name), static_cast<JailIndex>(i));
    };
    std::vector<std::uint64_t> active(jails), pending(jails);
    for (const Ban& ban : engine_->bans())
        ++(ban.state == BanState::pending ? pending : active)[ban.key.jail];
    page.begin("bandd_bans", "gauge", "Bans that stand in the kernel.");
    each_jail([&](const std::string& labels, JailIndex i) { page.value(labels, active[i]); });
    page.begin("bandd_bans_pending", "gauge", "Bans that the kernel has not taken yet.");
    each_jail([&](const std::string& labels, JailIndex i) { page.value(labels, pending[i]); });
    page.begin("bandd_tracked", "gauge", "Addresses that are counted and not banned.");
    each_jail([&](const std::string& labels, JailIndex i) {
        page.value(labels, engine_->windows(i).size());
    });
    auto counter = [&](const char* name, const char* help, auto member) {
        page.begin(name, "counter", help);
        each_jail([&](const std::string& labels, JailIndex i) {
            page.value(labels, engine_->counts(i).*member);
        });
    };
    counter("bandd_hits_total", "Lines that count.", &JailCounts::hits);
    counter("bandd_ignored_total", "Hits that do not count.", &JailCounts::ignored);
    counter("bandd_too_old_total", "Hits older than findtime.", &JailCounts::too_old);
    counter("bandd_already_banned_total", "Hits of banned addresses.", &JailCounts::already_banned);
    counter("bandd_jail_bans_total", "Bans decided.", &JailCounts::bans);
    counter("bandd_jail_unbans_total", "Bans ended.", &JailCounts::unbans);
    page.begin("bandd_evicted_total", "counter", "Addresses that made room for others.");
    each_jail([&](const std::string& labels, JailIndex i) {
        page.value(labels, engine_->windows(i).evicted());
    });

    page.begin("bandd_action_waiting", "gauge", "Orders that an action has not carried out.");
    auto action_labels = [&](const TargetStatus& target) {
        return fmt::format("jail=\"{}\",action=\"{}\"", target.spec.jail_name,
                           action_name(target.spec.action));
    };
    for (const TargetStatus& target : dispatch_->targets())
        page.value(action_labels(target), target.waiting);
    page.begin("bandd_action_failures_total", "counter", "Orders that failed.");
    for (const TargetStatus& target : dispatch_->targets())
        page.value(action_labels(target), target.failures);
    page.begin("bandd_action_applied_total", "counter", "Orders that were carried out.");
    for (const TargetStatus& target : dispatch_->targets())
        page.value(action_labels(target), target.applied);

    page.begin("bandd_source_position_bytes", "gauge", "How far a log is read.");
    for (const Reader& reader : watch_->readers())
        if (!reader.finished)
            page.value(fmt::format("path=\"{}\"", label(reader.tail.position().path)),
                       reader.tail.position().offset);
    page.begin("bandd_source_size_bytes", "gauge", "How long it is.");
    for (const Reader& reader : watch_->readers())
        if (!reader.finished)
            page.value(fmt::format("path=\"{}\"", label(reader.tail.position().path)),
                       reader.tail.size());
    page.begin("bandd_syslog_messages_total", "counter", "Messages that a listener heard.");
    std::map<std::string, const SyslogListener*> listeners;
    each_jail([&](const std::string&, JailIndex i) {
        for (const SyslogListener* listener : streams_->listeners(i))
            listeners[to_string(listener->address())] = listener;
    });
    for (const auto& [address, listener] : listeners)
        page.value(fmt::format("listen=\"{}\"", label(address)), listener->counts().messages);
    page.begin("bandd_syslog_dropped_total", "counter", "Messages that the kernel had to drop.");
    for (const auto& [address, listener] : listeners)
        page.value(fmt::format("listen=\"{}\"", label(address)), listener->counts().dropped);

    page.begin("bandd_decisions_total", "counter", "Logins asked about.");
    for (const auto& [name, counts] : endpoints_->counts()) {
        auto tell = [&](const char* verdict, std::uint64_t number) {
            page.value(fmt::format("endpoint=\"{}\",verdict=\"{}\"", name, verdict), number);
        };
        tell("pass", counts.passed);
        tell("country", counts.refused_country);
        tell("account", counts.refused_account);
        tell("bad", counts.bad);
        tell("report", counts.reports);
    }
    page.begin("bandd_decision_seconds", "histogram", "From a request to its answer, in bandd.");
    for (const auto& [name, counts] : endpoints_->counts())
        page.histogram(fmt::format("endpoint=\"{}\"", name), counts.latency);
    page.begin("bandd_turn_seconds", "histogram", "How long a turn of the loop took.");
    page.histogram("", turns_);
    page.one("bandd_accounts", "gauge", "Accounts that are counted.", engine_->accounts().size());
    page.one("bandd_accounts_evicted_total", "counter", "Accounts that made room for others.",
             engine_->accounts().evicted());
    const RemoteCounts& remote = endpoints_->remote_counts();
    page.begin("bandd_remote_requests_total", "counter", "What other machines asked.");
    page.value("verdict=\"taken\"", remote.requests - std::min(remote.refused, remote.requests));
    page.value("verdict=\"refused\"", remote.refused);
    page.value("verdict=\"bad\"", remote.bad);
    page.begin("bandd_clients", "gauge", "Who is connected.");
    for (const Endpoints::Listening& one : endpoints_->servers())
        page.value(fmt::format("listen=\"{}\"", label(to_string(one.server->address()))),
                   one.server->clients());
    page.begin("bandd_clients_refused_total", "counter",
               "Clients that were refused or cut off, or whose TLS was wrong.");
    for (const Endpoints::Listening& one : endpoints_->servers()) {
        const StreamCounts& counts = one.server->counts();
        page.value(fmt::format("listen=\"{}\"", label(to_string(one.server->address()))),
                   counts.refused + counts.too_many + counts.cut_off + counts.bad_tls);
    }

    page.one("bandd_waiting_hits", "gauge", "Hits that wait for an answer.",
             engine_->waiting().size());
    page.one("bandd_waiting_hits_lost_total", "counter", "Hits for whose answer was no room.",
             engine_->waiting().lost());
    page.one("bandd_refused_bans_total", "counter", "Bans over ban_limit.",
             engine_->refused_bans());
    page.one("bandd_lost_notices_total", "counter", "Overflows of the kernel's file notices.",
             watch_->overflows());
    page.one("bandd_lost_log_lines_total", "counter", "Lines of bandd's own log that were lost.",
             log_.lost());
    page.one("bandd_state_failed", "gauge", "1 while the state cannot be written.",
             store_error_ ? 1 : 0);
    return page.take();
}

}  // namespace bandd
