// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/import_unusable.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "config/compile.h"
#include "config/load.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

// A filter's fault takes its jails along, and these are found at the next look.
constexpr int most_looks = 5;

class OwnDirectory {
  public:
    OwnDirectory() {
        std::error_code fault;
        std::string path = (fs::temp_directory_path(fault) / "bandctl-import-XXXXXX").string();
        if (!fault && ::mkdtemp(path.data()) != nullptr) path_ = path;
    }
    ~OwnDirectory() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    OwnDirectory(const OwnDirectory&) = delete;
    OwnDirectory& operator=(const OwnDirectory&) = delete;
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

bool write_all(const fail2ban::Imported& imported, const fs::path& directory) {
    std::error_code ignored;
    fs::remove_all(directory, ignored);
    for (const auto& [name, text] : imported.files) {
        fs::create_directories((directory / name).parent_path(), ignored);
        std::ofstream out(directory / name, std::ios::binary);
        out << text;
        out.close();
        if (!out) return false;
    }
    return true;
}

// Its first fault, of each file that has one.
std::map<std::string, Error> faults_by_file(const fs::path& directory) {
    Loaded loaded = load_config(directory.string(), data_directories(), read_zone);
    std::vector<Error> errors = std::move(loaded.errors);
    if (errors.empty()) errors = compile(loaded.config).errors;
    std::map<std::string, Error> faults;
    for (Error& error : errors) {
        std::string file = fs::path(error.where.file).lexically_relative(directory).string();
        faults.emplace(file, std::move(error));
    }
    return faults;
}

std::string reason_of(const Error& fault) {
    return fault.what + ": " + fault.reason + (fault.hint.empty() ? "" : "; " + fault.hint);
}

void put_aside(fail2ban::Imported& imported, const std::string& file, const Error& fault) {
    auto found = imported.files.find(file);
    if (found == imported.files.end()) return;
    std::string off = file + ".off";
    bool is_jail = file.starts_with("jails/");
    if (is_jail && found->second.find("\n  enabled: true\n") != std::string::npos)
        --imported.enabled;
    std::string head = "# bandd does not take this: " + reason_of(fault);
    std::ranges::replace(head, '\n', ' ');
    imported.files[off] = head + "\n# Once it is mended, call the file " +
                          fs::path(file).filename().string() + "\n" + found->second;
    imported.files.erase(file);
    if (imported.secret.erase(file) > 0) imported.secret.insert(off);
    imported.notes.add(fail2ban::Fate::undecided, is_jail ? fs::path(file).stem().string() : "",
                       reason_of(fault) + " (line " + std::to_string(fault.where.line) + " of " +
                           file + "); so it is " + off + ", and not used");
}

}  // namespace

void put_unusable_aside(fail2ban::Imported& imported) {
    OwnDirectory own;
    if (own.path().empty()) return;  // `bandctl check` will say it
    fs::path directory = own.path() / "bandd";
    for (int look = 0; look < most_looks && write_all(imported, directory); ++look) {
        bool any = false;
        for (const auto& [file, fault] : faults_by_file(directory)) {
            bool ours = file.starts_with("jails/") || file.starts_with("filters/");
            if (!ours || !imported.files.contains(file)) continue;
            put_aside(imported, file, fault);
            any = true;
        }
        if (!any) return;
    }
}

}  // namespace bandd
