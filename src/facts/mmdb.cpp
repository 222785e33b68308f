// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts/mmdb.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <unordered_map>

#include "core/base/reserved.h"
#include "os/fd.h"

namespace bandd {

namespace {

// A file larger than this is no database of countries and networks.
constexpr off_t largest_database = off_t{1} << 30;

std::string what(const std::string& path) { return "cannot use \"" + path + "\""; }

// The file's bytes as they are now, in memory that nobody can change or cut any more: whoever
// writes over the file in place would otherwise change, or end (SIGBUS), what is mapped.
Result<Fd> copy_of(const std::string& path) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat before{}, after{};
    if (!file || fstat(file.get(), &before) != 0)
        return fail_errno(what(path),
                          errno == EACCES ? "give the user bandd the right to read it" : "");
    if (!S_ISREG(before.st_mode)) return fail(what(path), "it is not a regular file");
    if (before.st_size > largest_database) return fail(what(path), "it is larger than 1 GiB");
    Fd copy(memfd_create("bandd-geoip", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy) return fail_errno("memfd_create");
    off_t done = 0;
    while (done < before.st_size) {
        ssize_t got = sendfile(copy.get(), file.get(), &done,
                               static_cast<std::size_t>(before.st_size - done));
        if (got < 0) return fail_errno(what(path));
        if (got == 0) break;
    }
    bool same = fstat(file.get(), &after) == 0 && done == before.st_size &&
                after.st_size == before.st_size && after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                after.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
    if (!same) return fail(what(path), "it is being written", "replace databases by renaming");
    constexpr int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (fcntl(copy.get(), F_ADD_SEALS, seals) != 0) return fail_errno("fcntl F_ADD_SEALS");
    return copy;
}

}  // namespace

// An open database. It stays where it is, as MMDB_s points into itself.
struct MmdbFile {
    std::string path;
    MMDB_s handle{};
    bool is_open = false;

    MmdbFile() = default;
    MmdbFile(const MmdbFile&) = delete;
    MmdbFile& operator=(const MmdbFile&) = delete;
    ~MmdbFile() {
        if (is_open) MMDB_close(&handle);
    }

    static Result<std::unique_ptr<MmdbFile>> open(const std::string& path) {
        auto copy = copy_of(path);
        if (!copy) return std::unexpected(copy.error());
        auto file = std::make_unique<MmdbFile>();
        file->path = path;
        // libmaxminddb opens by name only; the mapping outlives the descriptor.
        std::string name = fmt::format("/proc/self/fd/{}", copy->get());
        int status = MMDB_open(name.c_str(), MMDB_MODE_MMAP, &file->handle);
        if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
            return fail_errno(what(path), "is /proc mounted?");
        if (status != MMDB_SUCCESS)
            return fail(what(path), MMDB_strerror(status), "it must be a MaxMind DB file (.mmdb)");
        file->is_open = true;
        return file;
    }
};

namespace {

using Path = std::initializer_list<const char*>;

std::optional<MMDB_entry_data_s> value_at(MMDB_entry_s& entry, Path path) {
    std::vector<const char*> names(path);
    names.push_back(nullptr);
    MMDB_entry_data_s data{};
    if (MMDB_aget_value(&entry, &data, names.data()) != MMDB_SUCCESS || !data.has_data) return {};
    return data;
}

// The first of the paths at which the record holds a text.
void take_text(MMDB_entry_s& entry, std::string& target, std::initializer_list<Path> paths) {
    for (Path path : paths) {
        if (!target.empty()) return;
        if (auto data = value_at(entry, path); data && data->type == MMDB_DATA_TYPE_UTF8_STRING)
            target.assign(data->utf8_string, data->data_size);
    }
}

std::uint32_t number_of(std::string_view text) {
    if (text.starts_with("AS")) text.remove_prefix(2);
    std::uint32_t number = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return 0;
        number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    return number;
}

void take_number(MMDB_entry_s& entry, std::uint32_t& target, std::initializer_list<Path> paths) {
    for (Path path : paths) {
        if (target != 0) return;
        auto data = value_at(entry, path);
        if (!data) continue;
        if (data->type == MMDB_DATA_TYPE_UINT32) target = data->uint32;
        if (data->type == MMDB_DATA_TYPE_UINT16) target = data->uint16;
        if (data->type == MMDB_DATA_TYPE_UINT64) target = static_cast<std::uint32_t>(data->uint64);
        if (data->type == MMDB_DATA_TYPE_UTF8_STRING)
            target = number_of({data->utf8_string, data->data_size});
    }
}

bool is_code(const std::string& text) {
    auto letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    return text.size() == 2 && letter(text[0]) && letter(text[1]);
}

// In this order: MaxMind's form (DB-IP's and IP2Location's too), ip-location-db's and IPLocate's,
// IPinfo's. Empty: it tells no country.
std::string country_of(MMDB_entry_s& entry) {
    std::string code;
    take_text(entry, code,
              {{"country", "iso_code"},
               {"country_code"},
               {"country"},
               {"registered_country", "iso_code"}});
    return is_code(code) ? code : "";
}

}  // namespace

GeoDatabases::GeoDatabases() = default;
GeoDatabases::~GeoDatabases() = default;
GeoDatabases::GeoDatabases(GeoDatabases&&) noexcept = default;
GeoDatabases& GeoDatabases::operator=(GeoDatabases&&) noexcept = default;

Result<GeoDatabases> GeoDatabases::open(const std::vector<std::string>& paths) {
    GeoDatabases databases;
    for (const std::string& path : paths) {
        auto file = MmdbFile::open(path);
        if (!file) return std::unexpected(file.error());
        databases.files_.push_back(std::move(*file));
    }
    return databases;
}

Origin GeoDatabases::origin(const Address& address) const {
    Origin origin;
    if (!is_public(address)) {
        origin.country = private_country;
        return origin;
    }
    sockaddr_storage place{};
    if (address.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(place);
        v4.sin_family = AF_INET;
        std::memcpy(&v4.sin_addr, address.bytes.data() + 12, 4);
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(place);
        v6.sin6_family = AF_INET6;
        std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    }
    for (const auto& file : files_) {
        // IPv6 in a database of IPv4 is an error; so is a broken tree: both know nothing.
        int status = MMDB_SUCCESS;
        auto found =
            MMDB_lookup_sockaddr(&file->handle, reinterpret_cast<sockaddr*>(&place), &status);
        if (status != MMDB_SUCCESS || !found.found_entry) continue;
        MMDB_entry_s& entry = found.entry;
        std::string code = country_of(entry);
        if (origin.country.empty()) origin.country = code;
        take_text(
            entry, origin.country_name,
            {{"country", "names", "en"}, {"country_name"}, {"registered_country", "names", "en"}});
        take_text(entry, origin.continent, {{"continent", "code"}, {"continent_code"}});
        take_number(entry, origin.asn, {{"autonomous_system_number"}, {"asn"}});
        take_text(entry, origin.network,
                  {{"autonomous_system_organization"}, {"as_name"}, {"org"}, {"name"}});
        take_text(entry, origin.subdivision,
                  {{"subdivisions", "0", "names", "en"},
                   {"subdivisions", "0", "iso_code"},
                   {"state1"},
                   {"region"}});
        take_text(entry, origin.city, {{"city", "names", "en"}, {"city"}});
    }
    if (origin.country.empty()) origin.country = unknown_country;
    return origin;
}

namespace {

// Walks the tree of one database.
class Walk {
  public:
    Walk(MMDB_s& handle, const std::vector<std::string>& countries, bool all_but)
        : handle_(handle), countries_(countries), all_but_(all_but) {}

    // False: the tree is broken.
    bool run() {
        if (handle_.metadata.ip_version == 4) return visit(0, Address{}, 96, true);
        // IPv4 stands at ::/96, and again wherever the database points there (6to4, mapped):
        // those are no networks of their own.
        ipv4_ = handle_.ipv4_start_node.node_value;
        Address four;
        if (ipv4_ < handle_.metadata.node_count) {
            if (!visit(ipv4_, four, 96, true)) return false;
        }
        return visit(0, Address{}, 0, false);
    }
    bool any_country() const { return !code_of_record_.empty() && some_; }
    std::vector<AddressRange> take() { return merge_ranges(std::move(ranges_)); }

  private:
    bool visit(std::uint32_t number, Address address, int depth, bool v4) {
        if (depth >= 128) return false;
        MMDB_search_node_s node{};
        if (MMDB_read_node(&handle_, number, &node) != MMDB_SUCCESS) return false;
        for (int bit : {0, 1}) {
            std::uint64_t record = bit == 0 ? node.left_record : node.right_record;
            std::uint8_t type = bit == 0 ? node.left_record_type : node.right_record_type;
            MMDB_entry_s& entry = bit == 0 ? node.left_record_entry : node.right_record_entry;
            Address at = address;
            if (bit == 1)
                at.bytes[static_cast<std::size_t>(depth / 8)] |=
                    static_cast<std::uint8_t>(0x80 >> (depth % 8));
            if (type == MMDB_RECORD_TYPE_INVALID) return false;
            if (type == MMDB_RECORD_TYPE_SEARCH_NODE) {
                auto next = static_cast<std::uint32_t>(record);
                if (!v4 && next == ipv4_) continue;
                if (!visit(next, at, depth + 1, v4)) return false;
            } else if (type == MMDB_RECORD_TYPE_DATA && is_wanted(entry)) {
                if (v4) at.bytes[10] = at.bytes[11] = 0xff;
                // A record at or above ::/96 speaks of IPv4, too; those are reserved for other
                // uses.
                if (!v4 && at.is_v4()) continue;
                int length = v4 ? depth + 1 - 96 : depth + 1;
                ranges_.push_back(range_of(make_prefix(at, length)));
            }
        }
        return true;
    }
    // Records are shared by many networks: each is decoded once.
    bool is_wanted(MMDB_entry_s& entry) {
        auto [known, is_new] = code_of_record_.try_emplace(entry.offset);
        if (is_new) {
            std::string code = country_of(entry);
            some_ = some_ || !code.empty();
            bool listed = std::ranges::find(countries_, code) != countries_.end();
            known->second = !code.empty() && listed != all_but_;
        }
        return known->second;
    }

    MMDB_s& handle_;
    const std::vector<std::string>& countries_;
    bool all_but_;
    bool some_ = false;
    std::uint32_t ipv4_ = UINT32_MAX;
    std::unordered_map<std::uint32_t, bool> code_of_record_;
    std::vector<AddressRange> ranges_;
};

}  // namespace

Result<std::vector<AddressRange>> networks_of(const std::vector<std::string>& paths,
                                              const std::vector<std::string>& countries,
                                              bool all_but) {
    for (const std::string& path : paths) {
        auto file = MmdbFile::open(path);
        if (!file) return std::unexpected(file.error());
        Walk walk((*file)->handle, countries, all_but);
        if (!walk.run()) return fail(what(path), "its search tree is broken");
        if (!walk.any_country()) continue;
        std::vector<AddressRange> reserved;
        for (const Prefix& prefix : reserved_prefixes()) reserved.push_back(range_of(prefix));
        return subtract_ranges(walk.take(), merge_ranges(std::move(reserved)));
    }
    return fail("\"geoip\"", "no database tells countries");
}

std::vector<DatabaseAbout> GeoDatabases::about() const {
    std::vector<DatabaseAbout> all;
    for (const auto& file : files_)
        all.push_back(
            {file->path, file->handle.metadata.database_type, file->handle.metadata.build_epoch});
    return all;
}

}  // namespace bandd
