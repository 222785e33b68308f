// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/log_health.h"

#include <algorithm>
#include <vector>

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
