// SPDX-License-Identifier: GPL-2.0-or-later
// Percent-encoding (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bandd {

// "%41" is A; empty if it is broken.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace bandd
