// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/log_health.h"

#include <algorithm>
#include <vector>

#include "core/base/count_of.h"
#include "core/decide/engine.h"
#include "os/log.h"
#include "source/log_files.h"

namespace bandd {

void LogHealth::say_all() { look(true); }

void LogHealth::say_changes() {
    if (version_ != files_.watch().version()) look(false);
}

std::map<std::string, std::string> LogHealth::find_problems() const {
    // A jail may name several places of which one exists here.
    std::vector<bool> needed(files_.watch().logs().size());
    for (JailIndex jail : engine_.jails()) {
        const auto& logs = files_.logs_of(jail);
        if (std::ranges::any_of(logs,
                                [&](std::size_t log) { return !files_.watch().waiting(log); }))
            continue;
        for (std::size_t log : logs) needed[log] = true;
    }
    std::map<std::string, std::string> problems;
    for (std::size_t log = 0; log < files_.watch().logs().size(); ++log) {
        const std::string& path = files_.watch().logs()[log].spec.path;
        if (const Error* error = files_.watch().error(log))
            problems[path] = to_line(*error);
        else if (files_.watch().waiting(log) && needed[log])
            problems[path] = "";
    }
    return problems;
}

std::string LogHealth::jails_of(const Lines& lines) const {
    std::string jails;
    for (JailIndex jail : lines.audience.jails)
        jails += (jails.empty() ? "" : ", ") + engine_.rules(jail).name;
    return jails;
}

std::optional<LogHealth::News> LogHealth::clock_news(const Lines& lines, Instant now) {
    constexpr Duration pause = std::chrono::hours(1);
    Duration offset = lines.clock->offset();
    auto said = clock_said_.find(lines.log);
    if (offset == Duration{0}) {
        if (said == clock_said_.end()) return {};
        return News{Severity::notice,
                    "log \"" + std::string(lines.log) + "\": its dates agree with the clock again"};
    }
    if (said != clock_said_.end() && now >= said->second && now - said->second < pause) return {};
    if (clock_said_.size() >= most_logs) clock_said_.clear();
    clock_said_.insert_or_assign(std::string(lines.log), now);
    std::string zone = lines.audience.timezone.empty() ? "this machine's zone"
                                                       : "\"" + lines.audience.timezone + "\"";
    return News{
        Severity::warning,
        to_line({"log \"" + std::string(lines.log) + "\"",
                 "its lines are dated " + behind_or_ahead(offset) +
                     " the clock (they are read in " + zone + "); bandd corrects that from here on",
                 "set \"timezone:\" of " + jails_of(lines) + " to the zone of whoever writes them",
                 {}})};
}

void LogHealth::count_old(const Lines& lines, std::uint64_t count, Instant now) {
    constexpr Duration hour = std::chrono::hours(1);
    constexpr Duration day = std::chrono::hours(24);
    auto known = old_hits_.find(lines.log);
    if (known == old_hits_.end()) {
        if (old_hits_.size() >= most_logs) old_hits_.clear();
        known = old_hits_.emplace(std::string(lines.log), OldHits{now, 0, {}}).first;
    }
    OldHits& old = known->second;
    if (now < old.since || now - old.since > hour) {
        old.since = now;
        old.count = 0;
    }
    old.count += count;
    bool said = old.said && now >= *old.said && now - *old.said < day;
    if (old.count < many_old || said) return;
    old.said = now;
    log_.put(
        Severity::warning,
        to_line({"log \"" + std::string(lines.log) + "\"",
                 std::to_string(old.count) +
                     " hits were older than findtime when they were written, and did not count",
                 "the clocks or zones of who writes it differ: set them right, or "
                 "\"timezone:\" of " +
                     jails_of(lines),
                 {}}));
}

void LogHealth::count_given_up(const Lines& lines, std::uint64_t count, Instant now) {
    constexpr Duration day = std::chrono::hours(24);
    auto known = given_up_said_.find(lines.source);
    if (known != given_up_said_.end() && now >= known->second && now - known->second < day) return;
    if (given_up_said_.size() >= most_logs) given_up_said_.clear();
    given_up_said_.insert_or_assign(std::string(lines.source), now);
    log_.put(Severity::warning,
             to_line({"log \"" + std::string(lines.source) + "\"",
                      count_of(count, "line") + " of it would take a pattern of " +
                          jails_of(lines) + " too long (PCRE2), so that pattern gave up",
                      "bandctl test shows such lines; they are counted as matcher_gave_up",
                      {}}));
}

void LogHealth::look(bool starting) {
    version_ = files_.watch().version();
    auto problems = find_problems();
    for (const auto& [path, problem] : problems) {
        auto known = problems_.find(path);
        if (known != problems_.end() && known->second == problem) continue;
        // Once bandd runs, a log is away for a moment whenever it is rotated: `status` tells.
        if (problem.empty())
            log_.write(starting ? Severity::warning : Severity::info,
                       "log \"{}\" does not exist; waiting for it", path);
        else
            log_.put(Severity::error, problem);
        if (starting || !problem.empty()) said_.insert(path);
    }
    for (const auto& [path, problem] : problems_)
        if (!problems.contains(path))
            log_.write(said_.erase(path) > 0 ? Severity::notice : Severity::info,
                       "log \"{}\" is read now", path);
    problems_ = std::move(problems);
}

}  // namespace bandd
