// SPDX-License-Identifier: GPL-2.0-or-later
//   make_log [--day] LINES SHARE_OF_ATTACKS [SEED [ATTACKERS [LINES_PER_SECOND]]] > FILE
// A mail router's log up to now; see mail_router_log.h. With --day those of an ordinary day; see
// ordinary_day.h.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <string_view>

#include "bench/mail_router_log.h"
#include "bench/ordinary_day.h"

int main(int argc, char** argv) {
    auto* write = bandd::write_mail_router_log;
    if (argc > 1 && argv[1] == std::string_view("--day")) {
        write = bandd::write_ordinary_day;
        --argc;
        ++argv;
    }
    if (argc < 3) {
        std::fputs(
            "usage: make_log [--day] LINES SHARE_OF_ATTACKS [SEED [ATTACKERS "
            "[LINES_PER_SECOND]]]\n",
            stderr);
        return 2;
    }
    bandd::LogShape shape;
    auto lines = std::strtoull(argv[1], nullptr, 10);
    shape.attacks = std::atof(argv[2]);
    if (argc > 3) shape.seed = static_cast<std::uint32_t>(std::atol(argv[3]));
    if (argc > 4) shape.attackers = static_cast<std::uint32_t>(std::atol(argv[4]));
    if (argc > 5) shape.lines_per_second = std::atof(argv[5]);
    constexpr std::uint64_t most = 100'000;  // written at a time
    shape.begin = std::time(nullptr) -
                  static_cast<std::int64_t>(static_cast<double>(lines) / shape.lines_per_second);
    std::string text;
    for (std::uint64_t done = 0; done < lines; done += shape.lines) {
        shape.lines = std::min<std::uint64_t>(most, lines - done);
        text.clear();
        write(shape, text);
        std::fwrite(text.data(), 1, text.size(), stdout);
        shape.begin +=
            static_cast<std::int64_t>(static_cast<double>(shape.lines) / shape.lines_per_second);
        ++shape.seed;
    }
    return std::ferror(stdout) != 0 ? 1 : 0;
}
