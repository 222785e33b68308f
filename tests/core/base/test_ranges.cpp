// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/base/address_ranges.h"
#include "support/common.h"

#include <random>

using namespace bandd;

namespace {

std::string text(const std::vector<AddressRange>& ranges) {
    std::string out;
    for (const AddressRange& range : ranges)
        out += to_string(range.first) + "-" + to_string(range.last) + " ";
    return out;
}
std::vector<AddressRange> ranges(const std::vector<std::string>& blocks) {
    std::vector<AddressRange> out;
    for (const std::string& block : blocks) out.push_back(range_of(prefix(block)));
    return merge_ranges(out);
}

}  // namespace

TEST_CASE("ranges: what touches or overlaps becomes one, families stay apart") {
    CHECK(text(ranges({"10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.0.3.0/24"})) ==
          "10.0.0.0-10.0.1.255 10.0.3.0-10.0.3.255 ");
    CHECK(text(ranges({"255.255.255.0/24", "::/8"})) ==
          "::-ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 255.255.255.0-255.255.255.255 ");
    CHECK_FALSE(next_address(ip("255.255.255.255")));
    CHECK(next_address(ip("10.0.255.255")) == ip("10.1.0.0"));
}

TEST_CASE("ranges: exceptions are cut out, wherever they lie") {
    auto left = [](const std::vector<std::string>& blocks, const std::vector<std::string>& holes) {
        return text(subtract_ranges(ranges(blocks), ranges(holes)));
    };
    CHECK(left({"10.0.0.0/24"}, {"10.0.0.128/25"}) == "10.0.0.0-10.0.0.127 ");
    CHECK(left({"10.0.0.0/24"}, {"10.0.0.1", "10.0.0.3"}) ==
          "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.2 10.0.0.4-10.0.0.255 ");
    CHECK(left({"10.0.0.0/24", "10.0.2.0/24"}, {"10.0.0.0/22"}) == "");
    CHECK(left({"10.0.0.0/24"}, {"9.0.0.0/8", "11.0.0.0/8"}) == "10.0.0.0-10.0.0.255 ");
    CHECK(left({"0.0.0.0/0"}, {"0.0.0.0/1"}) == "128.0.0.0-255.255.255.255 ");
    CHECK(left({"2001:db8::/32"}, {"2001:db8::/33"}) ==
          "2001:db8:8000::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff ");
}

TEST_CASE("ranges: as counted address by address") {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        std::vector<bool> in(256), out(256);
        std::vector<AddressRange> blocks, holes;
        auto make = [&](std::vector<bool>& set, std::vector<AddressRange>& list) {
            for (auto i = random() % 8; i > 0; --i) {
                auto first = static_cast<unsigned>(random() % 256);
                unsigned last =
                    std::min<unsigned>(255U, first + static_cast<unsigned>(random() % 40));
                Address a = ip("10.0.0." + std::to_string(first));
                list.push_back({a, ip("10.0.0." + std::to_string(last))});
                for (unsigned j = first; j <= last; ++j) set[j] = true;
            }
        };
        make(in, blocks);
        make(out, holes);
        auto left = subtract_ranges(merge_ranges(blocks), merge_ranges(holes));
        CHECK(left == merge_ranges(left));
        for (unsigned j = 0; j < 256; ++j) {
            Address a = ip("10.0.0." + std::to_string(j));
            bool found = std::ranges::any_of(
                left, [&](const AddressRange& r) { return r.first <= a && a <= r.last; });
            REQUIRE(found == (in[j] && !out[j]));
        }
    }
}
