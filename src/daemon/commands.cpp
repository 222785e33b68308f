// SPDX-License-Identifier: GPL-2.0-or-later
// Finds a command, and has the commands that are about bandd itself.
#include "daemon/commands.h"

#include <algorithm>
#include <array>

#include "config/types.h"
#include "core/base/suggest.h"
#include "core/decide/engine.h"
#include "daemon/checkpointer.h"
#include "daemon/status.h"

namespace bandd {
namespace {

Json status(CommandParts& parts, const Json& arguments, const CommandReply&) {
    std::string jail = text_argument(arguments, "jail");
    if (!jail.empty() && !parts.engine.find_jail(jail))
        return failure(no_such_jail(jail, parts.engine));
    return success(status_to_json(parts.status(), jail));
}

Json version(CommandParts&, const Json&, const CommandReply&) {
    return success({{"version", BANDD_VERSION}, {"protocol", protocol_version}});
}

// The server remembers who watches; see Announcer for what they hear.
Json watch(CommandParts&, const Json&, const CommandReply&) { return success("watching"); }

Json reload(CommandParts& parts, const Json&, const CommandReply&) {
    if (auto done = parts.reload(); !done) return failure(done.error(), exit_usage);
    return success({{"jails", parts.config.jails.size()}});
}

const std::array daemon_commands{
    CommandRow{"status", status},
    CommandRow{"version", version},
    CommandRow{"watch", watch},
    CommandRow{"reload", reload},
};

}  // namespace

Commands::Commands(CommandParts parts)
    : parts_(std::move(parts)),
      tables_{daemon_commands, ban_commands(), history_commands(), account_commands()} {}

std::optional<Json> Commands::run(const std::string& name, const Json& arguments,
                                  const CommandReply& reply) {
    for (std::span<const CommandRow> table : tables_) {
        auto row = std::ranges::find(table, name, &CommandRow::name);
        if (row == table.end()) continue;
        if (row->writes) parts_.checkpointer.write_soon();
        return row->run(parts_, arguments, reply);
    }
    return failure(
        {"command \"" + name + "\"", "there is no such command", "see bandctl --help", {}},
        exit_usage);
}

std::size_t limit_argument(const Json& arguments, std::size_t otherwise) {
    auto given = arguments.find("limit");
    if (given == arguments.end() || !given->is_number_unsigned()) return otherwise;
    return given->get<std::size_t>();
}

Error no_such_jail(const std::string& name, const Engine& engine) {
    std::vector<std::string_view> names;
    for (JailIndex jail : engine.jails()) names.push_back(engine.rules(jail).name);
    return {"jail \"" + name + "\"", "there is no such jail", did_you_mean(name, names), {}};
}

Error bad_address(const std::string& text) {
    return {"\"" + text + "\"",
            "is no address and no CIDR block",
            "write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64",
            {}};
}

}  // namespace bandd
