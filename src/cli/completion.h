// SPDX-License-Identifier: GPL-2.0-or-later
// What may come next on the command line, for the shells' completions (packaging/completions).
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace bandd {

// `words`: those of the command line, the last of which is to be completed, and may be empty.
// Prints one candidate a line, with what it is after a tab; ":files": names of files.
int complete(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace bandd
