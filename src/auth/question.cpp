// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/question.h"

#include <algorithm>
#include <cstring>

#include "os/packet.h"

namespace bandd {

void Secret::wipe(std::string& text) {
    // All of it, also what lies behind the end.
    text.resize(text.capacity());
    explicit_bzero(text.data(), text.size());
    text.clear();
}

// On the heap, however short: what lies within a std::string is copied wherever that is moved.
Secret::Secret(std::string_view text) {
    constexpr std::size_t never_short = 64;
    text_.reserve(std::max(text.size(), never_short));
    text_ = text;
}

Secret::Secret(std::string&& text) : Secret(std::string_view(text)) { wipe(text); }

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe(text_);
    text_ = std::move(other.text_);
    wipe(other.text_);
    return *this;
}

std::string_view to_string(PasswordVerdict verdict) {
    switch (verdict) {
        case PasswordVerdict::right:
            return "right";
        case PasswordVerdict::wrong:
            return "wrong";
        case PasswordVerdict::late:
            return "late";
        case PasswordVerdict::unknown:
            break;
    }
    return "unknown";
}

std::optional<PasswordVerdict> parse_verdict(std::string_view text) {
    for (PasswordVerdict verdict : {PasswordVerdict::right, PasswordVerdict::wrong,
                                    PasswordVerdict::late, PasswordVerdict::unknown})
        if (text == to_string(verdict)) return verdict;
    return {};
}

Secret to_packet(const PasswordQuestion& question) {
    std::string packet;
    // Once, so that no part of it stays behind in memory that was too small.
    packet.reserve(64 + question.user.size() + question.protocol.size() + question.client.size() +
                   question.password.view().size());
    append_field(packet, as_bytes(question.id));
    append_field(packet, question.user);
    append_field(packet, question.protocol);
    append_field(packet, question.client);
    append_field(packet, question.password.view());
    return Secret(std::move(packet));
}

std::optional<PasswordQuestion> parse_question(std::string_view packet) {
    auto id = take_field(packet);
    auto user = take_field(packet);
    auto protocol = take_field(packet);
    auto client = take_field(packet);
    auto password = take_field_view(packet);
    if (!password) return {};
    PasswordQuestion question;
    question.password = Secret(*password);
    if (id->size() != sizeof question.id || user->size() > longest_password ||
        question.password.view().size() > longest_password)
        return {};
    question.id = from_bytes<std::uint64_t>(*id);
    question.user = std::move(*user);
    question.protocol = std::move(*protocol);
    question.client = std::move(*client);
    return question;
}

std::string to_packet(const PasswordAnswer& answer) {
    std::string packet;
    append_field(packet, as_bytes(answer.id));
    append_field(packet, to_string(answer.verdict));
    return packet;
}

std::optional<PasswordAnswer> parse_answer(std::string_view packet) {
    auto id = take_field(packet);
    auto verdict = take_field(packet);
    if (!verdict || id->size() != sizeof(std::uint64_t)) return {};
    auto known = parse_verdict(*verdict);
    if (!known) return {};
    return PasswordAnswer{from_bytes<std::uint64_t>(*id), *known};
}

}  // namespace bandd
