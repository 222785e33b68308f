// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/journal.h"

#include <fmt/format.h>

#include <cstring>

#include "core/base/zone.h"

#ifdef BANDD_JOURNAL
#include <systemd/sd-journal.h>
#endif

namespace bandd {

#ifdef BANDD_JOURNAL

namespace {

std::unexpected<Error> fail_journal(const char* call, int code, std::string hint = {}) {
    return fail(std::string("journal: ") + call, std::strerror(-code), std::move(hint));
}

// The value of a field of the current entry, empty if it has none.
std::string_view field(sd_journal* journal, const std::string& name) {
    const void* data = nullptr;
    std::size_t size = 0;
    if (sd_journal_get_data(journal, name.c_str(), &data, &size) < 0) return {};
    std::string_view text(static_cast<const char*>(data), size);
    return text.substr(std::min(text.size(), name.size() + 1));
}

// Terms of one alternative: those of the same field are alternatives of each other.
bool fits(sd_journal* journal, const std::vector<std::string>& terms) {
    for (const std::string& term : terms) {
        std::string name = term.substr(0, term.find('='));
        std::string_view value = field(journal, name);
        bool any = false;
        for (const std::string& other : terms)
            if (other.starts_with(name + "=") &&
                value == std::string_view(other).substr(name.size() + 1))
                any = true;
        if (!any) return false;
    }
    return true;
}

void append_escaped(std::string& line, std::string_view text, std::size_t limit) {
    for (char c : text.substr(0, limit)) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            fmt::format_to(std::back_inserter(line), "#{:03o}", byte);
        else
            line += c;
    }
}

}  // namespace

struct Journal::Inside {
    sd_journal* journal = nullptr;
    std::vector<JournalSpec> wants;
    std::size_t line_limit = 65536;
    std::string cursor;
    Instant since;  // where reading began, while there is no cursor
    std::uint64_t entries = 0;
    std::string line;

    // Finds the place anew, so that `next` gives what comes after it.
    int reposition() const {
        if (cursor.empty())
            return sd_journal_seek_realtime_usec(
                journal, static_cast<std::uint64_t>(std::max<std::int64_t>(since.us, 0)));
        int code = sd_journal_seek_cursor(journal, cursor.c_str());
        if (code < 0) return code;
        // Vacuumed away: what is found is the entry after it, which was not read yet.
        if (sd_journal_next(journal) <= 0 || sd_journal_test_cursor(journal, cursor.c_str()) <= 0)
            return sd_journal_seek_cursor(journal, cursor.c_str());
        return 0;
    }
    std::vector<std::size_t> wanting;
    ~Inside() {
        if (journal != nullptr) sd_journal_close(journal);
    }
};

Result<Journal> Journal::open(const std::vector<JournalSpec>& wants, std::size_t line_limit) {
    auto inside = std::make_unique<Inside>();
    inside->wants = wants;
    inside->line_limit = line_limit;
    const std::string& directory = wants.front().directory;
    int code = directory.empty()
                   ? sd_journal_open(&inside->journal, SD_JOURNAL_LOCAL_ONLY)
                   : sd_journal_open_directory(&inside->journal, directory.c_str(), 0);
    if (code < 0)
        return fail_journal(directory.empty() ? "open" : directory.c_str(), code,
                            "is systemd-journald running here? else name a file with \"logpath\"");
    sd_journal_set_data_threshold(inside->journal, line_limit);
    bool everything = false;
    for (const JournalSpec& want : wants) everything = everything || want.alternatives.empty();
    if (!everything)
        for (const JournalSpec& want : wants)
            for (const auto& terms : want.alternatives) {
                for (const std::string& term : terms)
                    if (code = sd_journal_add_match(inside->journal, term.data(), term.size());
                        code < 0)
                        return fail_journal(("match " + term).c_str(), code,
                                            "a match is FIELD=value");
                sd_journal_add_disjunction(inside->journal);
            }
    if (code = sd_journal_get_fd(inside->journal); code < 0)
        return fail_journal("sd_journal_get_fd", code);
    return Journal(std::move(inside));
}

int Journal::fd() const { return sd_journal_get_fd(inside_->journal); }

Result<bool> Journal::seek(const std::string& cursor, Instant since) {
    inside_->since = since;
    inside_->cursor = cursor;
    if (!cursor.empty() && inside_->reposition() >= 0) return true;
    inside_->cursor.clear();
    if (int code = inside_->reposition(); code < 0) return fail_journal("seek", code);
    return false;
}

Result<bool> Journal::read(const OnLine& on_line) {
    sd_journal* journal = inside_->journal;
    // Takes note of new and vanished files, and makes the descriptor unreadable again.
    if (int code = sd_journal_process(journal); code < 0) return fail_journal("process", code);
    for (int i = 0; i < most_entries; ++i) {
        int code = sd_journal_next(journal);
        // libsystemd does not look again while the number of entries is what it was at the last
        // end; but journald counts an entry before its fields can be found. Read just then, it
        // would be missed until the next one.
        if (code == 0 && i == 0 && inside_->reposition() >= 0) code = sd_journal_next(journal);
        if (code == 0) return false;
        if (code < 0) return fail_journal("next", code);
        char* cursor = nullptr;
        if (sd_journal_get_cursor(journal, &cursor) >= 0) inside_->cursor = cursor;
        std::free(cursor);
        ++inside_->entries;
        inside_->wanting.clear();
        for (std::size_t want = 0; want < inside_->wants.size(); ++want) {
            const auto& alternatives = inside_->wants[want].alternatives;
            bool fit = alternatives.empty();
            for (const auto& terms : alternatives) fit = fit || fits(journal, terms);
            if (fit) inside_->wanting.push_back(want);
        }
        if (inside_->wanting.empty()) continue;

        std::uint64_t us = 0;
        sd_journal_get_realtime_usec(journal, &us);
        // When it was said, which can be before the journal got it.
        std::string source(field(journal, "_SOURCE_REALTIME_TIMESTAMP"));
        if (!source.empty()) us = std::strtoull(source.c_str(), nullptr, 10);
        std::string& line = inside_->line;
        line = format_rfc3339(Instant{static_cast<std::int64_t>(us)}) + " ";
        std::string_view host = field(journal, "_HOSTNAME");
        append_escaped(line, host.empty() ? "localhost" : host, 255);
        line += ' ';
        std::string_view tag = field(journal, "SYSLOG_IDENTIFIER");
        if (tag.empty()) tag = field(journal, "_COMM");
        std::size_t before = line.size();
        append_escaped(line, tag.empty() ? "unknown" : tag, 255);
        for (std::size_t at = before; at < line.size(); ++at)
            if (line[at] == ' ' || line[at] == ':' || line[at] == '[') line[at] = '_';
        std::string_view pid = field(journal, "SYSLOG_PID");
        if (pid.empty()) pid = field(journal, "_PID");
        if (!pid.empty()) {
            line += '[';
            append_escaped(line, pid, 20);
            line += ']';
        }
        line += ": ";
        append_escaped(line, field(journal, "MESSAGE"), inside_->line_limit);
        line += '\n';
        on_line(inside_->wanting, line);
    }
    return true;
}

const std::string& Journal::cursor() const { return inside_->cursor; }
std::uint64_t Journal::entries() const { return inside_->entries; }

#else

struct Journal::Inside {
    std::string cursor;
};
Result<Journal> Journal::open(const std::vector<JournalSpec>&, std::size_t) {
    return fail("journal", "this bandd was built without libsystemd",
                "build it with libsystemd-dev, or name a file with \"logpath\"");
}
int Journal::fd() const { return -1; }
Result<bool> Journal::seek(const std::string&, Instant) { return false; }
Result<bool> Journal::read(const OnLine&) { return false; }
const std::string& Journal::cursor() const { return inside_->cursor; }
std::uint64_t Journal::entries() const { return 0; }

#endif

Journal::Journal(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

}  // namespace bandd
