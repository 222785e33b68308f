// SPDX-License-Identifier: GPL-2.0-or-later
// What bandd asks of bandd-programs, and what it hears. One packet each; the process that runs
// programs takes nothing for granted of what comes from bandd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bandd {

// The longest value of a tag, in bytes; and a packet, which the kernel must take whole.
inline constexpr std::size_t longest_value = 32 << 10;
inline constexpr std::size_t largest_program_request = 128 << 10;
inline constexpr std::size_t most_values = 64;

// For each tag of a program, without <>: what it stands for.
using TagValues = std::vector<std::pair<std::string, std::string>>;

// Read the configuration (again). What was read before stays known for a while.
struct ReadRequest {
    std::uint64_t id = 0;
};
// Run a program of a table (config/program_table.h).
struct RunRequest {
    std::uint64_t id = 0;
    std::uint64_t generation = 0;
    std::uint32_t index = 0;
    TagValues values;
};
using ProgramRequest = std::variant<ReadRequest, RunRequest>;

struct ProgramAnswer {
    // refused: it was not even started, as the request was not in order.
    enum class Outcome : std::uint8_t { done, failed, refused };
    std::uint64_t id = 0;
    Outcome outcome = Outcome::failed;
    std::uint64_t generation = 0;  // of what was read
    std::string message;           // unless it is done: why
};

std::string to_packet(const ProgramRequest& request);
std::string to_packet(const ProgramAnswer& answer);
// Nothing if the packet is not exactly what `to_packet` writes.
std::optional<ProgramRequest> parse_program_request(std::string_view packet);
std::optional<ProgramAnswer> parse_program_answer(std::string_view packet);

}  // namespace bandd
