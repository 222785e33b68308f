// SPDX-License-Identifier: GPL-2.0-or-later
#include "programs/request.h"

#include "os/packet.h"

namespace bandd {
namespace {

constexpr std::string_view read_again = "read";
constexpr std::string_view run = "run";

template <class Number>
std::optional<Number> take_number(std::string_view& packet) {
    auto field = take_field(packet);
    if (!field || field->size() != sizeof(Number)) return {};
    return from_bytes<Number>(*field);
}

std::optional<ProgramRequest> parse_run(std::uint64_t id, std::string_view packet) {
    auto generation = take_number<std::uint64_t>(packet);
    auto index = take_number<std::uint32_t>(packet);
    if (!generation || !index) return {};
    RunRequest request{id, *generation, *index, {}};
    while (!packet.empty()) {
        auto tag = take_field(packet);
        auto value = take_field(packet);
        if (!tag || !value || request.values.size() == most_values) return {};
        request.values.emplace_back(std::move(*tag), std::move(*value));
    }
    return request;
}

}  // namespace

std::string to_packet(const ProgramRequest& request) {
    std::string packet;
    const auto* wanted = std::get_if<RunRequest>(&request);
    append_field(packet, wanted != nullptr ? run : read_again);
    append_field(packet,
                 as_bytes(wanted != nullptr ? wanted->id : std::get<ReadRequest>(request).id));
    if (wanted == nullptr) return packet;
    append_field(packet, as_bytes(wanted->generation));
    append_field(packet, as_bytes(wanted->index));
    for (const auto& [tag, value] : wanted->values) {
        append_field(packet, tag);
        append_field(packet, value);
    }
    return packet;
}

std::optional<ProgramRequest> parse_program_request(std::string_view packet) {
    auto kind = take_field(packet);
    auto id = take_number<std::uint64_t>(packet);
    if (!kind || !id) return {};
    if (*kind == run) return parse_run(*id, packet);
    if (*kind == read_again && packet.empty()) return ReadRequest{*id};
    return {};
}

std::string to_packet(const ProgramAnswer& answer) {
    std::string packet;
    append_field(packet, as_bytes(answer.id));
    append_field(packet, as_bytes(answer.outcome));
    append_field(packet, as_bytes(answer.generation));
    append_field(packet, answer.message);
    return packet;
}

std::optional<ProgramAnswer> parse_program_answer(std::string_view packet) {
    auto id = take_number<std::uint64_t>(packet);
    auto outcome = take_number<std::uint8_t>(packet);
    auto generation = take_number<std::uint64_t>(packet);
    auto message = take_field(packet);
    if (!id || !outcome || !generation || !message || !packet.empty()) return {};
    if (*outcome > static_cast<std::uint8_t>(ProgramAnswer::Outcome::refused)) return {};
    return ProgramAnswer{*id, static_cast<ProgramAnswer::Outcome>(*outcome), *generation,
                         std::move(*message)};
}

}  // namespace bandd
