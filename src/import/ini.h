// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's configuration files: Python's configparser with includes, overrides and interpolation,
// as fail2ban sets it up.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bandd::fail2ban {

using Options = std::map<std::string, std::string, std::less<>>;

// One file as it is written: options in lower case, values of several lines joined by '\n'.
struct IniFile {
    Options defaults;  // [DEFAULT]
    std::map<std::string, Options, std::less<>> sections;
};
// Lines that mean nothing are faults, told by line; what is around them is read.
IniFile parse_ini(std::string_view text, const std::string& path, std::vector<Error>& faults);

// Several files, later ones over earlier ones.
class Ini {
  public:
    // NAME.conf, NAME.d/*.conf, NAME.local, NAME.d/*.local below `base`, each with what it
    // includes. False if there is none of them.
    bool read(const std::string& base, const std::string& name, std::vector<Error>& faults);

    // An option with %(…)s filled in: from `vars`, its section, [DEFAULT], or where %(section/x)s
    // points. Empty if there is no such option; an error if something in it cannot be filled in.
    Result<std::optional<std::string>> get(std::string_view section, std::string_view option,
                                           const Options& vars = {}) const;
    // The same, and "section/option" and "known/option" are understood.
    Result<std::optional<std::string>> get_anywhere(std::string_view section,
                                                    std::string_view option,
                                                    const Options& vars = {}) const;

    bool has_section(std::string_view section) const { return sections_.contains(section); }
    // In alphabetical order, without those that only hold earlier values.
    std::vector<std::string> sections() const;
    std::vector<std::string> options(std::string_view section, bool with_defaults) const;
    void set_default(std::string_view option, std::string_view value) {
        defaults_.insert_or_assign(std::string(option), std::string(value));
    }
    void set(std::string_view section, std::string_view option, std::string_view value) {
        sections_[std::string(section)].insert_or_assign(std::string(option), std::string(value));
    }
    const std::vector<std::string>& files() const { return files_; }

  private:
    void add_with_includes(const std::string& path, std::vector<std::string> seen,
                           std::vector<std::string>& order, std::vector<Error>& faults);
    void merge(IniFile file);
    const std::string* find(std::string_view section, std::string_view option,
                            const Options& vars) const;
    // "section/option" or "known/option".
    const std::string* find_in_named_section(std::string_view section, std::string_view name) const;
    // How much of a value's filling in is done.
    struct Filled {
        int depth = 1;
        std::size_t names = 0;
    };
    Result<std::string> fill_in(std::string_view section, std::string_view option,
                                std::string_view text, const Options& vars, Filled& filled) const;

    Options defaults_;
    std::map<std::string, Options, std::less<>> sections_;
    std::map<std::string, IniFile> read_;
    std::vector<std::string> files_;
    std::size_t includes_ = 0;  // while reading
};

}  // namespace bandd::fail2ban
