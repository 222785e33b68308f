// SPDX-License-Identifier: GPL-2.0-or-later
// What root reads, makes and gives away where somebody else may put links in the way.
#include "os/trusted_path.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/common.h"

using namespace bandd;

namespace {

constexpr uid_t nobody = 65534;

Fd bind_to(const std::string& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, path.c_str(), path.size() + 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    return fd;
}

struct stat status_of(const std::string& path) {
    struct stat status{};
    REQUIRE(lstat(path.c_str(), &status) == 0);
    return status;
}

}  // namespace

TEST_CASE("only files that nobody else can have written are believed") {
    if (geteuid() != 0) return;
    TempDirectory dir;
    auto reads = [&](const std::string& name) {
        auto text = read_trusted_file(dir / name, 1000);
        return text ? *text : to_line(text.error());
    };
    auto mode = [&](const std::string& name, mode_t bits) { chmod((dir / name).c_str(), bits); };
    auto owner = [&](const std::string& name, uid_t uid) {
        REQUIRE(lchown((dir / name).c_str(), uid, 0) == 0);
    };
    write_file(dir / "conf/jails/a", "text");
    mode("conf/jails/a", 0644);
    CHECK(reads("conf/jails/a") == "text");
    std::string file = dir / "conf/jails/a";
    SECTION("the file") {
        mode("conf/jails/a", 0664);
        CHECK(reads("conf/jails/a") == "\"" + file +
                                           "\": others than root may write to it; root acts by it: "
                                           "chown root and chmod go-w it");
        mode("conf/jails/a", 0646);
        CHECK(reads("conf/jails/a").starts_with("\"" + file + "\": others"));
        mode("conf/jails/a", 0644);
        owner("conf/jails/a", 65534);
        CHECK(reads("conf/jails/a").starts_with("\"" + file + "\": it belongs to user 65534"));
    }
    SECTION("a directory between") {
        mode("conf", 0777);
        CHECK(reads("conf/jails/a").starts_with("\"" + dir / "conf" + "\": others"));
        mode("conf", 01777);  // as /tmp
        CHECK(reads("conf/jails/a") == "text");
        owner("conf", 65534);
        CHECK(reads("conf/jails/a").starts_with("\"" + dir / "conf" + "\": it belongs"));
    }
    SECTION("links") {
        REQUIRE(symlink("conf/jails", (dir / "link").c_str()) == 0);
        CHECK(reads("link/a") == "text");
        owner("link", 65534);
        CHECK(reads("link/a").starts_with("\"" + dir / "link" + "\": it belongs"));
        REQUIRE(symlink("../loop/x", (dir / "loop").c_str()) == 0);
        CHECK(reads("loop").find("cannot read") != std::string::npos);
        // Absolute, and over the root.
        REQUIRE(symlink(("/../.." + file).c_str(), (dir / "over").c_str()) == 0);
        CHECK(reads("over") == "text");
    }
    SECTION("what is no file, or too large") {
        CHECK(reads("conf/jails").find("it is no file") != std::string::npos);
        CHECK(reads("none").find("No such file") != std::string::npos);
        REQUIRE(mkfifo((dir / "fifo").c_str(), 0600) == 0);
        CHECK(reads("fifo").find("it is no file") != std::string::npos);
        write_file(dir / "large", std::string(1001, 'x'));
        CHECK(reads("large").find("larger") != std::string::npos);
        CHECK_FALSE(read_trusted_file("relative", 10));
    }
}

TEST_CASE("a directory is ours alone if nobody else can put another in its place") {
    if (geteuid() != 0) return;
    TempDirectory dir;
    const std::string path = dir / "a/b/c";
    std::filesystem::create_directories(path);
    CHECK(is_ours_alone(path));
    CHECK(socket_name(path + "/socket")->name == path + "/socket");
    REQUIRE(::chown(path.c_str(), nobody, nobody) == 0);
    CHECK_FALSE(is_ours_alone(path));
    CHECK(socket_name(path + "/socket")->name == path + "/socket");  // it cannot be swapped itself
    REQUIRE(::chown((dir / "a").c_str(), nobody, nobody) == 0);
    auto named = socket_name(path + "/socket");
    REQUIRE(named);
    CHECK(named->name.starts_with("/proc/self/fd/"));
    Fd socket = bind_to(named->name);
    CHECK(std::filesystem::is_socket(path + "/socket"));
    CHECK_FALSE(socket_name(path + "/" + std::string(100, 'x')));
    write_file(dir / "a/program", "");
    CHECK_FALSE(check_trusted_program(dir / "a/program"));
    write_file(dir / "program", "");
    CHECK(check_trusted_program(dir / "program"));
    chmod((dir / "program").c_str(), 0775);
    CHECK_FALSE(check_trusted_program(dir / "program"));
}

TEST_CASE("only a socket that we have made just now is given to others") {
    if (geteuid() != 0) return;
    TempDirectory dir;
    const std::string folder = dir / "theirs", path = folder + "/socket";
    std::filesystem::create_directory(folder);
    REQUIRE(::chown(folder.c_str(), nobody, nobody) == 0);
    write_file(dir / "secret", "secret");
    chmod((dir / "secret").c_str(), 0600);
    constexpr auto same = static_cast<uid_t>(-1);
    auto give = [&] { return give_socket(path, same, nobody, 0666); };
    SECTION("it is one") {
        Fd socket = bind_to(path);
        REQUIRE(give());
        CHECK((status_of(path).st_mode & 07777) == 0666);
        CHECK(status_of(path).st_gid == nobody);
        CHECK(status_of(path).st_uid == 0);
        REQUIRE(remove_socket(path));
        CHECK_FALSE(std::filesystem::exists(path));
    }
    SECTION("a link came into its place") {
        REQUIRE(symlink((dir / "secret").c_str(), path.c_str()) == 0);
        CHECK_FALSE(give());
        REQUIRE(remove_socket(path));
        CHECK(std::filesystem::is_symlink(path));
    }
    SECTION("a second name of another socket") {
        Fd other = bind_to(dir / "other");
        chmod((dir / "other").c_str(), 0600);
        REQUIRE(link((dir / "other").c_str(), path.c_str()) == 0);
        CHECK_FALSE(give());
        CHECK((status_of(dir / "other").st_mode & 07777) == 0600);
    }
    SECTION("a socket of theirs") {
        Fd socket = bind_to(path);
        REQUIRE(lchown(path.c_str(), nobody, nobody) == 0);
        CHECK_FALSE(give());
    }
    SECTION("its directory became a link to another one") {
        Fd other = bind_to(dir / "socket");
        chmod((dir / "socket").c_str(), 0600);
        REQUIRE(symlink("..", (folder + "/link").c_str()) == 0);
        CHECK_FALSE(give_socket(folder + "/link/socket", same, nobody, 0666));
        CHECK_FALSE(remove_socket(folder + "/link/socket"));
        CHECK((status_of(dir / "socket").st_mode & 07777) == 0600);
    }
    CHECK((status_of(dir / "secret").st_mode & 07777) == 0600);
}
