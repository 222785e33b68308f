// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's own sample lines, as its tests/files/logs has them: one file a filter. A sample's line
// follows a comment "# failJSON: {…}", other lines must not match; "# filterOptions:",
// "# fileOptions:" and "# addFILE:" say under which options and with which further files.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/instant.h"
#include "core/base/zone.h"

namespace bandd::conformance {

using Json = nlohmann::json;

// "Now" of fail2ban's tests, and their time zone.
inline constexpr Instant tests_now = Instant::from_seconds(1124013600);
Zone tests_zone();

struct Annotated {
    std::string file;
    int number = 0;
    std::string line;
    Json expected;              // of failJSON; empty: must not match
    std::vector<Json> options;  // of the filter, under each of which that is so; never empty
};

struct AnnotatedLines {
    std::vector<Annotated> all;       // whose conditions hold
    std::vector<std::string> faults;  // in the file
};

// Those of the filter `name`, in `directory`.
AnnotatedLines read_samples(const std::string& directory, const std::string& name);

// Whether a sample is meant for these options: its "constraint". Nothing: it is not understood.
std::optional<bool> is_meant(const Annotated& sample, const std::string& name, const Json& options);

std::string text_of(const Json& value);

// The seconds since 1970 that a sample's local time means; fractions are not compared.
std::optional<std::int64_t> seconds_of(const std::string& text, const Zone& zone);

}  // namespace bandd::conformance
