// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd and its process bandd-kernel say to each other, as packets of a SOCK_SEQPACKET socket.
// bandd-kernel holds the kernel's sets; bandd decides what is in them. Neither believes the other:
// what is decoded here keeps the rules of the configuration (names, ranges, canonical prefixes), so
// that no packet makes bandd-kernel touch more than the table `bandd` or sets that the
// configuration could name, and makes bandd print or keep more than a set could hold. Both are from
// one build, so numbers stand as they are in memory.
//
// First comes `Open`, which says what this connection is for. Requests are carried out one after
// the other, and answered in their order; only `Touched` comes unasked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "action/carrier.h"
#include "core/base/address_ranges.h"

namespace bandd {

// Geoblock: a table of its own with an interval set for each block and family.
struct Geoblock {
    GeoblockConfig config;             // its name and `packets` count here
    std::vector<AddressRange> ranges;  // as `merge_ranges` gives them
};

namespace kernel {

// A longer one is none of ours; a list is cut into packets of about `packet_size`.
inline constexpr std::size_t largest_packet = 128 << 10;
inline constexpr std::size_t packet_size = 48 << 10;
// Orders of one `Apply`; networks of all geoblocks, which are at most some 1.3 million.
inline constexpr std::size_t most_orders = 32'768;
inline constexpr std::size_t most_targets = 65'536;
// Elements of one list; no kernel holds so many in a set that can be used.
inline constexpr std::size_t most_elements = 16'000'000;
inline constexpr std::size_t most_networks = 8'000'000;
inline constexpr std::size_t most_blocks = 1000;
inline constexpr std::size_t most_remarks = 16;  // on a target

enum class Served : std::uint8_t { nftables, ipset, geoblocks };

// The first field, in every version: after an upgrade, bandd may run on while a new bandd-kernel is
// started, which then refuses to serve it.
struct Open {
    std::string version = BANDD_VERSION;
    Served served = Served::nftables;
};
// `more`: another packet belongs to this request.
struct Targets {
    std::vector<TargetSpec> targets;
    bool more = false;
};
// The target is prepared, then counted or listed.
struct LookAt {
    RequestId id = 0;
    TargetId target = 0;
    Look look = Look::prepare;
};
struct Apply {
    RequestId id = 0;
    std::vector<Order> orders;
    bool more = false;
};
struct Clear {};
// A block may be cut: its next part, with the same name, follows.
struct PutGeoblocks {
    std::vector<Geoblock> blocks;
    bool more = false;
};
struct FindGeoblocks {};
using Request = std::variant<Open, Targets, LookAt, Apply, Clear, PutGeoblocks, FindGeoblocks>;

struct Opened {
    std::optional<Error> error;
    bool sees_touches = false;  // it says when somebody touched what is ours
    std::uint64_t most_listed = 0;
};
struct Done {  // of Targets, Clear, PutGeoblocks
    std::optional<Error> error;
};
struct Elements {  // of LookAt, before Looked
    RequestId id = 0;
    SetTraits traits;
    std::vector<Present> elements;
};
struct Looked {
    RequestId id = 0;
    SetTraits traits;
    std::optional<Error> error;
    std::optional<std::uint64_t> count;
    std::vector<Error> remarks;
};
struct Applied {
    RequestId id = 0;
    std::vector<Failure> failed;
    bool more = false;
};
struct Touched {};
struct Found {  // of FindGeoblocks
    bool stands = false;
};
using Answer = std::variant<Opened, Done, Elements, Looked, Applied, Touched, Found>;

// One packet, however long. What may be too long for one has a function of its own below.
std::string encode(const Request& request);
std::string encode(const Answer& answer);
// Nothing: it was not made by `encode`, or breaks a rule.
std::optional<Request> decode_request(std::string_view packet);
std::optional<Answer> decode_answer(std::string_view packet);
// The version in an `Open` of any version; nothing: it is none.
std::optional<std::string> version_in_open(std::string_view packet);

// As many packets as it takes; at least one.
std::vector<std::string> encode_targets(const std::vector<TargetSpec>& targets);
std::vector<std::string> encode_orders(RequestId id, std::span<const Order> orders);
std::vector<std::string> encode_failures(RequestId id, const std::vector<Failure>& failed);
std::vector<std::string> encode_geoblocks(const std::vector<Geoblock>& blocks);
// Elements that fit into one packet.
inline constexpr std::size_t elements_a_packet = packet_size / 26;

}  // namespace kernel
}  // namespace bandd
