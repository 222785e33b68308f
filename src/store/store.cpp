// SPDX-License-Identifier: GPL-2.0-or-later
// The state's files, and the thread that writes them.
#include "store/store.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "os/trusted_path.h"
#include "store/database.h"
#include "store/loading.h"
#include "store/tables.h"

namespace bandd {

namespace {

std::optional<FileId> find_file(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return {};
    return FileId{found.st_dev, found.st_ino};
}

// Gives its new name.
Result<std::string> set_aside(const std::string& path) {
    namespace fs = std::filesystem;
    std::string beginning = path + ".broken-";
    std::string aside = beginning + std::to_string(std::time(nullptr));
    std::error_code fault;
    fs::rename(path, aside, fault);
    if (fault)
        return fail("state \"" + path + "\": cannot move it aside", fault.message(),
                    "move it away by hand, then restart bandd");
    for (const char* ending : {"-wal", "-shm"}) fs::remove(path + ending, fault);
    std::vector<std::string> kept;
    for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), fault))
        if (entry.path().string().starts_with(beginning)) kept.push_back(entry.path().string());
    std::ranges::sort(kept, std::ranges::greater{});
    for (std::size_t i = Store::most_aside; i < kept.size(); ++i) fs::remove(kept[i], fault);
    return aside;
}

// `broken`: it is known to be.
Result<Connection> open_or_set_aside(const std::string& path, bool broken,
                                     std::optional<std::string>& aside, std::string& warning) {
    if (!broken) {
        auto opened = open_database(path);
        if (opened) return std::move(*opened);
        if (!opened.error().broken) return std::unexpected(opened.error().error);
        warning = "state \"" + path + "\" is none (" + opened.error().error.reason + ")";
    }
    auto moved = set_aside(path);
    if (!moved) return std::unexpected(moved.error());
    aside = *moved;
    warning += "; it was moved to \"" + *moved + "\", and bandd begins with an empty one";
    auto opened = open_database(path);
    if (!opened) return std::unexpected(opened.error().error);
    return std::move(*opened);
}

}  // namespace

struct Store::Inside {
    std::string path;
    Fd lock;
    Connection database;                         // the thread's, once it runs
    std::array<std::optional<FileId>, 2> files;  // as they were opened: the state, and its log
    Fd done;                                     // eventfd

    mutable std::mutex mutex;
    std::condition_variable changed;
    std::optional<Checkpoint> work;  // waiting or under way; kept when it failed
    bool busy = false;               // the thread has it
    bool go = false;                 // the thread shall take it
    bool quit = false;
    int waiters = 0;      // for the thread to have done it
    bool broken = false;  // the state
    bool gone = false;    // its files are not what we have open
    std::optional<Error> result;
    std::optional<std::string> aside;
    // A question is run on the store's thread, what it returns on the loop's.
    using Question = std::function<std::function<void()>(Connection&)>;
    std::deque<Question> questions;
    std::vector<std::function<void()>> answers;
    std::optional<Loading> loading;
    std::unique_ptr<KeyReader> keys;  // the loop's, while it loads
    std::vector<std::string> jails;   // that are loaded
    std::thread thread;

    ~Inside() {
        if (loading) loading->stop();
        {
            std::lock_guard hold(mutex);
            quit = true;
            changed.notify_all();
        }
        if (thread.joinable()) thread.join();
    }

    bool ask(Question question) {
        std::lock_guard hold(mutex);
        if (questions.size() >= most_questions) return false;
        questions.push_back(std::move(question));
        changed.notify_all();
        return true;
    }
    // The thread alone asks and changes what is not below `mutex`, and `broken` and `gone`.
    std::optional<Error> put(const Checkpoint& checkpoint) {
        if (checkpoint.anew) {
            if (auto opened = open_anew(); !opened) return opened.error();
        } else if (files != find_files()) {
            set(gone, true);
            return lost("was taken away");
        } else if (!database.begins_well()) {
            set(broken, true);
            return lost("was overwritten");
        }
        leave_room(path, database);
        database.take_failure();
        if (write_checkpoint(database, checkpoint)) return {};
        SqliteFailure failure = *database.take_failure();
        set(broken, failure.is_broken());
        return state_error(path, "cannot write", failure);
    }
    Error lost(const std::string& how) const {
        return {
            "state \"" + path + "\"", how + " while bandd had it open", "it is written anew", {}};
    }
    void set(bool& flag, bool value) {
        std::lock_guard hold(mutex);
        flag = value;
    }
    std::array<std::optional<FileId>, 2> find_files() const {
        return {find_file(path), find_file(path + "-wal")};
    }
    // A broken one is moved aside.
    Result<> open_anew();
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
                auto answer = question(database);
                database.take_failure();
                hold.lock();
                if (!answer) continue;
                answers.push_back(std::move(answer));
                tell_loop();
                continue;
            }
            if (!go) return;
            go = false;
            busy = true;
            const Checkpoint& checkpoint = *work;
            hold.unlock();
            auto error = put(checkpoint);
            hold.lock();
            std::optional<Checkpoint> written;
            bool is_written = !error;
            if (is_written) written = std::exchange(work, std::nullopt);
            result = std::move(error);
            tell_loop();
            // To free 100,000 bans takes a while, and the loop may want the lock.
            bool many = written && !written->earlier.empty();
            hold.unlock();
            written.reset();
            hold.lock();
            // Now there is memory to be given back.
            if (many) tell_loop();
            if (is_written) shrink(hold);
            busy = false;
            changed.notify_all();
        }
    }
    // Until somebody wants something.
    void shrink(std::unique_lock<std::mutex>& hold) {
        bool more = true;
        while (more && !quit && !go && questions.empty() && waiters == 0) {
            hold.unlock();
            more = give_back(database);
            database.take_failure();
            hold.lock();
        }
    }
};

Store::Store(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

Store::~Store() = default;

namespace {

// The bans that ended before are in no memory any more.
void keep_ended_bans(Checkpoint& failed, Checkpoint& anew) {
    std::vector<Changes> kept;
    auto keep = [&](Changes& changes) {
        kept.emplace_back().ended_bans = std::move(changes.ended_bans);
    };
    std::ranges::for_each(failed.earlier, keep);
    keep(failed.changes);
    std::ranges::move(anew.earlier, std::back_inserter(kept));
    anew.earlier = std::move(kept);
    anew.must_last = anew.must_last || failed.must_last;
}

Result<Connection> open_for_reading(const std::string& path) {
    sqlite3* raw = nullptr;
    int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    Connection database(raw);
    if (!database.check(opened))
        return std::unexpected(state_error(path, "cannot open it", *database.failure()));
    sqlite3_busy_timeout(raw, 5000);
    return database;
}

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
    inside->lock = Fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
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

    std::optional<std::string> aside;
    auto database = open_or_set_aside(path, false, aside, warning);
    if (!database) return std::unexpected(database.error());
    inside->database = std::move(*database);
    inside->files = inside->find_files();
    inside->done = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!inside->done) return fail_errno("eventfd");
    Inside* raw = inside.get();
    inside->thread = std::thread([raw] { raw->run(); });
    return Store(std::move(inside));
}

Result<> Store::Inside::open_anew() {
    database.close();
    std::string why;
    std::optional<std::string> moved;
    auto opened = open_or_set_aside(path, broken, moved, why);
    if (moved) {
        std::lock_guard hold(mutex);
        aside = std::move(moved);
    }
    if (!opened) return std::unexpected(opened.error());
    database = std::move(*opened);
    files = find_files();
    set(broken, false);
    set(gone, false);
    return {};
}

bool Store::wants_all() const {
    std::lock_guard hold(inside_->mutex);
    return inside_->broken || inside_->gone;
}

Result<Store> Store::open_to_read(const std::string& path) {
    auto inside = std::make_unique<Inside>();
    inside->path = path;
    auto opened = open_for_reading(path);
    if (!opened) return std::unexpected(opened.error());
    Connection& database = inside->database = std::move(*opened);
    if (!database.execute("SELECT count(*) FROM counts"))
        return std::unexpected(state_error(path, "cannot read it", *database.failure()));
    return Store(std::move(inside));
}

std::optional<std::string> Store::note(std::string_view name) {
    Statement ask(inside_->database, "SELECT value FROM meta WHERE name = 'note ' || ?");
    ask.text(name);
    if (!ask.step()) return {};
    return std::string(ask.bytes_at(0));
}

Result<std::vector<std::string>> Store::jails() {
    Connection& database = inside_->database;
    std::vector<std::string> names;
    Statement ask(database,
                  "SELECT jail FROM bans UNION SELECT jail FROM history UNION "
                  "SELECT jail FROM windows UNION SELECT jail FROM offences UNION "
                  "SELECT jail FROM counts");
    while (ask.step())
        if (!ask.bytes_at(0).empty()) names.emplace_back(ask.bytes_at(0));
    if (auto failure = database.take_failure())
        return std::unexpected(state_error(inside_->path, "cannot read it", *failure));
    return names;
}

Result<> Store::load(const std::vector<std::string>& jails, const Restore& restore) {
    Connection& database = inside_->database;
    database.take_failure();
    load_state(database, jails, restore);
    auto failure = database.take_failure();
    if (!failure) return {};
    inside_->broken = failure->is_broken();
    return std::unexpected(state_error(inside_->path, "cannot read it", *failure));
}

void Store::begin_load(const std::vector<std::string>& jails, Instant history_since) {
    inside_->jails = jails;
    Loading& loading = inside_->loading.emplace();
    Inside* inside = inside_.get();
    inside->ask([inside, &loading, jails, history_since](Connection& database) {
        database.take_failure();
        load_state(database, jails, loading.restore(history_since));
        std::optional<Error> error;
        if (auto failure = database.take_failure()) {
            inside->set(inside->broken, failure->is_broken());
            error = state_error(inside->path, "cannot read it", *failure);
        }
        loading.end(std::move(error));
        return std::function<void()>();
    });
}

std::optional<Piece> Store::next_piece(bool wait) {
    if (!inside_->loading) return {};
    auto piece = inside_->loading->next(wait);
    if (piece && piece->last) inside_->keys.reset();
    return piece;
}

int Store::piece_fd() const { return inside_->loading->fd(); }

Changes Store::find(const BanKey& key) {
    if (!inside_->keys) {
        auto opened = open_for_reading(inside_->path);
        if (!opened) return {};  // whoever reads the rest will find out, too
        inside_->keys = std::make_unique<KeyReader>(std::move(*opened), inside_->jails);
    }
    return inside_->keys->find(key);
}

bool Store::is_new() const { return inside_->database.is_new(); }

void Store::leave_log() {
    sqlite3_db_config(inside_->database.raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

std::optional<std::string> Store::take_aside() {
    std::lock_guard hold(inside_->mutex);
    return std::exchange(inside_->aside, {});
}

bool Store::find_history(HistoryQuery query, std::function<void(std::vector<PastBan>)> then) {
    return inside_->ask([query = std::move(query), then = std::move(then)](Connection& database) {
        return [then, found = read_history(database, query)]() mutable { then(std::move(found)); };
    });
}

bool Store::find_details(std::vector<PastBan> bans,
                         std::function<void(std::vector<BanDetails>)> then) {
    return inside_->ask([bans = std::move(bans), then = std::move(then)](Connection& database) {
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
    if (inside_->work) keep_ended_bans(*inside_->work, checkpoint);
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
    ++inside_->waiters;
    inside_->changed.wait(hold, [&] { return !inside_->busy && !inside_->go; });
    --inside_->waiters;
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
