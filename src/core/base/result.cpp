// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/result.h"

namespace bandd {

std::string to_line(const Error& error) {
    std::string line;
    if (!error.where.file.empty()) {
        line += error.where.file + ":";
        if (error.where.line > 0) {
            line += std::to_string(error.where.line) + ":";
            if (error.where.column > 0) line += std::to_string(error.where.column) + ":";
        }
        line += " ";
    }
    line += error.what;
    if (!error.reason.empty()) line += ": " + error.reason;
    if (!error.hint.empty()) line += "; " + error.hint;
    return line;
}

}  // namespace bandd
