// SPDX-License-Identifier: GPL-2.0-or-later
// The power fails. A file system of our own stands between SQLite and the disk and knows what was
// written since the last sync of each file: of that, a power loss keeps any part, in any order, and
// cuts it at any sector.
#include <sqlite3.h>

#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>

#include "store/store.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

constexpr std::size_t sector = 512;

// What the disk has of a file for sure, and what was written or cut since.
struct Change {
    std::size_t at = 0;
    std::string bytes;
    bool cut = false;  // to `at` bytes
};
struct Disk {
    std::mutex mutex;
    std::map<std::string, std::string> synced;
    std::map<std::string, std::vector<Change>> unsynced;
    std::uint64_t writes = 0;
    std::uint64_t fails_at = UINT64_MAX;                     // at this write the power fails
    std::optional<std::map<std::string, std::string>> left;  // what there is then
    std::mt19937_64 random;

    static void apply(std::string& bytes, const Change& change) {
        if (change.cut) return bytes.resize(change.at);
        if (bytes.size() < change.at + change.bytes.size())
            bytes.resize(change.at + change.bytes.size());
        std::memcpy(bytes.data() + change.at, change.bytes.data(), change.bytes.size());
    }
    void write(const std::string& file, Change change) {
        std::lock_guard hold(mutex);
        unsynced[file].push_back(std::move(change));
        if (++writes == fails_at) fail();
    }
    void sync(const std::string& file) {
        std::lock_guard hold(mutex);
        for (const Change& change : unsynced[file]) apply(synced[file], change);
        unsynced[file].clear();
    }
    void remove(const std::string& file) {
        std::lock_guard hold(mutex);
        synced.erase(file);
        unsynced.erase(file);
    }
    void fail() {
        left = synced;
        for (auto& [file, changes] : unsynced) {
            // Cut into sectors, some of them lost, the others in another order. The metadata of a
            // journalling file system keep theirs: sizes do not go back.
            std::vector<Change> parts;
            for (const Change& change : changes) {
                if (change.cut) {
                    parts.push_back(change);
                    continue;
                }
                for (std::size_t at = 0; at < change.bytes.size();) {
                    std::size_t size =
                        std::min(sector - (change.at + at) % sector, change.bytes.size() - at);
                    parts.push_back({change.at + at, change.bytes.substr(at, size), false});
                    at += size;
                }
            }
            if (random() % 2 == 0) parts.resize(random() % (parts.size() + 1));
            if (random() % 2 == 0) std::ranges::shuffle(parts, random);
            if (random() % 2 == 0)
                std::erase_if(parts, [&](const Change&) { return random() % 4 == 0; });
            std::string& bytes = (*left)[file];
            for (const Change& part : parts) apply(bytes, part);
        }
    }
};
Disk* disk = nullptr;

// SQLite's own file system, with the disk told of all.
struct File {
    sqlite3_file base;
    char name[256];
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_vfs* real_vfs = nullptr;
File& ours(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

template <auto method, class... Args>
int pass(sqlite3_file* file, Args... args) {
    sqlite3_file* real = ours(file).real();
    return (real->pMethods->*method)(real, args...);
}
int note_write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    int code = pass<&sqlite3_io_methods::xWrite>(file, bytes, size, at);
    if (disk != nullptr) {
        std::string copy(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
        disk->write(ours(file).name, {static_cast<std::size_t>(at), std::move(copy), false});
    }
    return code;
}
int note_cut(sqlite3_file* file, sqlite3_int64 size) {
    if (disk != nullptr) disk->write(ours(file).name, {static_cast<std::size_t>(size), {}, true});
    return pass<&sqlite3_io_methods::xTruncate>(file, size);
}
int note_sync(sqlite3_file* file, int /*flags*/) {
    if (disk != nullptr) disk->sync(ours(file).name);
    return SQLITE_OK;
}
const sqlite3_io_methods methods{
    2,
    pass<&sqlite3_io_methods::xClose>,
    pass<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
    note_write,
    note_cut,
    note_sync,
    pass<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
    pass<&sqlite3_io_methods::xLock, int>,
    pass<&sqlite3_io_methods::xUnlock, int>,
    pass<&sqlite3_io_methods::xCheckReservedLock, int*>,
    pass<&sqlite3_io_methods::xFileControl, int, void*>,
    // A sector is written whole or not, and no more is promised.
    [](sqlite3_file*) { return static_cast<int>(sector); },
    [](sqlite3_file*) { return 0; },
    pass<&sqlite3_io_methods::xShmMap, int, int, int, void volatile**>,
    pass<&sqlite3_io_methods::xShmLock, int, int, int>,
    [](sqlite3_file* file) { ours(file).real()->pMethods->xShmBarrier(ours(file).real()); },
    pass<&sqlite3_io_methods::xShmUnmap, int>,
    nullptr,
    nullptr,
};
int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    std::snprintf(ours(file).name, sizeof ours(file).name, "%s", name == nullptr ? "" : name);
    int code = real_vfs->xOpen(real_vfs, name, ours(file).real(), flags, out);
    file->pMethods = code == SQLITE_OK ? &methods : nullptr;
    return code;
}
int remove_file(sqlite3_vfs*, const char* name, int sync_directory) {
    if (disk != nullptr) disk->remove(name);
    return real_vfs->xDelete(real_vfs, name, sync_directory);
}

// While it lives, SQLite writes by way of the disk.
struct Watched {
    sqlite3_vfs vfs{};
    explicit Watched(Disk& watched) {
        real_vfs = sqlite3_vfs_find("unix");
        vfs = *real_vfs;
        vfs.zName = "watched";
        vfs.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
        vfs.xOpen = open_file;
        vfs.xDelete = remove_file;
        sqlite3_vfs_register(&vfs, 1);
        disk = &watched;
    }
    ~Watched() {
        disk = nullptr;
        sqlite3_vfs_unregister(&vfs);
        sqlite3_vfs_register(real_vfs, 1);
    }
};

// The state of moment `k` has the bans 1 to k, k hits, and a window whose hit was at k.
Checkpoint moment(int k) {
    Checkpoint checkpoint;
    checkpoint.jails = {"sshd"};
    checkpoint.at = at(k);
    Ban ban;
    ban.key = {0, prefix("10.0." + std::to_string(k / 256) + "." + std::to_string(k % 256))};
    ban.from = at(k);
    ban.until = never;
    checkpoint.changes.bans = {ban};
    checkpoint.changes.windows = {{{0, prefix("192.0.2.1/32")}, {at(k)}, {}}};
    // Enough that SQLite folds its log in now and then.
    for (int i = 0; i < 400; ++i)
        checkpoint.changes.windows.push_back(
            {{0, prefix("2001:db8:" + std::to_string(k % 7) + ":" + std::to_string(i) + "::/64")},
             std::vector<Instant>(20, at(k)),
             {}});
    checkpoint.changes.counts = {{0, {static_cast<std::uint64_t>(k), 0, 0, 0, 0, 0}}};
    return checkpoint;
}
// The moment that a state holds; it must be one and no mixture.
int moment_in(Store& store) {
    std::size_t bans = 0;
    int k = 0;
    std::vector<Instant> window;
    Restore restore;
    restore.expect = [](std::size_t) {};
    restore.ban = [&](const Ban&) { ++bans; };
    restore.window = [&](const WindowChange& change) {
        if (change.key.prefix == prefix("192.0.2.1/32")) window = change.times;
    };
    restore.offences = [](const BanKey&, const Offences&) {};
    restore.counts = [&](JailIndex, const JailCounts& counts) {
        k = static_cast<int>(counts.hits);
    };
    restore.position = [](const auto&) {};
    auto loaded = store.load({"sshd"}, restore);
    INFO((loaded ? "" : to_line(loaded.error())));
    CHECK(loaded);
    CHECK(bans == static_cast<std::size_t>(k));
    if (k > 0) CHECK(window == std::vector<Instant>{at(k)});
    return k;
}

}  // namespace

TEST_CASE(
    "store: after a power loss the state is that of one moment, and none that was synced goes") {
    constexpr int moments = 60;
    TempDirectory dir;
    std::mt19937_64 random(7);
    // How many writes there are without one.
    std::uint64_t writes = 2000;
    int aside = 0, lost = 0, kept = 0;
    for (int round = 0; round < 150; ++round) {
        INFO("round " << round);
        Disk watched;
        watched.random.seed(random());
        // Often early, as that is when there is nothing to fall back on.
        watched.fails_at = 1 + random() % (round % 3 == 0 ? 40 : writes);
        std::string path = dir / "state.db";
        for (const char* ending : {"", "-wal", "-shm", ".lock"})
            std::filesystem::remove(path + ending);
        int written = 0, synced = 0;
        bool has_tables = false;  // its tables are on the disk
        int ordered = 0;          // the last moment that must last
        {
            Watched watch(watched);
            std::string warning;
            auto store = Store::open(path, warning);
            REQUIRE(store);
            for (int k = 1; k <= moments && !watched.left; ++k) {
                Checkpoint checkpoint = moment(k);
                bool must_last = k % 5 == 0;
                checkpoint.must_last = must_last;
                store->write(std::move(checkpoint));
                store->wait();
                REQUIRE_FALSE(store->take_result());
                if (watched.left) break;
                written = k;
                if (must_last) ordered = k;
                if (watched.unsynced[path + "-wal"].empty()) synced = k;
                has_tables = has_tables || !watched.synced[path].empty();
            }
            if (!watched.left) {
                writes = watched.writes;
                continue;
            }
        }
        for (const char* ending : {"", "-wal", "-shm", ".lock"})
            std::filesystem::remove(path + ending);
        for (const auto& [file, bytes] : *watched.left) write_file(file, bytes);
        std::string warning;
        auto store = Store::open(path, warning);
        REQUIRE(store);
        INFO(warning);
        if (has_tables) CHECK(warning.empty());
        aside += !warning.empty();
        int k = moment_in(*store);
        CHECK(k <= written + 1);
        if (has_tables) CHECK(k >= synced);
        CHECK(k >= ordered);
        ++(k < written ? lost : kept);
    }
    INFO(aside << " moved aside, " << lost << " lost moments that were not synced, " << kept
               << " lost none");
    CHECK(kept > 0);
    CHECK(lost > 0);
}
