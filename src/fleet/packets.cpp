// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/packets.h"

#include <algorithm>

#include "os/packet.h"

namespace bandd {
namespace {

// Each packet begins with what it is. Unknown ones are none, so either side may be the newer one
// while bandd is upgraded.
constexpr std::string_view access_word = "access", publish_word = "publish",
                           settled_word = "settled", keep_word = "keep", message_word = "message",
                           published_word = "published", refused_word = "refused",
                           state_word = "state", progress_word = "progress";
constexpr std::size_t longest_why = 1024;

class Writer {
  public:
    explicit Writer(std::string_view word) { text(word); }
    Writer& text(std::string_view value) {
        append_field(packet_, value);
        return *this;
    }
    Writer& number(std::uint64_t value) { return text(as_bytes(value)); }
    Writer& texts(const std::vector<std::string>& values) {
        number(values.size());
        for (const std::string& value : values) text(value);
        return *this;
    }
    std::string done() { return std::move(packet_); }

  private:
    std::string packet_;
};

// Once a field is missing, too long or of the wrong size, `whole` says so, and all is empty.
class Reader {
  public:
    explicit Reader(std::string_view packet) : rest_(packet) {}
    std::string text(std::size_t longest) {
        auto field = take_field_view(rest_);
        if (!field || field->size() > longest) {
            broken_ = true;
            return {};
        }
        return std::string(*field);
    }
    std::uint64_t number() {
        std::string bytes = text(sizeof(std::uint64_t));
        if (bytes.size() != sizeof(std::uint64_t)) broken_ = true;
        return from_bytes<std::uint64_t>(bytes);
    }
    std::vector<std::string> texts(std::size_t most, std::size_t longest) {
        std::vector<std::string> values;
        std::uint64_t count = number();
        if (count > most) broken_ = true;
        while (!broken_ && values.size() < count) values.push_back(text(longest));
        return values;
    }
    bool whole() const { return !broken_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool broken_ = false;
};

template <class Said>
std::optional<Said> if_whole(const Reader& reader, Said said) {
    if (!reader.whole()) return {};
    return said;
}

struct Write {
    std::string operator()(const FleetAccess& said) const {
        return Writer(access_word)
            .text(said.fleet)
            .text(said.node)
            .texts(said.servers)
            .texts(said.counting)
            .text(said.authority)
            .text(said.seed)
            .done();
    }
    std::string operator()(const FleetPublish& said) const {
        return Writer(publish_word).number(said.id).text(said.subject).text(said.payload).done();
    }
    std::string operator()(const FleetSettled& said) const {
        return Writer(settled_word).number(said.ticket).done();
    }
    std::string operator()(const FleetKeep& said) const {
        return Writer(keep_word).text(said.node).number(said.anew ? 1 : 0).done();
    }
    std::string operator()(const FleetMessage& said) const {
        return Writer(message_word)
            .number(said.ticket)
            .text(said.subject)
            .text(said.stream)
            .number(said.sequence)
            .number(static_cast<std::uint64_t>(said.stored.us))
            .text(said.payload)
            .done();
    }
    std::string operator()(const FleetPublished& said) const {
        return Writer(published_word).number(said.id).done();
    }
    std::string operator()(const FleetRefused& said) const {
        return Writer(refused_word).number(said.id).text(said.why.substr(0, longest_why)).done();
    }
    std::string operator()(const FleetState& said) const {
        return Writer(state_word)
            .number(said.connected ? 1 : 0)
            .text(said.server)
            .text(said.why_not.substr(0, longest_why))
            .texts(said.addresses)
            .number(said.lost)
            .number(said.foreign)
            .done();
    }
    std::string operator()(const FleetProgress& said) const {
        return Writer(progress_word).text(said.stream).text(said.made).number(said.pending).done();
    }
};

}  // namespace

bool FleetAccess::counts() const { return std::ranges::find(counting, node) != counting.end(); }

std::string to_packet(const ToFleet& said) { return std::visit(Write{}, said); }
std::string to_packet(const FromFleet& said) { return std::visit(Write{}, said); }

std::optional<ToFleet> parse_to_fleet(std::string_view packet) {
    Reader reader(packet);
    std::string word = reader.text(16);
    if (word == access_word) {
        FleetAccess said;
        said.fleet = reader.text(longest_fleet_name);
        said.node = reader.text(longest_fleet_name);
        said.servers = reader.texts(most_fleet_servers, longest_fleet_name + 8);
        said.counting = reader.texts(most_counting_nodes, longest_fleet_name);
        said.authority = reader.text(largest_authority);
        said.seed = reader.text(longest_fleet_name);
        return if_whole<ToFleet>(reader, std::move(said));
    }
    if (word == publish_word) {
        FleetPublish said;
        said.id = reader.number();
        said.subject = reader.text(longest_fleet_subject);
        said.payload = reader.text(largest_fleet_payload);
        return if_whole<ToFleet>(reader, std::move(said));
    }
    if (word == settled_word) {
        FleetSettled said{reader.number()};
        return if_whole<ToFleet>(reader, said);
    }
    if (word == keep_word) {
        FleetKeep said{reader.text(longest_fleet_name)};
        said.anew = reader.number() == 1;
        return if_whole<ToFleet>(reader, std::move(said));
    }
    return {};
}

std::optional<FromFleet> parse_from_fleet(std::string_view packet) {
    Reader reader(packet);
    std::string word = reader.text(16);
    if (word == message_word) {
        FleetMessage said;
        said.ticket = reader.number();
        said.subject = reader.text(longest_fleet_subject);
        said.stream = reader.text(longest_fleet_name);
        said.sequence = reader.number();
        said.stored.us = static_cast<std::int64_t>(reader.number());
        said.payload = reader.text(largest_fleet_payload);
        return if_whole<FromFleet>(reader, std::move(said));
    }
    if (word == published_word) {
        FleetPublished said{reader.number()};
        return if_whole<FromFleet>(reader, said);
    }
    if (word == refused_word) {
        FleetRefused said{reader.number(), {}};
        said.why = reader.text(longest_why);
        return if_whole<FromFleet>(reader, std::move(said));
    }
    if (word == state_word) {
        FleetState said;
        said.connected = reader.number() == 1;
        said.server = reader.text(longest_fleet_name + 8);
        said.why_not = reader.text(longest_why);
        said.addresses = reader.texts(most_fleet_addresses, longest_fleet_name);
        said.lost = reader.number();
        said.foreign = reader.number();
        return if_whole<FromFleet>(reader, std::move(said));
    }
    if (word == progress_word) {
        FleetProgress said;
        said.stream = reader.text(longest_fleet_name);
        said.made = reader.text(longest_fleet_name);
        said.pending = reader.number();
        return if_whole<FromFleet>(reader, std::move(said));
    }
    return {};
}

}  // namespace bandd
