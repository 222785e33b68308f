// SPDX-License-Identifier: GPL-2.0-or-later
// What a command takes on the command line. CLI11 is behind it, as its header takes seconds to
// compile.
//   line.text("ip", ip, "address or CIDR block", Must::be_given);
//   line.flag("-a,--all", all, "jails that are not enabled, too");
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace bandd {

enum class Must { may_be_left_out, be_given };

// `names` are an option's ("-j,--jail") or, without dashes, a word's by its place. A value keeps
// what it has if it is not given; --help shows that, if it is not empty. The values must live until
// the command line was read.
class CommandLine {
  public:
    explicit CommandLine(CLI::App& app) : app_(app) {}

    void flag(const char* names, bool& value, const char* help);
    void number(const char* names, std::size_t& value, const char* help);
    void text(const char* names, std::string& value, const char* help,
              Must must = Must::may_be_left_out);
    // A text of words, which may be empty.
    void words(const char* names, std::string& value, const char* help);
    void texts(const char* names, std::vector<std::string>& values, const char* help,
               Must must = Must::may_be_left_out);
    // An option that may be given several times, with one value each.
    void each(const char* names, std::vector<std::string>& values, const char* help);
    // One of `words`.
    void choice(const char* names, std::string& value, const std::vector<std::string>& words,
                const char* help, Must must = Must::may_be_left_out);

  private:
    CLI::App& app_;
};

}  // namespace bandd
