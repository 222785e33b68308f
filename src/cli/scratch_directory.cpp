// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/scratch_directory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "os/fd.h"

namespace bandd {

namespace fs = std::filesystem;

ScratchDirectory::ScratchDirectory() {
    std::error_code fault;
    std::string path = (fs::temp_directory_path(fault) / "bandctl-XXXXXX").string();
    if (!fault && ::mkdtemp(path.data()) != nullptr) path_ = path;
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
}

Result<> write_all(const std::map<std::string, std::string>& files, const std::string& directory) {
    for (const auto& [name, text] : files) {
        fs::path path = fs::path(directory) / name;
        std::error_code fault;
        fs::create_directories(path.parent_path(), fault);
        std::ofstream out(path, std::ios::binary);
        out << text;
        out.close();
        if (!out) return fail_errno("cannot write \"" + path.string() + "\"");
    }
    return {};
}

}  // namespace bandd
