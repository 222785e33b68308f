// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a password is right: what bandd-http asks bandd-auth, and what that answers. The daemon
// makes the socket between the two and keeps no end of it, so no password ever comes to it.
//
//   nginx ── Auth-User, Auth-Pass ──> bandd-http ── question ──> bandd-auth ── LOGIN ──> IMAP
//                                        │   <── verdict ──┘
//                                        └── "bob, from 192.0.2.1, right" ──> daemon
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// Text that is gone from memory once it is not needed. Never in a log or a core.
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string_view text);
    // `text` is cleared, too.
    explicit Secret(std::string&& text);
    ~Secret() { wipe(text_); }
    Secret(Secret&& other) noexcept : text_(std::move(other.text_)) {}
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;

    std::string_view view() const { return text_; }
    bool empty() const { return text_.empty(); }
    static void wipe(std::string& text);

  private:
    std::string text_;
};

inline constexpr std::size_t longest_password = 4096;  // bytes; of a user's name, the same

struct PasswordQuestion {
    std::uint64_t id = 0;
    std::string user;
    std::string protocol;  // imap, pop3, smtp
    std::string client;    // its address
    Secret password;
};

enum class PasswordVerdict : std::uint8_t {
    unknown,  // the mail server could not be asked, or did not say
    right,
    wrong,
    late,  // the same as unknown, as bandd-auth did not answer at all
};
std::string_view to_string(PasswordVerdict verdict);
std::optional<PasswordVerdict> parse_verdict(std::string_view text);

struct PasswordAnswer {
    std::uint64_t id = 0;
    PasswordVerdict verdict = PasswordVerdict::unknown;
};

// As packets, and back. Nothing: it is none. What asks holds a password, so it is one, too.
Secret to_packet(const PasswordQuestion& question);
std::optional<PasswordQuestion> parse_question(std::string_view packet);
std::string to_packet(const PasswordAnswer& answer);
std::optional<PasswordAnswer> parse_answer(std::string_view packet);
// A question is no longer.
inline constexpr std::size_t largest_question = 4 * longest_password;

// The status of the daemon's reply to bandd-http that means: ask bandd-auth, and ask me again. Its
// one header says for how many seconds to wait.
inline constexpr int ask_for_password = 100;

}  // namespace bandd
