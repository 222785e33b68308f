// SPDX-License-Identifier: GPL-2.0-or-later
// filters/NAME.yaml: patterns, and the samples that they are tested with.
#pragma once

#include <string>
#include <vector>

#include "config/table.h"
#include "config/types.h"

namespace bandd {

// A filter's samples cost more to read than all the rest of it: they are skipped where nobody looks
// at them.
enum class Samples { skip, read };

struct LoadedFilter {
    FilterConfig filter;
    std::vector<Error> errors;
};
LoadedFilter load_filter(const std::string& path, Samples samples = Samples::read);
// The same of a document that is at hand; `path` names it.
LoadedFilter load_filter(const std::string& path, Result<Value> document);

// `lists:` of a filter or a jail: a map of words, or of lists of words.
WordLists read_word_lists(const Field& field);

// `json:` of a filter or a jail.
JsonConfig read_json(const Field& field);

const Table<FilterConfig>& filter_keys();
const Table<PatternConfig>& pattern_keys();
const Table<JsonConfig>& json_keys();
const Table<Sample>& sample_keys();

}  // namespace bandd
