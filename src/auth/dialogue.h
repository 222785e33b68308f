// SPDX-License-Identifier: GPL-2.0-or-later
// How a mail server is asked whether a password is right, line by line: by IMAP's LOGIN, or by
// Dovecot's socket for SASL. Only the lines are here; sockets, time and TLS are the Wire's.
// Whoever calls it may wait.
#pragma once

#include <string>
#include <string_view>

#include "auth/question.h"
#include "config/types.h"
#include "core/base/result.h"

namespace bandd {

// Lines with a server. Each call fails once the time for all of them together is over.
class Wire {
  public:
    virtual ~Wire() = default;
    virtual Result<> say(std::string_view bytes) = 0;
    // The next line without its end, LF or CR LF.
    virtual Result<std::string> hear() = 0;
    // From here on it is TLS. Fails if the server's certificate is not the right one, and if it
    // said anything more before: that could be somebody else's.
    virtual Result<> start_tls() = 0;
};

// What the server said; of `unknown`, why nobody knows.
struct Checked {
    PasswordVerdict verdict = PasswordVerdict::unknown;
    Error error;
};

inline constexpr int most_lines = 200;  // of one answer: a greeting may list many mechanisms

inline Checked unknown(Error error) { return {PasswordVerdict::unknown, std::move(error)}; }

// Neither protocol can say a NUL, and to some servers no password is a way in without one.
inline bool can_be_right(const PasswordQuestion& question) {
    auto is_word = [](std::string_view text) {
        return !text.empty() && text.find('\0') == std::string_view::npos;
    };
    return is_word(question.user) && is_word(question.password.view());
}

// IMAP (RFC 9051): the server's greeting, STARTTLS if it is wanted, LOGIN. Right is a tagged OK
// alone. A tagged NO is wrong, unless its code says that it is no matter of the password
// (RFC 5530: UNAVAILABLE, …). A server that asks for no password (PREAUTH) is none to ask.
// `tag`: of LOGIN; letters and digits that nobody can guess, so that what others had the server say
// or put in between is no answer to it.
Checked check_by_imap(Wire& wire, const PasswordServer& server, const PasswordQuestion& question,
                      std::string_view tag);

// Dovecot's authentication protocol 1 (doc/wiki/Design.AuthProtocol in its sources), as a client
// asks: mechanism PLAIN. `connection` is a number that no other connection to it uses.
Checked check_by_dovecot(Wire& wire, const PasswordQuestion& question, std::uint32_t connection);

}  // namespace bandd
