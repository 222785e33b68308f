// SPDX-License-Identifier: GPL-2.0-or-later
// `bandctl config` as JSON: of the daemon's configuration, or of files that bandctl reads itself.
#pragma once

#include <optional>
#include <string>

#include "config/types.h"
#include "control/protocol.h"

namespace bandd {

// {"file", "settings": [{"key", "value", "file", "line"}, …], "jails": [{"jail", "use", "file",
// "line"}, …]}. A default has neither file nor line.
Json settings_to_json(const Config& config);
// {"jail", "use", "settings"} of one jail; nothing if the configuration does not name it.
std::optional<Json> settings_to_json(const Config& config, const std::string& jail);
// What `bandctl set` and others changed: the settings of a jail say so then.
// {"key", "value", "set_by", "configured", "file", "line"}
void put_over(Json& jail, const std::string& key, const std::string& value, const char* set_by);

Error no_jail_in_files(const Config& config, const std::string& jail);

}  // namespace bandd
