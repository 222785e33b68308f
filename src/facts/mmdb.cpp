// SPDX-License-Identifier: GPL-2.0-or-later
// MaxMind DB files: MaxMind's own, and those that DB-IP, IPLocate, IP2Location, IPinfo and
// ip-location-db make, by libmaxminddb.
#include <fmt/format.h>
#include <maxminddb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <unordered_map>

#include "facts/database.h"

namespace bandd {
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

sockaddr_storage socket_address_of(const Address& address) {
    sockaddr_storage storage{};
    if (address.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
        v4.sin_family = AF_INET;
        std::memcpy(&v4.sin_addr, address.bytes.data() + 12, 4);
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
        v6.sin6_family = AF_INET6;
        std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    }
    return storage;
}

// Walks the tree of one database.
class Walk {
  public:
    Walk(const MMDB_s& handle, const std::vector<std::string>& countries, bool all_but)
        : handle_(handle), countries_(countries), all_but_(all_but) {}

    // False: the tree is broken.
    bool run() {
        if (handle_.metadata.ip_version == 4) return visit(0, Address{}, 96, true);
        // IPv4 is at ::/96, and again wherever the database points there (6to4, mapped): those are
        // no networks of their own.
        ipv4_ = handle_.ipv4_start_node.node_value;
        Address four;
        if (ipv4_ < handle_.metadata.node_count) {
            if (!visit(ipv4_, four, 96, true)) return false;
        }
        return visit(0, Address{}, 0, false);
    }
    bool tells_countries() const { return tells_countries_; }
    std::vector<AddressRange> take() { return std::move(ranges_); }

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
        auto [known, is_new] = wanted_by_record_.try_emplace(entry.offset);
        if (is_new) {
            std::string code = country_of(entry);
            tells_countries_ = tells_countries_ || !code.empty();
            bool listed = std::ranges::find(countries_, code) != countries_.end();
            known->second = !code.empty() && listed != all_but_;
        }
        return known->second;
    }

    const MMDB_s& handle_;
    const std::vector<std::string>& countries_;
    bool all_but_;
    bool tells_countries_ = false;
    std::uint32_t ipv4_ = UINT32_MAX;
    std::unordered_map<std::uint32_t, bool> wanted_by_record_;
    std::vector<AddressRange> ranges_;
};

class Mmdb : public Database {
  public:
    Mmdb() = default;
    Mmdb(const Mmdb&) = delete;
    Mmdb& operator=(const Mmdb&) = delete;
    ~Mmdb() override {
        if (is_open_) MMDB_close(&handle_);
    }

    Result<> open(const std::string& path, const Fd& copy) {
        path_ = path;
        // libmaxminddb opens by name only; its mapping outlives the descriptor.
        std::string name = fmt::format("/proc/self/fd/{}", copy.get());
        int status = MMDB_open(name.c_str(), MMDB_MODE_MMAP, &handle_);
        if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
            return fail_errno(cannot_use(path), "is /proc mounted?");
        if (status != MMDB_SUCCESS)
            return fail(cannot_use(path), MMDB_strerror(status),
                        "it must be a MaxMind DB file (.mmdb) or one of IP2Location's (.BIN)");
        is_open_ = true;
        return {};
    }

    void add_to(Origin& origin, const Address& address) const override {
        sockaddr_storage wanted = socket_address_of(address);
        // IPv6 in a database of IPv4 is an error; so is a broken tree: both know nothing.
        int status = MMDB_SUCCESS;
        auto found = MMDB_lookup_sockaddr(&handle_, reinterpret_cast<sockaddr*>(&wanted), &status);
        if (status != MMDB_SUCCESS || !found.found_entry) return;
        MMDB_entry_s& entry = found.entry;
        if (origin.country.empty()) origin.country = country_of(entry);
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

    std::string type() const override { return handle_.metadata.database_type; }
    std::uint64_t built() const override { return handle_.metadata.build_epoch; }

    Result<Networks> networks_of(const std::vector<std::string>& countries,
                                 bool all_but) const override {
        Walk walk(handle_, countries, all_but);
        if (!walk.run()) return fail(cannot_use(path_), "its search tree is broken");
        return Networks{walk.tells_countries(), walk.take()};
    }

  private:
    std::string path_;
    MMDB_s handle_{};
    bool is_open_ = false;
};

}  // namespace

Result<std::unique_ptr<Database>> open_mmdb(const std::string& path, Fd copy) {
    auto database = std::make_unique<Mmdb>();
    if (auto opened = database->open(path, copy); !opened) return std::unexpected(opened.error());
    return database;
}

}  // namespace bandd
