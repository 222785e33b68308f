// SPDX-License-Identifier: GPL-2.0-or-later
// IP2Location's own format (.BIN), of which countries are read: DB1 and, as their first fields are
// the same, all others. Facts from IP2Location's readers, C and Node.js.
//
//   header   type, columns, year, month, day (one byte each), then, as 32-bit little endian: rows
//   of
//            IPv4, where they begin, rows of IPv6, where they begin; at byte 29 the product (1).
//            Places count from 1.
//   a row    the first address of its range (4 bytes, or 16 for IPv6, little endian), then 4 bytes
//            for each further column; the first of them is the place, counted from 0, of the
//            country.
//   country  a length (2), two letters or "-", a length, the name
//
// A range ends where the next row begins; rows are sorted. All of that is checked when the file is
// opened, so that looking up needs no check.
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "facts/database.h"

namespace bandd {
namespace {

constexpr std::size_t header_size = 64;
constexpr int most_types = 26;  // DB1 to DB26

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 4; i-- > 0;)
        number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
    return number;
}

// The rows of one family.
struct Rows {
    std::string_view bytes;   // of all of them
    std::size_t size = 0;     // of one
    std::size_t address = 4;  // bytes of it that are the address
    std::size_t count() const { return size == 0 ? 0 : bytes.size() / size; }

    Address first(std::size_t row) const {
        Address at;
        if (address == 4) at.bytes[10] = at.bytes[11] = 0xff;
        for (std::size_t i = 0; i < address; ++i)
            at.bytes[15 - i] = static_cast<std::uint8_t>(bytes[row * size + i]);
        return at;
    }
    std::uint32_t country(std::size_t row) const { return number_at(bytes, row * size + address); }

    // The row whose range holds `wanted`; `count()` if none does.
    std::size_t find(const Address& wanted) const {
        std::size_t low = 0, high = count();
        while (low < high) {
            std::size_t middle = low + (high - low) / 2;
            if (first(middle) <= wanted)
                low = middle + 1;
            else
                high = middle;
        }
        return low == 0 ? count() : low - 1;
    }
};

class Ip2Location : public Database {
  public:
    Ip2Location() = default;
    Ip2Location(const Ip2Location&) = delete;
    Ip2Location& operator=(const Ip2Location&) = delete;
    ~Ip2Location() override {
        if (!all_.empty()) munmap(const_cast<char*>(all_.data()), all_.size());
    }

    Result<> open(const std::string& path, const Fd& copy) {
        struct stat status{};
        if (fstat(copy.get(), &status) != 0) return fail_errno(cannot_use(path));
        auto size = static_cast<std::size_t>(status.st_size);
        if (size < header_size) return broken(path, "it is too short");
        void* bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED, copy.get(), 0);
        if (bytes == MAP_FAILED) return fail_errno(cannot_use(path));
        all_ = {static_cast<const char*>(bytes), size};
        int type = byte(0), columns = byte(1), year = byte(2);
        // Only files since 2021 name the product.
        if (type < 1 || type > most_types || columns < 2 || (year >= 21 && byte(29) != 1))
            return broken(path, "its head is none of IP2Location's");
        auto further = static_cast<std::size_t>(columns - 1) * 4;
        bool good = take_rows(v4_, 5, 4, further) && take_rows(v6_, 13, 16, further);
        if (!good || v4_.count() + v6_.count() == 0)
            return broken(path, "its rows are not within it");
        if (!check(v4_) || !check(v6_)) return broken(path, "its rows are not in order");
        return {};
    }

    void add_to(Origin& origin, const Address& address) const override {
        if (!origin.country.empty()) return;
        const Rows& rows = address.is_v4() ? v4_ : v6_;
        std::size_t row = rows.find(address);
        if (row == rows.count()) return;
        std::string_view code = code_at(rows.country(row));
        if (!is_code(code)) return;  // "-": reserved
        origin.country = code;
        if (origin.country_name.empty()) origin.country_name = text_at(rows.country(row) + 3);
    }

    std::string type() const override { return "IP2Location DB" + std::to_string(byte(0)); }
    std::uint64_t built() const override {
        using namespace std::chrono;
        auto day = year_month_day(year(2000 + byte(2)), month(static_cast<unsigned>(byte(3))),
                                  std::chrono::day(static_cast<unsigned>(byte(4))));
        if (!day.ok()) return 0;
        return static_cast<std::uint64_t>(
            duration_cast<seconds>(sys_days(day).time_since_epoch()).count());
    }

    Result<Networks> networks_of(const std::vector<std::string>& countries,
                                 bool all_but) const override {
        Networks networks;
        for (const Rows* rows : {&v4_, &v6_}) add_networks(*rows, countries, all_but, networks);
        return networks;
    }

  private:
    static std::unexpected<Error> broken(const std::string& path, const char* why) {
        return fail(cannot_use(path), why, "it must be one of IP2Location's .BIN files");
    }
    int byte(std::size_t at) const { return static_cast<unsigned char>(all_[at]); }

    bool take_rows(Rows& rows, std::size_t at, std::size_t address, std::size_t further) {
        std::uint64_t count = number_at(all_, at), begin = number_at(all_, at + 4);
        if (count == 0) return true;
        rows.address = address;
        rows.size = address + further;
        if (begin <= header_size || begin - 1 + count * rows.size > all_.size()) return false;
        rows.bytes = all_.substr(begin - 1, count * rows.size);
        return true;
    }
    // Sorted, and each country within the file.
    bool check(const Rows& rows) const {
        for (std::size_t row = 0; row < rows.count(); ++row) {
            std::uint64_t place = rows.country(row);
            if (place + 4 > all_.size()) return false;
            std::uint64_t name = static_cast<unsigned char>(all_[place + 3]);
            if (place + 4 + name > all_.size()) return false;
            if (row > 0 && !(rows.first(row - 1) < rows.first(row))) return false;
        }
        return true;
    }
    std::string_view text_at(std::size_t place) const {
        return all_.substr(place + 1, static_cast<unsigned char>(all_[place]));
    }
    std::string_view code_at(std::size_t place) const { return text_at(place).substr(0, 2); }

    void add_networks(const Rows& rows, const std::vector<std::string>& countries, bool all_but,
                      Networks& networks) const {
        for (std::size_t row = 0; row + 1 < rows.count(); ++row) {
            std::string_view code = code_at(rows.country(row));
            if (!is_code(code)) continue;
            networks.tells_countries = true;
            bool listed = std::ranges::find(countries, code) != countries.end();
            if (listed == all_but) continue;
            AddressRange range{rows.first(row), before(rows.first(row + 1))};
            // What a table of IPv6 says of mapped addresses, the one of IPv4 says.
            if (rows.address == 4 || !range.first.is_v4()) networks.ranges.push_back(range);
        }
    }
    static Address before(Address address) {
        for (std::size_t i = address.bytes.size(); i-- > 0;)
            if (address.bytes[i]-- != 0) break;
        return address;
    }

    std::string_view all_;
    Rows v4_, v6_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_ip2location(const std::string& path, Fd copy) {
    auto database = std::make_unique<Ip2Location>();
    if (auto opened = database->open(path, copy); !opened) return std::unexpected(opened.error());
    return database;
}

}  // namespace bandd
