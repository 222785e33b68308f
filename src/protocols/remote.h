// SPDX-License-Identifier: GPL-2.0-or-later
// Requests of other machines: to have an address banned, let go, or looked at. Two dialects, one
// line a request:
//
//   {"v": 1, "command": "auth", "arguments": {"token": "…"}}          by TLS, with a token
//   {"v": 1, "command": "add", "arguments": {"ip": "192.0.2.1", "for": "1h", "reason": "spam"}}
//   {"v": 1, "command": "del" | "check", "arguments": {"ip": "192.0.2.1"}}
//
//   Firewall server available                                         in plain text
//   add 192.0.2.1
//   OK ++ - add 192.0.2.1
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/types.h"
#include "core/base/address.h"
#include "core/base/result.h"

namespace bandd {

struct RemoteRequest {
    enum class Kind : std::uint8_t { authenticate, add, remove, check };
    Kind kind = Kind::check;
    std::string token;
    std::optional<Prefix> prefix;     // of all but authenticate
    std::optional<Duration> bantime;  // as wished
    std::string reason;
};
inline constexpr std::size_t longest_reason = 200;  // bytes; the rest is cut off
// Wider blocks are nothing that one machine may ask another to ban.
inline constexpr int widest_v4 = 24, widest_v6 = 48;

inline constexpr std::string_view text_greeting = "Firewall server available\n";

// Without the line's end. An error is told to the peer.
Result<RemoteRequest> parse_json_request(std::string_view line);
// Whether it begins as one of the text dialect: add, del, check.
bool is_text_command(std::string_view line);
Result<RemoteRequest> parse_text_request(std::string_view line);

struct RemoteReply {
    bool changed = false;  // add: it was not banned before; del: it was
    bool banned = false;   // now
    std::optional<Instant> until;
    std::string reason;  // of the ban
    std::optional<Error> error;
};
// One line, with its end.
std::string json_reply(const RemoteReply& reply);
std::string text_reply(std::string_view request, const RemoteReply& reply);

// So many requests a minute of each peer, a burst of as many included.
class RateLimit {
  public:
    explicit RateLimit(std::uint32_t a_minute) : a_minute_(a_minute) {}
    bool allows(const std::string& peer, Instant now);

  private:
    static constexpr std::size_t most_peers = 10'000;  // remembered; then all begin anew
    struct Bucket {
        double left = 0;
        Instant at;
    };
    std::uint32_t a_minute_;
    std::map<std::string, Bucket> buckets_;
};

}  // namespace bandd
