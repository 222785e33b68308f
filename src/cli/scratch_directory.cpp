// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/scratch_directory.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace bandd {

namespace fs = std::filesystem;

namespace {

constexpr const char* where_is_room = "TMPDIR=DIRECTORY names one that has room";

}  // namespace

Result<ScratchDirectory> ScratchDirectory::make() {
    std::error_code fault;
    fs::path parent = fs::temp_directory_path(fault);
    std::string what = "make a directory for temporary files";
    if (fault) return fail(what, fault.message(), where_is_room);
    std::string path = (parent / "bandctl-XXXXXX").string();
    if (::mkdtemp(path.data()) != nullptr) return ScratchDirectory(path);
    return fail(what + " in \"" + parent.string() + "\"", std::strerror(errno), where_is_room);
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
        if (!out)
            return fail("cannot write \"" + path.string() + "\"", std::strerror(errno),
                        where_is_room);
    }
    return {};
}

}  // namespace bandd
