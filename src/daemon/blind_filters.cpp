// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/blind_filters.h"

#include "config/blindness.h"
#include "daemon/pipeline.h"
#include "os/log.h"

namespace bandd {
namespace {

void say(Log& log, const FilterHealth::Change& change, const JailConfig& jail,
         const FilterConfig& config, const Filter& filter) {
    if (!change.blindness)
        return log.write(Severity::notice, "filter \"{}\" sees again", config.name);
    bool is_warning =
        change.blindness->kind != Blindness::Kind::tag || jail.enabled == Enabled::yes;
    log.put(is_warning ? Severity::warning : Severity::info,
            tell(*change.blindness, config, filter));
}

}  // namespace

void say_blind_filters(Log& log, const Config& config, const Engine& engine, Pipeline& pipeline) {
    for (const FilterHealth::Change& change : pipeline.health().take_changes())
        for (std::size_t i = 0; i < config.jails.size(); ++i) {
            const Filter* filter = pipeline.filter_of(engine.jails()[i]);
            if (filter == nullptr || filter->identity != change.filter) continue;
            auto found = config.filters.find(config.jails[i].filter);
            if (found == config.filters.end()) continue;
            say(log, change, config.jails[i], found->second, *filter);
            break;
        }
}

}  // namespace bandd
