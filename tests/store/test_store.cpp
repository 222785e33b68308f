// SPDX-License-Identifier: GPL-2.0-or-later
// Real files; the full disk is a small tmpfs of the test's own namespace.
#include <sqlite3.h>
#include <sys/mount.h>

#include <algorithm>
#include <random>

#include "store/store.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

Result<Store> open_store(const std::string& path, std::string* warning = nullptr) {
    std::string own;
    return Store::open(path, warning != nullptr ? *warning : own);
}
struct State {
    std::vector<Ban> bans;
    std::vector<WindowChange> windows;
    std::vector<std::pair<BanKey, Offences>> offences;
    std::vector<std::pair<JailIndex, JailCounts>> counts;
    std::vector<FilePosition> positions;
    std::vector<Unbanned> history;
};
State load(Store& store, const std::vector<std::string>& jails) {
    State state;
    Restore restore;
    restore.expect = [](std::size_t) {};
    restore.ban = [&](const Ban& ban) { state.bans.push_back(ban); };
    restore.window = [&](const WindowChange& window) { state.windows.push_back(window); };
    restore.offences = [&](const BanKey& key, const Offences& o) {
        state.offences.emplace_back(key, o);
    };
    restore.counts = [&](JailIndex jail, const JailCounts& c) {
        state.counts.emplace_back(jail, c);
    };
    restore.position = [&](const FilePosition& p) { state.positions.push_back(p); };
    restore.history = [&](const Unbanned& past) { state.history.push_back(past); };
    auto loaded = store.load(jails, restore);
    if (!loaded) FAIL(to_line(loaded.error()));
    return state;
}
// Asks, and waits for the answer.
std::vector<PastBan> history(Store& store, HistoryQuery query) {
    std::optional<std::vector<PastBan>> answer;
    REQUIRE(store.find_history(std::move(query),
                               [&](std::vector<PastBan> found) { answer = std::move(found); }));
    REQUIRE(wait_for([&] {
        [[maybe_unused]] auto result = store.take_result();
        return answer.has_value();
    }));
    return *answer;
}
Checkpoint checkpoint_of(int number) {
    Checkpoint checkpoint;
    checkpoint.jails = {"sshd", "postfix"};
    auto story = std::make_shared<Story>();
    story->reason = "bad-password";
    story->matches = {{at(1), "p", std::string("line\0with NUL and \xff", 20)}};
    story->fields = {{"user", "root"}};
    Ban ban;
    ban.key = {1, prefix("203.0.113." + std::to_string(number))};
    ban.from = at(1);
    ban.until = never;
    ban.offence = 3;
    ban.hits = 5;
    ban.story = story;
    checkpoint.changes.bans = {ban};
    checkpoint.changes.windows = {
        {{0, prefix("2001:db8::/64")}, {at(1), at(2)}, {7, 0xfedcba9876543210ULL}}};
    checkpoint.changes.offences = {{{1, ban.key.prefix}, {3, at(1)}},
                                   {{any_jail, ban.key.prefix}, {4, at(1)}}};
    checkpoint.positions = {{{"/var/log/x", 7},
                             {"/var/log/x", {1, 2}, 1000, true, {256, 0xfedcba9876543210ULL}},
                             1'795'255'261'000'000'000,
                             false}};
    return checkpoint;
}
std::optional<Error> write(Store& store, Checkpoint checkpoint) {
    store.write(std::move(checkpoint));
    store.wait();
    return store.take_result();
}

// All that a daemon remembers, as it writes it when the state was lost.
Checkpoint all_of(int bans) {
    Checkpoint all = checkpoint_of(1);
    for (int i = 2; i <= bans; ++i) {
        Checkpoint one = checkpoint_of(i);
        all.changes.bans.push_back(one.changes.bans[0]);
        all.changes.windows.push_back(
            {{0, prefix("2001:db8:0:" + std::to_string(i) + "::/64")}, {at(i)}, {}});
    }
    all.anew = true;
    return all;
}
State load_again(const std::string& path) {
    auto store = open_store(path);
    REQUIRE(store);
    return load(*store, {"sshd", "postfix"});
}
// As a daemon does it.
void write_whatever_it_takes(Store& store) {
    auto error = write(store, checkpoint_of(1));
    if (error) CHECK_FALSE(to_line(*error).contains("not an error"));
    for (int i = 0; i < 2 && store.wants_all(); ++i) {
        error = write(store, all_of(50));
        if (error) CHECK_FALSE(to_line(*error).contains("not an error"));
    }
    INFO((error ? to_line(*error) : "written"));
    CHECK_FALSE(error);
    CHECK(store.idle());
}

}  // namespace

TEST_CASE("a state that is read in pieces is the same, and single keys are found meanwhile") {
    TempDirectory dir;
    std::string path = dir / "state.db", warning;
    auto store = Store::open(path, warning);
    REQUIRE(store);
    Checkpoint checkpoint = checkpoint_of(1);
    constexpr int many = 30'000;  // more pieces than may wait
    Ban ban = checkpoint.changes.bans[0];
    for (int i = 0; i < many; ++i) {
        ban.key = {0, prefix("10.0." + std::to_string(i >> 8) + "." + std::to_string(i & 255))};
        checkpoint.changes.bans.push_back(ban);
    }
    store->write(std::move(checkpoint));
    store->wait();
    State whole = load(*store, {"sshd", "postfix"});
    store->begin_load({"sshd", "postfix"}, Instant{INT64_MIN});
    auto first = store->next_piece(true);
    REQUIRE(first);
    CHECK(first->bans == many + 1);
    CHECK(first->positions == whole.positions);
    BanKey last{1, prefix("203.0.113.1")};
    Changes found = store->find(last);
    REQUIRE(found.bans.size() == 1);
    CHECK(found.bans[0].key == last);
    CHECK(found.bans[0].offence == 3);
    REQUIRE(found.offences.size() == 1);
    CHECK(found.offences[0].second.count == 3);
    CHECK(store->find({any_jail, last.prefix}).offences.at(0).second.count == 4);
    CHECK(store->find({0, prefix("2001:db8::/64")}).windows.at(0).times ==
          std::vector{at(1), at(2)});
    CHECK(store->find({0, last.prefix}).empty());
    std::vector<BanKey> keys;
    std::size_t windows = 0, offences = 0;
    for (auto piece = std::move(first);; piece = store->next_piece(true)) {
        REQUIRE(piece);
        for (const Ban& one : piece->changes.bans) keys.push_back(one.key);
        windows += piece->changes.windows.size();
        offences += piece->changes.offences.size();
        CHECK_FALSE(piece->error);
        if (piece->last) break;
    }
    CHECK(std::ranges::equal(keys, whole.bans, {}, {}, &Ban::key));
    CHECK(windows == whole.windows.size());
    CHECK(offences == whole.offences.size());
    CHECK_FALSE(store->next_piece(true));
}

TEST_CASE("a store that goes while its state is read waits for nobody") {
    TempDirectory dir;
    std::string path = dir / "state.db", warning;
    auto store = Store::open(path, warning);
    REQUIRE(store);
    Checkpoint checkpoint = checkpoint_of(1);
    Ban ban = checkpoint.changes.bans[0];
    for (int i = 0; i < 30'000; ++i) {
        ban.key = {0, prefix("10.0." + std::to_string(i >> 8) + "." + std::to_string(i & 255))};
        checkpoint.changes.bans.push_back(ban);
    }
    store->write(std::move(checkpoint));
    store->wait();
    store->begin_load({"sshd", "postfix"}, Instant{INT64_MIN});
    CHECK(store->next_piece(true));
}

TEST_CASE("store: what a checkpoint held is there again, under the jails' new indexes") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    {
        auto store = open_store(path);
        REQUIRE(store);
        REQUIRE_FALSE(write(*store, checkpoint_of(9)));
        CHECK(store->idle());
    }
    auto store = open_store(path);
    REQUIRE(store);
    State state = load(*store, {"new", "postfix", "sshd"});
    REQUIRE(state.bans.size() == 1);
    const Ban& ban = state.bans[0];
    CHECK(ban.key == BanKey{1, prefix("203.0.113.9")});
    CHECK(ban.from == at(1));
    CHECK(ban.until == never);
    CHECK(ban.offence == 3);
    CHECK(ban.hits == 5);
    CHECK(ban.story->reason == "bad-password");
    std::optional<std::vector<BanDetails>> details;
    REQUIRE(
        store->find_details({{"postfix", ban.key.prefix, ban.from, ban.until, {}}},
                            [&](std::vector<BanDetails> found) { details = std::move(found); }));
    REQUIRE(wait_for([&] {
        [[maybe_unused]] auto result = store->take_result();
        return details.has_value();
    }));
    REQUIRE(details->at(0).matches.size() == 1);
    CHECK(details->at(0).matches[0].line == std::string("line\0with NUL and \xff", 20));
    CHECK(details->at(0).fields == Fields{{"user", "root"}});
    REQUIRE(state.windows.size() == 1);
    CHECK(state.windows[0].key == BanKey{2, prefix("2001:db8::/64")});
    CHECK(state.windows[0].times == std::vector<Instant>{at(1), at(2)});
    CHECK(state.windows[0].values == std::vector<std::uint64_t>{7, 0xfedcba9876543210ULL});
    CHECK(state.offences.size() == 2);
    REQUIRE(state.positions.size() == 1);
    CHECK(state.positions[0] == checkpoint_of(9).positions[0]);
}

TEST_CASE("store: a jail that is not there now keeps its bans for when it comes back") {
    TempDirectory dir;
    auto store = open_store(dir / "state.db");
    REQUIRE(store);
    write(*store, checkpoint_of(9));
    CHECK(load(*store, {"sshd"}).bans.empty());
    CHECK(load(*store, {"sshd", "postfix"}).bans.size() == 1);
}

TEST_CASE("store: changes replace, ended bans and forgotten windows go") {
    TempDirectory dir;
    auto store = open_store(dir / "state.db");
    REQUIRE(store);
    write(*store, checkpoint_of(9));
    Checkpoint next = checkpoint_of(10);
    next.changes.ended_bans = {{checkpoint_of(9).changes.bans[0], Unbanned::Why::by_hand, at(50)}};
    next.changes.counts = {{1, {.hits = 7, .bans = 2}}};
    next.changes.windows[0].times.clear();
    next.changes.offences = {{{1, prefix("203.0.113.9")}, {0, at(0)}}};
    next.positions[0].at.offset = 2000;
    next.gone = {{"/var/log/y", 8}};
    FilePosition first_look{{"/var/log/x", 0}, {}, 7};
    first_look.clock = -5'400'000'000;
    next.positions.push_back(first_look);
    next.changes.bans[0].by_hand = next.changes.bans[0].even_if_ignored = true;
    REQUIRE_FALSE(write(*store, next));
    State state = load(*store, {"sshd", "postfix"});
    REQUIRE(state.bans.size() == 1);
    CHECK(state.bans[0].key.prefix == prefix("203.0.113.10"));
    CHECK(state.windows.empty());
    // Those of .9 over all jails, and of .10 over all; its own here were forgotten.
    CHECK(state.offences.size() == 1);
    REQUIRE(state.positions.size() == 2);
    CHECK(state.positions[0] == first_look);
    CHECK(state.positions[1].at.offset == 2000);
    CHECK(state.bans[0].even_if_ignored);
    REQUIRE(state.history.size() == 1);
    CHECK(state.history[0].ban.key.prefix == prefix("203.0.113.9"));
    CHECK(state.history[0].at == at(50));
    CHECK(state.counts ==
          std::vector<std::pair<JailIndex, JailCounts>>{{1, {.hits = 7, .bans = 2}}});
    auto found = history(*store, {});
    REQUIRE(found.size() == 2);
    CHECK(history(*store, {prefix("203.0.113.0/24"), "postfix"}).size() == 2);
    CHECK(history(*store, {prefix("203.0.113.9")}).size() == 1);
    CHECK(history(*store, {prefix("203.0.113.9")})[0].ended == at(50));
    CHECK(history(*store, {prefix("192.0.2.0/24")}).empty());
    CHECK(history(*store, {{}, "sshd"}).empty());
    CHECK(history(*store, {{}, "", at(2)}).empty());
    CHECK(history(*store, {{}, "", at(0), 1}).size() == 1);
    Checkpoint last;
    last.jails = next.jails;
    last.gone = {{"/var/log/x", 7}, {"/var/log/x", 0}};
    last.offences_before = at(100);
    REQUIRE_FALSE(write(*store, last));
    state = load(*store, {"sshd", "postfix"});
    CHECK(state.positions.empty());
    CHECK(state.offences.empty());
    CHECK(state.history.empty());
}

TEST_CASE("store: a second daemon on the same state is refused, by its process id") {
    TempDirectory dir;
    auto first = open_store(dir / "state.db");
    REQUIRE(first);
    auto second = open_store(dir / "state.db");
    REQUIRE_FALSE(second);
    CHECK(to_line(second.error()) ==
          "state \"" + dir / "state.db" + "\": another bandd (process " + std::to_string(getpid()) +
              ") is using it; stop that one first, or give this one another \"state:\"");
}

TEST_CASE("store: a file that is no database is moved aside, and its new name is told") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    write_file(path, std::string(5000, 'x'));
    std::string warning;
    auto store = open_store(path, &warning);
    REQUIRE(store);
    CHECK(warning.starts_with("state \"" + path +
                              "\" is none (file is not a database); it was moved to \"" + path +
                              ".broken-"));
    CHECK_FALSE(write(*store, checkpoint_of(1)));
}

TEST_CASE("store: links in its directory, which others may write to, are not followed") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    for (const char* ending : {"", ".lock", "-wal", "-shm"}) {
        std::string victim = dir / "precious";
        write_file(victim, "precious");
        std::filesystem::create_symlink(victim, path + ending);
        std::string warning;
        auto store = Store::open(path, warning);
        if (store) write(*store, checkpoint_of(9));
        INFO(ending);
        CHECK(read_file(victim) == "precious");
        std::filesystem::remove(victim);
        std::filesystem::remove(path + ending);
        std::filesystem::create_symlink(victim, path + ending);
        auto dangling = Store::open(path, warning);
        CHECK_FALSE(std::filesystem::exists(victim));
        std::filesystem::remove_all(path);
        for (const char* other : {".lock", "-wal", "-shm"}) std::filesystem::remove(path + other);
    }
}

TEST_CASE("store: a state that an older bandd wrote is brought up to date, and loses nothing") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    {
        auto store = open_store(path);
        REQUIRE(store);
        Checkpoint checkpoint = checkpoint_of(9);
        checkpoint.at = at(9);
        REQUIRE_FALSE(write(*store, checkpoint));
    }
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
    CHECK(
        sqlite3_exec(raw,
                     "DROP TABLE accounts; ALTER TABLE windows DROP COLUMN vals; DROP TABLE files;"
                     "DROP TABLE fleet;"
                     "CREATE TABLE positions(device INTEGER, inode INTEGER, path TEXT NOT NULL, "
                     "offset INTEGER NOT NULL, skipping INTEGER NOT NULL, "
                     "fingerprint_length INTEGER NOT NULL, fingerprint_hash INTEGER NOT NULL, "
                     "PRIMARY KEY(device, inode)) WITHOUT ROWID;"
                     "INSERT INTO positions VALUES(1, 2, '/var/log/x', 1000, 1, 256, 5);"
                     "INSERT INTO positions VALUES(1, 3, '/var/log/x', 7, 0, 7, 6);"
                     "PRAGMA user_version=1;",
                     nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(raw);
    auto store = open_store(path);
    REQUIRE(store);
    State state = load(*store, {"sshd", "postfix"});
    REQUIRE(state.windows.size() == 1);
    CHECK(state.windows[0].times == std::vector<Instant>{at(1), at(2)});
    CHECK(state.windows[0].values.empty());
    CHECK(state.bans.size() == 1);
    REQUIRE(state.positions.size() == 3);
    CHECK(state.positions[0].file == FileNumber{"/var/log/x", 0});  // what is older, is old
    CHECK(state.positions[0].modified == (at(9).us - 10'000) * 1000);
    CHECK(state.positions[1].file == FileNumber{"/var/log/x", 1});
    CHECK(state.positions[2].file == FileNumber{"/var/log/x", 2});
    CHECK(state.positions[1].at.path == "/var/log/x");
}

TEST_CASE("store: a state that a newer bandd wrote is refused, not touched") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    open_store(path).value();
    // user_version stands at offset 60 of the file's header.
    std::string bytes = read_file(path);
    bytes[63] = 99;
    write_file(path, bytes);
    std::filesystem::remove(path + "-wal");
    auto store = open_store(path);
    REQUIRE_FALSE(store);
    CHECK(to_line(store.error()) ==
          "state \"" + path +
              "\": was written by a newer bandd (version 99 of its tables, this one knows 5); "
              "install that version again, or give another \"state:\"");
    CHECK(read_file(path) == bytes);
}

TEST_CASE("store: a small disk is not filled by the log of what was written before") {
    clean_namespace();
    TempDirectory dir;
    std::string mount_point = dir / "small";
    std::filesystem::create_directory(mount_point);
    must("mount -t tmpfs -o size=1m tmpfs " + mount_point);
    {
        auto store = open_store(mount_point + "/state.db");
        REQUIRE(store);
        // Each time the same rows: the tables stay small, the log does not.
        for (int i = 0; i < 300; ++i) {
            auto error = write(*store, checkpoint_of(i % 2));
            INFO(i << " " << (error ? to_line(*error) : ""));
            REQUIRE_FALSE(error);
        }
        CHECK(load(*store, {"sshd", "postfix"}).bans.size() == 2);
    }
    must("umount " + mount_point);
}

TEST_CASE("store: a full disk is said, loses nothing, and is written once there is room") {
    clean_namespace();
    TempDirectory dir;
    std::string mount_point = dir / "small";
    std::filesystem::create_directory(mount_point);
    must("mount -t tmpfs -o size=600k tmpfs " + mount_point);
    {
        auto store = open_store(mount_point + "/state.db");
        REQUIRE(store);
        REQUIRE_FALSE(write(*store, checkpoint_of(1)));
        sh("dd if=/dev/zero of=" + mount_point + "/ballast bs=4k; true");
        // More than the log of the first one gives back.
        Checkpoint many = checkpoint_of(2);
        for (int i = 0; i < 2000; ++i) {
            WindowChange window;
            window.key = {
                0, prefix("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250))};
            window.times = {at(i)};
            many.changes.windows.push_back(window);
        }
        auto error = write(*store, std::move(many));
        REQUIRE(error);
        CHECK(to_line(*error) ==
              "state \"" + mount_point +
                  "/state.db\": cannot write: database or disk is full; free some space; bans go "
                  "on, but a restart would forget the newest");
        CHECK(store->failed());
        CHECK_FALSE(store->idle());
        must("rm " + mount_point + "/ballast");
        store->retry();
        store->wait();
        CHECK_FALSE(store->take_result());
        CHECK(load(*store, {"sshd", "postfix"}).bans.size() == 2);
    }
    must("umount " + mount_point);
}

TEST_CASE(
    "store: whatever is damaged in a state, while it is open or before, it is written again") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    {
        auto store = open_store(path);
        REQUIRE(store);
        Checkpoint all = all_of(250);
        all.anew = false;
        REQUIRE_FALSE(write(*store, std::move(all)));
    }
    const std::string good = read_file(path);
    REQUIRE(good.size() > 16 * 4096);
    bool open = GENERATE(false, true);
    std::mt19937_64 random(open ? 1 : 2);
    int replaced = 0;
    for (int copy = 0; copy < 200; ++copy) {
        INFO("copy " << copy << (open ? ", open" : ""));
        for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path + ending);
        std::string bytes = good;
        std::optional<Result<Store>> store;
        if (open) {
            write_file(path, bytes);
            store = open_store(path);
            REQUIRE(*store);
        }
        // From a bit to many pages.
        std::size_t size = std::size_t{1} << random() % 17;
        for (std::size_t at = random() % bytes.size(); size > 0 && at < bytes.size(); --size, ++at)
            bytes[at] = static_cast<char>(random());
        if (copy % 10 == 0) bytes.resize(random() % bytes.size());
        write_file(path, bytes);  // the same inode
        if (!open) store = open_store(path);
        REQUIRE(*store);
        Restore restore;
        int bans = 0;
        restore.expect = [](std::size_t) {};
        restore.ban = [&](const Ban&) { ++bans; };
        restore.window = [](const WindowChange&) {};
        restore.offences = [](const BanKey&, const Offences&) {};
        restore.counts = [](JailIndex, const JailCounts&) {};
        restore.position = [](const FilePosition&) {};
        restore.history = [](const Unbanned&) {};
        auto loaded = (*store)->load({"sshd", "postfix"}, restore);
        if (!loaded) CHECK_FALSE(to_line(loaded.error()).contains("not an error"));
        if (!loaded) CHECK((*store)->wants_all());
        write_whatever_it_takes(**store);
        if ((*store)->take_aside()) ++replaced;
        store.reset();
        // What SQLite has in its memory hides what happened to the file below it. Then the next
        // start finds it.
        if (!open) CHECK(load_again(path).bans.size() >= 1);
        auto next = open_store(path);
        REQUIRE(next);
        write_whatever_it_takes(*next);
    }
    CHECK(replaced > 20);
    std::size_t aside = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
        aside += entry.path().string().contains(".broken-");
    CHECK(aside <= Store::most_aside);
}

TEST_CASE("store: a state that is taken away while it is open is written anew") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    auto store = open_store(path);
    REQUIRE(store);
    REQUIRE_FALSE(write(*store, checkpoint_of(1)));
    SECTION("all of it") {
        for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path + ending);
    }
    SECTION("its tables") { std::filesystem::remove(path); }
    SECTION("its log") { std::filesystem::remove(path + "-wal"); }
    SECTION("another one is put in its place") {
        open_store(dir / "other.db").value();
        std::filesystem::rename(dir / "other.db", path);
    }
    auto error = write(*store, checkpoint_of(2));
    REQUIRE(error);
    CHECK(to_line(*error) ==
          "state \"" + path + "\": was taken away while bandd had it open; it is written anew");
    CHECK(store->wants_all());
    CHECK_FALSE(write(*store, all_of(50)));
    CHECK_FALSE(store->wants_all());
    CHECK_FALSE(write(*store, checkpoint_of(51)));
    *store = open_store(dir / "elsewhere").value();
    CHECK(load_again(path).bans.size() == 51);
}

TEST_CASE("store: a database of somebody else is moved aside") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
    CHECK(sqlite3_exec(raw, "CREATE TABLE bans(x)", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(raw);
    std::string warning;
    auto store = open_store(path, &warning);
    REQUIRE(store);
    CHECK(warning.starts_with("state \"" + path +
                              "\" is none (has tables, and none of bandd's); it "
                              "was moved to \"" +
                              path + ".broken-"));
    CHECK_FALSE(write(*store, checkpoint_of(1)));
}

TEST_CASE("store: once most of it is free, the file gets smaller, and loses nothing") {
    TempDirectory dir;
    std::string path = dir / "state.db";
    auto store = open_store(path);
    REQUIRE(store);
    Checkpoint many = checkpoint_of(1);
    many.changes.windows.clear();
    for (int i = 0; i < 100'000; ++i) {
        Address address = ip("10.0.0.0");
        for (std::size_t byte : {0U, 1U, 2U})
            address.bytes[15 - byte] = static_cast<std::uint8_t>(i >> (8 * byte));
        Instant last = at(i < 10 ? 5000 : 1);
        many.changes.windows.push_back({{0, make_prefix(address, 32)}, {last}, {}});
    }
    REQUIRE_FALSE(write(*store, std::move(many)));
    auto size = [&](const char* ending) { return std::filesystem::file_size(path + ending); };
    auto before = size("") + size("-wal");
    Checkpoint later = checkpoint_of(1);
    later.windows_before = at(4000);
    later.changes.windows.clear();
    store->write(std::move(later));
    CHECK(wait_for([&] { return size("") < before / 4; }));
    store->wait();
    State state = load(*store, {"sshd", "postfix"});
    CHECK(state.windows.size() == 10);
    CHECK(state.bans.size() == 1);
}
