// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/programs.h"

namespace bandd {

Result<> Programs::run(std::vector<std::string> argv, const ProgramConfig& program, OnEnd on_end) {
    SpawnRequest request{next_id_++, std::move(argv), program.user, program.timeout};
    if (auto started = spawner_.run(request); !started) return started;
    running_.emplace(request.id, std::move(on_end));
    return {};
}

void Programs::on_ready(Instant now) {
    while (auto result = spawner_.take_result()) {
        auto ended = running_.extract(result->id);
        if (ended) ended.mapped()(*result, now);
    }
}

}  // namespace bandd
