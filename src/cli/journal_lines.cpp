// SPDX-License-Identifier: GPL-2.0-or-later
// journalctl and not libsystemd: what is wanted are lines with a head, which it writes.
#include "cli/journal_lines.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace bandd {
namespace {

std::vector<std::string> arguments(const JournalSpec& journal, Instant since) {
    std::vector<std::string> words{"journalctl", "--quiet", "--no-pager", "--utc",
                                   "--output=short-iso-precise"};
    words.push_back("--lines=" + std::to_string(most_journal_entries));
    words.push_back("--since=@" + std::to_string(since.us / 1'000'000));
    if (!journal.directory.empty()) words.push_back("--directory=" + journal.directory);
    for (const std::vector<std::string>& terms : journal.alternatives) {
        if (&terms != &journal.alternatives.front()) words.emplace_back("+");
        words.insert(words.end(), terms.begin(), terms.end());
    }
    return words;
}

}  // namespace

bool write_journal(const JournalSpec& journal, Instant since, const std::string& file) {
    std::vector<std::string> words = arguments(journal, since);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, file.c_str(),
                                     O_WRONLY | O_CREAT | O_EXCL, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    int fault = posix_spawnp(&pid, argv.front(), &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (fault != 0) return false;
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace bandd
