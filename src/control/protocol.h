// SPDX-License-Identifier: GPL-2.0-or-later
// What bandctl and the daemon say to each other: one JSON object a line, over a Unix socket.
//   {"v": 1, "command": "ban", "arguments": {…}}
//   {"v": 1, "ok": true, "result": …}
//   {"v": 1, "ok": false, "exit": 1, "error": {"what": …, "reason": …, "hint": …}}
// `watch` answers with {"v": 1, "event": …} lines until the client leaves.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/decide/facts.h"

namespace bandd {

using Json = nlohmann::json;

inline constexpr int protocol_version = 1;
inline constexpr std::size_t largest_request = 64 << 10;

// Exit codes of bandctl.
enum ExitCode { exit_done = 0, exit_said_no = 1, exit_usage = 2, exit_no_daemon = 3 };

Json error_to_json(const Error& error);
Error error_from_json(const Json& json);
Json request(const std::string& command, Json arguments);
Json success(Json result);
Json to_json(const Origin& origin);
Json failure(const Error& error, int exit_code = exit_said_no);

// Of a request's arguments; empty if it is not there, or no text.
std::string text_argument(const Json& arguments, const char* name);

// Of an argument that is none.
Error bad_duration(const std::string& text);

// One line; bytes that are not UTF-8 (out of logs) become U+FFFD.
std::string to_line_of_json(const Json& json);

// What `success` says of a list, written row by row: a long one as a whole would take long.
class ListAnswer {
  public:
    explicit ListAnswer(std::string_view name);
    void add(const Json& row);
    std::size_t rows() const { return rows_; }
    // With what else the result has.
    std::string line(const Json& others) &&;

  private:
    std::string text_;
    std::size_t rows_ = 0;
};

// To a line that tells of success: what was ordered holds, but is not on disk.
void add_unsaved(std::string& line, const Error& why);

// To one request, later.
class Reply {
  public:
    Reply() = default;
    explicit Reply(std::function<void(std::string line)> send) : send_(std::move(send)) {}
    void operator()(const Json& answer) const { line(to_line_of_json(answer)); }
    void line(std::string line) const { send_(std::move(line)); }
    explicit operator bool() const { return static_cast<bool>(send_); }

  private:
    std::function<void(std::string line)> send_;
};

}  // namespace bandd
