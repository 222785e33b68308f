// SPDX-License-Identifier: GPL-2.0-or-later
// The source of syslog messages that jails listen for: one listener for each address, whichever
// jails it is for.
#pragma once

#include <map>
#include <memory>

#include "os/loop.h"
#include "source/source.h"
#include "source/syslog_listener.h"

namespace bandd {

class SyslogSource : public Source {
  public:
    SyslogSource(Loop& loop, OnError on_error) : loop_(loop), on_error_(std::move(on_error)) {}

    Result<> open(const Config& config, ListeningSockets& sockets, bool starting) override;
    void configure(const Config& config, std::span<const SourceJail> jails, SavedSources& saved,
                   Instant now) override;
    bool is_ready() const override;
    void read(LineTaker& taker, Instant now) override;
    std::optional<Instant> next_deadline() const override;
    void on_time(Instant now) override;

    // Senders whose dates are off, and that are watched for it; more are taken as they are. After a
    // restart it is learned anew.
    static constexpr std::size_t most_clocks = 1024;
    struct Clock {
        std::string sender;  // empty: those of this machine
        Duration offset{0};
    };
    std::vector<Clock> clocks(const SyslogListener& listener) const;

    // Those that a jail listens at.
    std::vector<const SyslogListener*> listeners(JailIndex jail) const;

  private:
    struct Believer {
        JailIndex jail = 0;
        PrefixSet from;
        LogSpec options;
    };
    struct Listening {
        std::unique_ptr<SyslogListener> listener;
        std::vector<Believer> jails;
        std::map<std::string, LogClock> clocks;  // by sender, those that are not idle
    };
    void hand_on(Listening& listening, const Address& sender, std::string_view lines,
                 LineTaker& taker, Instant now);

    Loop& loop_;
    OnError on_error_;
    std::map<std::string, Listening> listening_;  // by `to_string` of the address
};

}  // namespace bandd
