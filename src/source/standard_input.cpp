// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/standard_input.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace bandd {

StandardInput::~StandardInput() {
    if (watched_ && !is_file_) loop_.remove(STDIN_FILENO);
}

void StandardInput::configure(const Config& config, std::span<const SourceJail> jails,
                              SavedSources&, Instant) {
    line_limit_ = config.line_limit;
    audience_ = {};
    for (const SourceJail& jail : jails) {
        if (!jail.config->reads_stdin) continue;
        if (audience_.jails.empty() || jail.number < audience_.jails.front()) {
            audience_.timezone = jail.config->log_options.timezone;
            audience_.escapes = jail.config->log_options.escapes;
        }
        audience_.jails.push_back(jail.number);
    }
    std::ranges::sort(audience_.jails);
    if (!on_end_ || std::exchange(watched_, true)) return;
    auto added = loop_.add(STDIN_FILENO, EPOLLIN, [this](std::uint32_t) { ready_ = true; });
    ready_ = is_file_ = !added;
}

void StandardInput::read(LineTaker& taker, Instant now) {
    if (!std::exchange(ready_, is_file_)) return;
    std::array<char, 65536> buffer;
    ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got > 0) rest_.append(buffer.data(), static_cast<std::size_t>(got));
    auto end_of_line = rest_.rfind('\n');
    std::size_t whole = end_of_line == std::string::npos ? 0 : end_of_line + 1;
    // The last line may lack its end, and an endless one is handed on in pieces.
    if (got <= 0 || (whole == 0 && rest_.size() > line_limit_)) whole = rest_.size();
    if (whole > 0 && !audience_.jails.empty())
        taker.take({"stdin", audience_, Chunk{0, std::string_view(rest_).substr(0, whole), {}}},
                   now);
    rest_.erase(0, whole);
    if (got <= 0) end();
}

void StandardInput::end() {
    ready_ = is_file_ = false;
    loop_.remove(STDIN_FILENO);
    on_end_();
}

}  // namespace bandd
