// SPDX-License-Identifier: GPL-2.0-or-later
// The jails that come with bandd, in jails/ of the data directories. None of them is used by
// itself. One that the configuration names lends it the keys that the configuration does not say.
//
//   postfix:             # /etc/bandd/jails/mine.yaml
//     maxretry: 3        # all else is as in share/bandd/jails/postfix.yaml
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"

namespace bandd {

// It says where its lines come from, and which filter looks at them: it stands alone, and no
// shipped jail, of whatever version, changes it.
bool stands_alone(const Value& jail);

class ShippedJails {
  public:
    // `data_directories`: the first that has a jail is taken.
    ShippedJails(const std::vector<std::string>& data_directories, const TextReader& read)
        : directories_(data_directories), read_(read) {}

    // `jail` with what it lacks. A key that it gives without a value is the shipped one's no more.
    // If it says itself where its lines come from, it takes neither that nor `enabled` from the
    // shipped one. Unchanged if it stands alone or there is none of that name. An error: of a file
    // that has it.
    Result<Value> completed(std::string_view name, const Value& jail);

    // All that there are, by name: for "did you mean", and for those who look for services.
    std::map<std::string, const Value*> all();

  private:
    Result<const Value*> find(std::string_view name);
    Result<const Value*> document(const std::string& file);

    const std::vector<std::string>& directories_;
    const TextReader& read_;
    std::map<std::string, Result<Value>> documents_;  // by file
};

}  // namespace bandd
