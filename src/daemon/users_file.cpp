// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/users_file.h"

#include <sys/epoll.h>

#include "config/access.h"
#include "core/decide/engine.h"
#include "os/log.h"
#include "os/loop.h"

namespace bandd {

Result<std::unique_ptr<UsersFile>> UsersFile::start(Loop& loop, const Config& config,
                                                    Engine& engine, Log& log) {
    auto files = ReplacedFiles::create();
    if (!files) return std::unexpected(files.error());
    std::unique_ptr<UsersFile> made(new UsersFile(std::move(*files), config, engine, log));
    auto added = loop.add(made->files_.fd(), EPOLLIN,
                          [users = made.get()](std::uint32_t) { users->on_notice(); });
    if (!added) return std::unexpected(added.error());
    return made;
}

// Watched before it is read, so that no change between the two is missed.
void UsersFile::configure(bool starting) {
    watch();
    read(starting);
}

void UsersFile::watch() {
    const std::string& path = config_.access.users_file;
    files_.set_files(path.empty() ? std::vector<std::string>{} : std::vector{path});
}

void UsersFile::read(bool starting) {
    AccessRules rules = config_.access.rules;
    std::vector<Error> bad_lines;
    auto users = read_users(config_.access, bad_lines);
    for (const Error& line : bad_lines) log_.put(Severity::warning, to_line(line));
    if (users) {
        rules.users = std::move(*users);
    } else {
        log_.put(Severity::warning, to_line(users.error()));
        if (!starting) rules.users = engine_.access().users;
    }
    engine_.set_access(std::move(rules));
}

void UsersFile::on_notice() {
    if (!files_.were_replaced()) return;
    watch();  // its directory may be another one now
    read(false);
    log_.write(Severity::notice, "users_file \"{}\" was read again: {} users",
               config_.access.users_file, engine_.access().users.size());
}

}  // namespace bandd
