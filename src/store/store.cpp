// SPDX-License-Identifier: GPL-2.0-or-later
// The state's files, and the thread that writes them.
#include "store/store.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "os/trusted_path.h"
#include "store/database.h"
#include "store/tables.h"

namespace bandd {

struct Store::Inside {
    std::string path;
    Fd lock;
    Database database;
    Fd done;  // eventfd
    bool broken = false;

    mutable std::mutex mutex;
    std::condition_variable changed;
    std::optional<Checkpoint> work;  // waiting or under way; kept when it failed
    bool busy = false;               // the thread has it
    bool go = false;                 // the thread shall take it
    bool quit = false;
    std::optional<Error> result;
    // A question is run on the store's thread, what it returns on the loop's.
    using Question = std::function<std::function<void()>(sqlite3*)>;
    std::deque<Question> questions;
    std::vector<std::function<void()>> answers;
    std::thread thread;

    bool ask(Question question) {
        std::lock_guard hold(mutex);
        if (questions.size() >= most_questions) return false;
        questions.push_back(std::move(question));
        changed.notify_all();
        return true;
    }
    void tell_loop() {
        std::uint64_t one = 1;
        [[maybe_unused]] auto ignored = ::write(done.get(), &one, sizeof one);
    }

    void run() {
        std::unique_lock hold(mutex);
        while (true) {
            changed.wait(hold, [&] { return quit || go || !questions.empty(); });
            if (!go && !questions.empty()) {
                Question question = std::move(questions.front());
                questions.pop_front();
                hold.unlock();
                auto answer = question(database.get());
                hold.lock();
                answers.push_back(std::move(answer));
                tell_loop();
                continue;
            }
            if (!go) return;
            go = false;
            busy = true;
            const Checkpoint& checkpoint = *work;
            hold.unlock();
            leave_room(path, database.get());
            auto error = write_checkpoint(path, database.get(), checkpoint);
            if (error) execute(database.get(), "ROLLBACK");
            hold.lock();
            busy = false;
            if (!error) work.reset();
            result = std::move(error);
            tell_loop();
            changed.notify_all();
        }
    }
};

Store::Store(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

Store::~Store() {
    if (!inside_) return;
    {
        std::lock_guard hold(inside_->mutex);
        inside_->quit = true;
        inside_->changed.notify_all();
    }
    if (inside_->thread.joinable()) inside_->thread.join();
}

namespace {

// What to do about `errno` at one of the state's files.
std::string advice(const char* otherwise) {
    if (errno == ENOSPC || errno == EDQUOT) return "free some space there";
    if (errno == EROFS) return "mount it writable, or set \"state:\" to a file elsewhere";
    return otherwise;
}

}  // namespace

Result<> Store::prepare(const std::string& path, const SystemUser& account) {
    for (const char* ending : {"", "-wal", "-shm", ".lock"})
        if (auto made = make_own_file(path + ending, 0600, account); !made)
            return fail("state " + made.error().what, made.error().reason,
                        advice("check \"state:\" in bandd.yaml"));
    return {};
}

Result<Store> Store::open(const std::string& path, std::string& warning) {
    auto inside = std::make_unique<Inside>();
    inside->path = path;
    ::umask(0077);
    std::string lock_path = path + ".lock";
    inside->lock = Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!inside->lock)
        return fail_errno("state \"" + lock_path + "\"",
                          advice("the daemon's user must be able to write to this directory"));
    if (flock(inside->lock.get(), LOCK_EX | LOCK_NB) != 0) {
        std::array<char, 32> pid{};
        ssize_t got = pread(inside->lock.get(), pid.data(), pid.size() - 1, 0);
        return fail("state \"" + path + "\"",
                    "another bandd" +
                        (got > 0 ? " (process " + std::string(pid.data()) + ")" : std::string()) +
                        " is using it",
                    "stop that one first, or give this one another \"state:\"");
    }
    std::string pid = std::to_string(getpid());
    if (ftruncate(inside->lock.get(), 0) != 0 ||
        pwrite(inside->lock.get(), pid.data(), pid.size(), 0) < 0)
        return fail_errno("state \"" + lock_path + "\"", advice(""));

    auto database = open_database(path);
    if (!database) {
        // Opened again only to ask what kind of failure it was.
        sqlite3* raw = nullptr;
        sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
        Database again(raw);
        execute(raw, "PRAGMA user_version; SELECT count(*) FROM sqlite_master;");
        if (!is_broken(raw)) return std::unexpected(database.error());
        again.reset();
        auto aside = set_aside(path);
        if (!aside) return std::unexpected(database.error());
        warning = "state \"" + path + "\" is no database (" + database.error().reason +
                  "); it was moved to \"" + *aside + "\", and bandd begins with an empty one";
        database = open_database(path);
        if (!database) return std::unexpected(database.error());
    }
    inside->database = std::move(*database);
    inside->done = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!inside->done) return fail_errno("eventfd");
    Inside* raw = inside.get();
    inside->thread = std::thread([raw] { raw->run(); });
    return Store(std::move(inside));
}

Result<std::string> Store::set_aside(const std::string& path) {
    std::string aside = path + ".broken-" + std::to_string(std::time(nullptr));
    std::error_code fault;
    std::filesystem::rename(path, aside, fault);
    if (fault) return fail("state \"" + path + "\": cannot move it aside", fault.message());
    for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path + ending, fault);
    return aside;
}

bool Store::broken() const { return inside_->broken; }

Result<Store> Store::open_to_read(const std::string& path) {
    auto inside = std::make_unique<Inside>();
    inside->path = path;
    sqlite3* raw = nullptr;
    int result = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    inside->database.reset(raw);
    if (result != SQLITE_OK) return std::unexpected(sqlite_error(path, raw, "cannot open it"));
    sqlite3_busy_timeout(raw, 5000);
    if (!execute(raw, "SELECT count(*) FROM counts"))
        return std::unexpected(sqlite_error(path, raw, "cannot read it"));
    return Store(std::move(inside));
}

Result<std::vector<std::string>> Store::jails() {
    std::vector<std::string> names;
    Statement ask(inside_->database.get(),
                  "SELECT jail FROM bans UNION SELECT jail FROM history UNION "
                  "SELECT jail FROM windows UNION SELECT jail FROM offences UNION "
                  "SELECT jail FROM counts");
    while (ask.step())
        if (!ask.bytes_at(0).empty()) names.emplace_back(ask.bytes_at(0));
    int code = sqlite3_errcode(inside_->database.get());
    if (code != SQLITE_DONE && code != SQLITE_OK)
        return std::unexpected(
            sqlite_error(inside_->path, inside_->database.get(), "cannot read it"));
    return names;
}

Result<> Store::load(const std::vector<std::string>& jails, const Restore& restore) {
    sqlite3* database = inside_->database.get();
    LoadResult read = load_state(inside_->path, database, jails, restore);
    inside_->broken = inside_->broken || read.broken;
    if (read.error) return std::unexpected(*read.error);
    return {};
}

bool Store::find_history(HistoryQuery query, std::function<void(std::vector<PastBan>)> then) {
    return inside_->ask([query = std::move(query), then = std::move(then)](sqlite3* database) {
        return [then, found = read_history(database, query)]() mutable { then(std::move(found)); };
    });
}

bool Store::find_details(std::vector<PastBan> bans,
                         std::function<void(std::vector<BanDetails>)> then) {
    return inside_->ask([bans = std::move(bans), then = std::move(then)](sqlite3* database) {
        return
            [then, details = read_details(database, bans)]() mutable { then(std::move(details)); };
    });
}

bool Store::idle() const {
    std::lock_guard hold(inside_->mutex);
    return !inside_->work;
}

bool Store::failed() const {
    std::lock_guard hold(inside_->mutex);
    return inside_->work && !inside_->busy && !inside_->go;
}

void Store::write(Checkpoint checkpoint) {
    std::lock_guard hold(inside_->mutex);
    inside_->work = std::move(checkpoint);
    inside_->go = true;
    inside_->changed.notify_all();
}

void Store::retry() {
    std::lock_guard hold(inside_->mutex);
    if (!inside_->work || inside_->busy) return;
    inside_->go = true;
    inside_->changed.notify_all();
}

void Store::wait() {
    std::unique_lock hold(inside_->mutex);
    inside_->changed.wait(hold, [&] { return !inside_->busy && !inside_->go; });
}

int Store::fd() const { return inside_->done.get(); }

std::optional<Error> Store::take_result() {
    std::uint64_t count = 0;
    [[maybe_unused]] auto ignored = ::read(inside_->done.get(), &count, sizeof count);
    std::vector<std::function<void()>> answers;
    std::optional<Error> result;
    {
        std::lock_guard hold(inside_->mutex);
        answers.swap(inside_->answers);
        result = inside_->result;
    }
    for (const auto& answer : answers) answer();
    return result;
}

}  // namespace bandd
