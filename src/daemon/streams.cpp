// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/streams.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "os/clock.h"

namespace bandd {

Result<> Streams::listen(const Config& config, bool starting) {
    std::set<ListenAddress> wanted;
    for (const JailConfig& jail : config.jails)
        if (jail.syslog) wanted.insert(jail.syslog->listen.begin(), jail.syslog->listen.end());
    for (auto it = listening_.begin(); it != listening_.end();) {
        if (wanted.contains(it->first)) {
            if (auto loaded = it->second->listener.reload(); !loaded) on_error_(loaded.error());
            ++it;
            continue;
        }
        if (loop_ != nullptr) {
            loop_->remove(it->second->listener.fd());
            for (int client : it->second->listener.client_fds()) loop_->remove(client);
        }
        it = listening_.erase(it);
    }
    for (const ListenAddress& address : wanted) {
        if (listening_.contains(address)) continue;
        auto opened = SyslogListener::open(address, config.line_limit);
        if (!opened) {
            Error error = opened.error();
            if (!starting)
                error.hint = "restart bandd: network sockets are opened at its start only";
            if (starting) return std::unexpected(error);
            on_error_(error);
            continue;
        }
        listening_.emplace(address,
                           std::make_unique<Listening>(Listening{std::move(*opened), {}, {}}));
    }
    return {};
}

void Streams::configure(const Config& config, Loop& loop, Pipeline& pipeline,
                        const std::string& cursor, Instant now) {
    loop_ = &loop;
    pipeline_ = &pipeline;
    for (auto& [address, listening] : listening_) {
        listening->jails.clear();
        std::vector<Prefix> all;
        for (std::size_t i = 0; i < config.jails.size(); ++i) {
            const auto& syslog = config.jails[i].syslog;
            if (!syslog || std::ranges::find(syslog->listen, address) == syslog->listen.end())
                continue;
            listening->jails.push_back({static_cast<JailIndex>(i), PrefixSet(syslog->from)});
            all.insert(all.end(), syslog->from.begin(), syslog->from.end());
        }
        listening->believed = PrefixSet(all);
        int fd = listening->listener.fd();
        loop.remove(fd);
        Listening* one = listening.get();
        if (auto added =
                loop.add(fd, EPOLLIN, [this, one, fd](std::uint32_t) { read_listener(*one, fd); });
            !added)
            on_error_(added.error());
    }

    line_limit_ = config.line_limit;
    stdin_jails_.clear();
    for (std::size_t i = 0; i < config.jails.size(); ++i)
        if (config.jails[i].reads_stdin) stdin_jails_.push_back(static_cast<JailIndex>(i));
    if (on_stdin_end_ && !stdin_watched_) {
        stdin_watched_ = true;
        auto added =
            loop.add(STDIN_FILENO, EPOLLIN, [this](std::uint32_t) { stdin_ready_ = true; });
        stdin_ready_ = stdin_is_file_ = !added;
    }

    // The same wants go on where they are; the journal is only opened anew for others.
    std::vector<JournalSpec> wants;
    std::vector<std::vector<JailIndex>> jails;
    Duration longest{0};
    for (std::size_t i = 0; i < config.jails.size(); ++i) {
        const auto& journal = config.jails[i].journal;
        if (!journal) continue;
        longest = std::max(longest, config.jails[i].rules.findtime);
        auto known = std::ranges::find(wants, *journal);
        if (known == wants.end()) {
            wants.push_back(*journal);
            jails.push_back({static_cast<JailIndex>(i)});
        } else {
            jails[static_cast<std::size_t>(known - wants.begin())].push_back(
                static_cast<JailIndex>(i));
        }
    }
    jails_of_want_ = std::move(jails);
    if (wants == wants_ && (journal_ || wants.empty())) return;
    std::string from = journal_ ? journal_->cursor() : cursor.empty() ? cursor_ : cursor;
    if (journal_) loop.remove(journal_->fd());
    journal_.reset();
    journal_error_.reset();
    wants_ = std::move(wants);
    cursor_ = from;
    if (wants_.empty()) return;
    auto opened = Journal::open(wants_, config.line_limit);
    Result<bool> resumed = false;
    if (opened) {
        journal_ = std::move(*opened);
        resumed = journal_->seek(from, now - longest);
    }
    if (!opened || !resumed) {
        journal_.reset();
        journal_error_ = opened ? resumed.error() : opened.error();
        on_error_(*journal_error_);
        return;
    }
    backlog_ = *resumed;
    more_ = true;
    if (auto added = loop.add(journal_->fd(), EPOLLIN, [this](std::uint32_t) { more_ = true; });
        !added)
        on_error_(added.error());
}

void Streams::on_turn(Instant now) {
    if (std::exchange(more_, false)) read_journal(now);
    if (std::exchange(stdin_ready_, stdin_is_file_)) read_stdin_now(now);
}

void Streams::read_journal(Instant now) {
    if (!journal_) return;
    std::vector<JailIndex> jails;
    Arrival mode = backlog_ ? Arrival::log_time : Arrival::live;
    auto more = journal_->read([&](const std::vector<std::size_t>& wants, std::string_view line) {
        jails.clear();
        for (std::size_t want : wants)
            jails.insert(jails.end(), jails_of_want_[want].begin(), jails_of_want_[want].end());
        std::ranges::sort(jails);
        pipeline_->take_lines("journal", jails, {0, line, {}}, mode, now);
    });
    if (!more) {
        if (!journal_error_ || to_line(*journal_error_) != to_line(more.error()))
            on_error_(more.error());
        journal_error_ = more.error();
        return;
    }
    journal_error_.reset();
    more_ = *more;
    if (!more_ && std::exchange(backlog_, false)) pipeline_->end_backlog();
}

void Streams::read_stdin_now(Instant now) {
    std::array<char, 65536> buffer;
    ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got > 0) stdin_rest_.append(buffer.data(), static_cast<std::size_t>(got));
    auto end = stdin_rest_.rfind('\n');
    std::size_t whole = end == std::string::npos ? 0 : end + 1;
    // The last line may lack its end, and an endless one is handed on in pieces.
    if (got <= 0 || (whole == 0 && stdin_rest_.size() > line_limit_)) whole = stdin_rest_.size();
    if (whole > 0 && !stdin_jails_.empty())
        pipeline_->take_lines("stdin", stdin_jails_, {0, std::string_view(stdin_rest_).substr(0, whole), {}},
                              Arrival::live, now);
    stdin_rest_.erase(0, whole);
    if (got > 0) return;
    stdin_ready_ = stdin_is_file_ = false;
    loop_->remove(STDIN_FILENO);
    on_stdin_end_();
}

void Streams::read_listener(Listening& listening, int fd) {
    listening.listener.read(
        fd, listening.believed,
        [&](int client, bool joined) {
            if (!joined) {
                loop_->remove(client);
                return;
            }
            Listening* one = &listening;
            if (auto added =
                    loop_->add(client, EPOLLIN,
                               [this, one, client](std::uint32_t) { read_listener(*one, client); });
                !added)
                on_error_(added.error());
        },
        [&](const Address& sender, std::string_view lines) {
            bool local = listening.listener.address().kind == ListenAddress::Kind::unix_datagram;
            std::vector<JailIndex> jails;
            for (const Believer& believer : listening.jails)
                if (local || believer.from.contains(sender)) jails.push_back(believer.jail);
            auto from = local ? std::nullopt : std::optional(sender);
            if (!jails.empty())
                pipeline_->take_lines(to_string(listening.listener.address()), jails, {0, lines, from},
                                      Arrival::live, now());
        });
}

std::optional<Streams::JournalStatus> Streams::journal(JailIndex jail) const {
    for (const auto& jails : jails_of_want_)
        if (std::ranges::find(jails, jail) != jails.end())
            return JournalStatus{journal_ ? journal_->entries() : 0, journal_error_};
    return {};
}

std::vector<const SyslogListener*> Streams::listeners(JailIndex jail) const {
    std::vector<const SyslogListener*> found;
    for (const auto& [address, listening] : listening_)
        for (const Believer& believer : listening->jails)
            if (believer.jail == jail) found.push_back(&listening->listener);
    return found;
}

}  // namespace bandd
