// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/match/lazy_re2.h"

#include <re2/set.h>

namespace bandd {

// A set compiles nothing before it is told to, but parses what is added at once.
bool LazyRe2::parses() const {
    RE2::Set set(options_, RE2::UNANCHORED);
    return set.Add(regex_, nullptr) >= 0;
}

}  // namespace bandd
