// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/setup_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "config/document.h"
#include "core/base/printable.h"

namespace bandd {
namespace {

// Where a place of the text is. Columns count bytes in what ASCII there is before.
std::size_t offset_of(const std::string& text, const Place& place) {
    std::size_t at = 0;
    for (int line = 1; line < place.line; ++line) {
        at = text.find('\n', at);
        if (at == std::string::npos) return text.size();
        ++at;
    }
    return std::min(text.size(), at + static_cast<std::size_t>(std::max(place.column, 1) - 1));
}

std::string joined(const std::vector<Prefix>& addresses) {
    std::string text;
    for (const Prefix& address : addresses) {
        std::string one = address.is_single() ? to_string(address.network) : to_string(address);
        if (one.find(':') != std::string::npos) one = '"' + one + '"';
        text += (text.empty() ? "" : ", ") + one;
    }
    return text;
}

// With what every configuration should have.
std::string whole_list(const std::vector<Prefix>& addresses) {
    return "ignoreip: [127.0.0.0/8, \"::1\", " + joined(addresses) + "]";
}

// In a list in brackets, where its first item is known: it gets to be the second.
void insert_before_first(std::string& text, const Value& list, const std::string& more) {
    const Value& first = list.items.front();
    std::size_t at = offset_of(text, first.where);
    bool in_brackets = text[offset_of(text, list.where)] == '[';
    std::string indent(static_cast<std::size_t>(std::max(list.where.column, 1) - 1), ' ');
    if (in_brackets)
        text.insert(at, more + ", ");
    else  // at the dash
        text.insert(offset_of(text, list.where), "- " + more + "\n" + indent);
}

}  // namespace

std::optional<std::string> with_ignored(std::string yaml, const std::vector<Prefix>& addresses) {
    if (addresses.empty()) return yaml;
    auto document = parse_document(yaml, "bandd.yaml");
    if (!document) return {};
    const Value* defaults = document->find("defaults");
    if (defaults == nullptr) {
        if (!yaml.empty() && !yaml.ends_with('\n')) yaml += '\n';
        return yaml + "defaults:\n  " + whole_list(addresses) + "\n";
    }
    if (defaults->kind != Value::Kind::map || defaults->entries.empty()) return {};
    const Value* list = defaults->find("ignoreip");
    if (list == nullptr) {
        bool in_braces = yaml[offset_of(yaml, defaults->where)] == '{';
        const Place& first = defaults->entries.front().first.where;
        std::string indent(static_cast<std::size_t>(std::max(first.column, 1) - 1), ' ');
        yaml.insert(offset_of(yaml, first),
                    whole_list(addresses) + (in_braces ? ", " : "\n" + indent));
        return yaml;
    }
    if (list->kind != Value::Kind::list || list->items.empty()) return {};
    if (yaml[offset_of(yaml, list->where)] == '[')
        insert_before_first(yaml, *list, joined(addresses));
    else
        for (const Prefix& address : addresses) insert_before_first(yaml, *list, joined({address}));
    return yaml;
}

Result<Fd> lock_directory(const std::string& directory) {
    std::string what = "cannot write to \"" + directory + "\"";
    std::error_code fault;
    std::filesystem::create_directories(directory, fault);
    if (fault) return fail(what, fault.message());
    Fd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock) return fail_errno(what);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) {
        fmt::print(stderr, "another bandctl is at work in {}: waiting for it\n",
                   printable(directory));
        while (::flock(lock.get(), LOCK_EX) != 0)
            if (errno != EINTR) return fail_errno(what);
        return lock;
    }
    return fail_errno(what);
}

Result<> put_file(const std::string& path, const std::string& text) {
    std::string what = "cannot write \"" + path + "\"";
    std::error_code fault;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), fault);
    if (fault) return fail(what, fault.message());
    struct stat old{};
    bool is_there = ::stat(path.c_str(), &old) == 0;
    // A link stays one: what it names is written.
    std::string target = is_there ? std::filesystem::canonical(path, fault).string() : path;
    std::string fresh = target + ".new";
    ::unlink(fresh.c_str());
    Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return fail_errno(what);
    auto undo = [&] {
        auto error = fail_errno(what);
        ::unlink(fresh.c_str());
        return error;
    };
    for (std::size_t done = 0; done < text.size();) {
        ssize_t written = ::write(file.get(), text.data() + done, text.size() - done);
        if (written <= 0) return undo();
        done += static_cast<std::size_t>(written);
    }
    constexpr mode_t of_new_file = 0644;
    if (is_there && ::fchown(file.get(), old.st_uid, old.st_gid) != 0) return undo();
    if (::fchmod(file.get(), is_there ? old.st_mode & 07777 : of_new_file) != 0) return undo();
    if (::fsync(file.get()) != 0 || ::rename(fresh.c_str(), target.c_str()) != 0) return undo();
    return {};
}

}  // namespace bandd
