// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/journal_source.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace bandd {

void JournalSource::configure(const Config& config, std::span<const SourceJail> jails,
                              SavedSources& saved, Instant now) {
    std::vector<JournalSpec> wants;
    jails_of_want_.clear();
    options_.clear();
    audiences_.clear();
    Duration longest{0};
    for (const SourceJail& jail : jails) {
        const auto& journal = jail.config->journal;
        if (!journal) continue;
        options_[jail.number] = jail.config->log_options;
        longest = std::max(longest, jail.config->rules.findtime);
        auto known = std::ranges::find(wants, *journal);
        auto index = static_cast<std::size_t>(known - wants.begin());
        if (known == wants.end()) {
            wants.push_back(*journal);
            jails_of_want_.emplace_back();
        }
        jails_of_want_[index].push_back(jail.number);
    }
    // The same wants go on where they are; the journal is only opened anew for others.
    if (wants == wants_ && (journal_ || wants.empty())) return;
    if (!journal_ && !saved.journal_cursor.empty()) cursor_ = saved.journal_cursor;
    close();
    wants_ = std::move(wants);
    if (!wants_.empty()) open_journal(config.line_limit, cursor_, now - longest);
}

void JournalSource::close() {
    if (!journal_) return;
    cursor_ = journal_->cursor();
    loop_.remove(journal_->fd());
    journal_.reset();
    backlog_.reset();
    more_ = false;
}

void JournalSource::open_journal(std::size_t line_limit, const std::string& cursor, Instant since) {
    error_.reset();
    auto opened = Journal::open(wants_, line_limit);
    Result<bool> resumed = opened ? opened->seek(cursor, since) : false;
    if (!opened || !resumed) {
        error_ = opened ? resumed.error() : opened.error();
        on_error_(*error_);
        return;
    }
    journal_ = std::move(*opened);
    if (*resumed) backlog_.emplace();
    more_ = true;
    if (auto added = loop_.add(journal_->fd(), EPOLLIN, [this](std::uint32_t) { more_ = true; });
        !added)
        on_error_(added.error());
}

const Audience& JournalSource::audience_of(const std::vector<std::size_t>& wants) {
    auto [known, is_new] = audiences_.try_emplace(wants);
    Audience& audience = known->second;
    if (!is_new) return audience;
    for (std::size_t want : wants)
        audience.jails.insert(audience.jails.end(), jails_of_want_[want].begin(),
                              jails_of_want_[want].end());
    std::ranges::sort(audience.jails);
    const LogSpec& options = options_[audience.jails.front()];
    audience.timezone = options.timezone;
    audience.escapes = options.escapes;
    return audience;
}

void JournalSource::read(LineTaker& taker, Instant now) {
    if (!std::exchange(more_, false) || !journal_) return;
    auto more = journal_->read([&](const std::vector<std::size_t>& wants, std::string_view line) {
        taker.take(
            {"journal", audience_of(wants), Chunk{0, line, {}}, backlog_ ? &*backlog_ : nullptr},
            now);
    });
    if (!more) {
        if (!error_ || to_line(*error_) != to_line(more.error())) on_error_(more.error());
        error_ = more.error();
        return;
    }
    error_.reset();
    more_ = *more;
    if (!more_) backlog_.reset();
}

std::optional<Instant> JournalSource::reached() const {
    if (!backlog_) return {};
    return backlog_->reached;
}

void JournalSource::take_changes(SourceChanges& changes, Instant) {
    changes.journal_cursor = cursor();
}

std::optional<JournalSource::Status> JournalSource::status(JailIndex jail) const {
    if (!options_.contains(jail)) return {};
    return Status{journal_ ? journal_->entries() : 0, error_};
}

}  // namespace bandd
