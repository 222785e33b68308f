// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/import_unusable.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/scratch_directory.h"
#include "config/compile.h"
#include "config/load.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

// A filter's fault takes its jails along, and these are found at the next look.
constexpr int most_looks = 5;

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

// Its first fault, of each file that has one. Said of the files in `named`.
std::map<std::string, Error> faults_by_file(const std::string& directory,
                                            const std::string& named) {
    Loaded loaded = load_config(directory, data_directories(), read_zone);
    std::vector<Error> errors = std::move(loaded.errors);
    if (errors.empty()) errors = compile(loaded.config).errors;
    std::map<std::string, Error> faults;
    for (Error& error : errors) {
        std::string file = fs::path(error.where.file).lexically_relative(directory).string();
        for (std::string* text : {&error.what, &error.reason, &error.hint})
            *text = replaced(std::move(*text), directory, named);
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

void put_unusable_aside(fail2ban::Imported& imported, const std::string& directory) {
    for (int look = 0; look < most_looks; ++look) {
        auto scratch = ScratchDirectory::make();
        // `bandctl check` will say it.
        if (!scratch || !write_all(imported.files, scratch->path())) return;
        bool any = false;
        for (const auto& [file, fault] : faults_by_file(scratch->path(), directory)) {
            bool ours = file.starts_with("jails/") || file.starts_with("filters/");
            if (!ours || !imported.files.contains(file)) continue;
            put_aside(imported, file, fault);
            any = true;
        }
        if (!any) return;
    }
}

}  // namespace bandd
