// SPDX-License-Identifier: GPL-2.0-or-later
// Each message's fields stand once, in `fields`, which writes and reads them. `require` is a rule
// that only the reader checks: the writer made its values by the same rules.
#include "action/kernel_protocol.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "config/names.h"
#include "core/base/printable.h"

namespace bandd::kernel {
namespace {

constexpr std::size_t longest_text = 1000;  // of an error's parts
constexpr std::size_t longest_log_prefix = 127;
constexpr std::size_t most_ports = 10'000;
constexpr std::size_t most_hooks = 16;

class Writer {
  public:
    template <class T>
    using Ref = const T&;

    template <class Number>
    void number(Number value) {
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void flag(bool value) { number(static_cast<std::uint8_t>(value)); }
    template <class Enum>
    void one_of(Enum value, std::size_t /*how_many*/) {
        number(static_cast<std::uint8_t>(value));
    }
    // What is over `most` bytes is cut off.
    void text(std::string_view text, std::size_t most) {
        text = text.substr(0, most);
        number(static_cast<std::uint16_t>(text.size()));
        bytes_ += text;
    }
    void bytes(const Address& address) {
        bytes_.append(reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size());
    }
    template <class Items, class Each>
    void list(const Items& items, std::size_t /*most*/, const Each& each) {
        number(static_cast<std::uint32_t>(items.size()));
        for (const auto& item : items) each(*this, item);
    }
    template <class T, class Each>
    void optional(const std::optional<T>& value, const Each& each) {
        flag(value.has_value());
        if (value) each(*this, *value);
    }
    void require(bool) {}

    std::string take() { return std::move(bytes_); }

  private:
    std::string bytes_;
};

class Reader {
  public:
    template <class T>
    using Ref = T&;

    explicit Reader(std::string_view packet) : rest_(packet) {}

    template <class Number>
    void number(Number& value) {
        if (!has(sizeof value)) return;
        std::memcpy(&value, rest_.data(), sizeof value);
        rest_.remove_prefix(sizeof value);
    }
    void flag(bool& value) {
        std::uint8_t byte = 0;
        number(byte);
        require(byte <= 1);
        value = byte == 1;
    }
    template <class Enum>
    void one_of(Enum& value, std::size_t how_many) {
        std::uint8_t byte = 0;
        number(byte);
        require(byte < how_many);
        if (good_) value = static_cast<Enum>(byte);
    }
    void text(std::string& text, std::size_t most) {
        std::uint16_t size = 0;
        number(size);
        require(size <= most);
        if (!has(size)) return;
        text = rest_.substr(0, size);
        rest_.remove_prefix(size);
    }
    void bytes(Address& address) {
        if (!has(address.bytes.size())) return;
        std::memcpy(address.bytes.data(), rest_.data(), address.bytes.size());
        rest_.remove_prefix(address.bytes.size());
    }
    template <class Items, class Each>
    void list(Items& items, std::size_t most, const Each& each) {
        std::uint32_t size = 0;
        number(size);
        // Each item takes a byte at least, so that no count makes us allocate more than was sent.
        require(size <= most && size <= rest_.size());
        items.clear();  // of defaults
        for (std::uint32_t i = 0; good_ && i < size; ++i) each(*this, items.emplace_back());
    }
    template <class T, class Each>
    void optional(std::optional<T>& value, const Each& each) {
        bool there = false;
        flag(there);
        if (good_ && there) each(*this, value.emplace());
    }
    void require(bool rule) { good_ = good_ && rule; }

    bool good() const { return good_; }
    bool whole() const { return good_ && rest_.empty(); }

  private:
    bool has(std::size_t size) {
        require(rest_.size() >= size);
        return good_;
    }
    std::string_view rest_;
    bool good_ = true;
};

// How a list's items are written and read.
constexpr auto each = [](auto& codec, auto& item) { fields(codec, item); };
constexpr auto each_number = [](auto& codec, auto& item) { codec.number(item); };

template <class C>
void duration(C& c, typename C::template Ref<Duration> span) {
    std::int64_t count = span.count();
    c.number(count);
    if constexpr (std::is_same_v<C, Reader>) span = Duration(count);
}

template <class C>
void fields(C& c, typename C::template Ref<Error> error) {
    c.text(error.what, longest_text);
    c.text(error.reason, longest_text);
    c.text(error.hint, longest_text);
    // It may hold what others wrote, and is printed.
    if constexpr (std::is_same_v<C, Reader>)
        for (std::string* text : {&error.what, &error.reason, &error.hint})
            *text = printable(*text);
}

template <class C>
void fields(C& c, typename C::template Ref<Prefix> prefix) {
    c.bytes(prefix.network);
    c.number(prefix.length);
    c.require(prefix.length <= prefix.network.bits());
    c.require(make_prefix(prefix.network, prefix.length) == prefix);
}

template <class C>
void fields(C& c, typename C::template Ref<AddressRange> range) {
    c.bytes(range.first);
    c.bytes(range.last);
    c.require(range.first <= range.last && range.first.is_v4() == range.last.is_v4());
}

template <class C>
void fields(C& c, typename C::template Ref<PortRange> ports) {
    c.number(ports.first);
    c.number(ports.last);
    c.require(ports.first <= ports.last);
}

template <class C>
void fields(C& c, typename C::template Ref<NftablesAction> action) {
    c.list(action.hooks, most_hooks, [](auto& codec, auto& hook) { codec.one_of(hook, 3); });
    c.list(action.interfaces, most_interfaces, [](auto& codec, auto& name) {
        codec.text(name, longest_interface);
        codec.require(is_interface_pattern(name));
    });
    c.number(action.priority);
    c.one_of(action.verdict, 2);
    c.text(action.log_prefix, longest_log_prefix);
    c.require(action.log_prefix.find('\0') == std::string::npos);
    c.list(action.ports, most_ports, each);
    c.list(action.protocols, 2, each_number);
    for (Protocol protocol : action.protocols)
        c.require(protocol == Protocol::tcp || protocol == Protocol::udp);
}

bool is_ours(const std::string& set) { return set.empty() || set.starts_with("bandd-"); }

// Only sets of our own are made, emptied and destroyed, so those have names of our own.
template <class C>
void fields(C& c, typename C::template Ref<IpsetAction> action) {
    for (auto* set : {&action.set4, &action.set6}) {
        c.text(*set, longest_ipset_name);
        c.require(set->empty() || is_ipset_name(*set));
    }
    c.flag(action.ours);
    c.flag(action.create);
    c.number(action.maxelem);
    c.number(action.widest4);
    c.number(action.widest6);
    c.require(action.widest4 >= 0 && action.widest4 <= 32);
    c.require(action.widest6 >= 0 && action.widest6 <= 128);
    c.require(!action.ours || (is_ours(action.set4) && is_ours(action.set6)));
}

template <class C>
void fields(C& c, typename C::template Ref<TargetSpec> target) {
    c.number(target.id);
    c.number(target.jail);
    c.text(target.jail_name, longest_jail_name);
    c.require(is_jail_name(target.jail_name));
    bool is_ipset = std::holds_alternative<IpsetAction>(target.action);
    if constexpr (std::is_same_v<C, Reader>) {
        c.flag(is_ipset);
        if (is_ipset) target.action = IpsetAction{};
    } else {
        c.flag(is_ipset);
    }
    if (auto* ipset = std::get_if<IpsetAction>(&target.action)) fields(c, *ipset);
    if (auto* nftables = std::get_if<NftablesAction>(&target.action)) fields(c, *nftables);
}

template <class C>
void fields(C& c, typename C::template Ref<Order> order) {
    c.one_of(order.kind, 3);
    c.number(order.target);
    fields(c, order.prefix);
    duration(c, order.timeout);
}

template <class C>
void fields(C& c, typename C::template Ref<Geoblock> block) {
    c.text(block.config.name, longest_jail_name);
    c.require(is_jail_name(block.config.name));
    fields(c, block.config.packets);
    c.list(block.ranges, most_networks, each);
}

template <class C>
void fields(C& c, typename C::template Ref<SetTraits> traits) {
    c.flag(traits.timed);
    c.flag(traits.ours);
    c.number(traits.most4);
    c.number(traits.most6);
    duration(c, traits.longest);
    c.require(traits.longest > Duration{0});
}

template <class C>
void fields(C& c, typename C::template Ref<Present> present) {
    fields(c, present.prefix);
    c.optional(present.remaining, [](auto& codec, auto& left) {
        duration(codec, left);
        codec.require(left >= Duration{0});
    });
}

template <class C>
void fields(C& c, typename C::template Ref<Failure> failure) {
    std::uint32_t index = static_cast<std::uint32_t>(failure.index);
    c.number(index);
    if constexpr (std::is_same_v<C, Reader>) failure.index = index;
    fields(c, failure.error);
    c.flag(failure.full);
}

template <class C>
void fields(C& c, typename C::template Ref<Open> open) {
    c.text(open.version, longest_text);
    c.one_of(open.served, 3);
}
template <class C>
void fields(C& c, typename C::template Ref<Targets> targets) {
    c.list(targets.targets, most_targets, each);
    c.flag(targets.more);
}
template <class C>
void fields(C& c, typename C::template Ref<LookAt> look) {
    c.number(look.id);
    c.number(look.target);
    c.one_of(look.look, 3);
}
template <class C>
void fields(C& c, typename C::template Ref<Apply> apply) {
    c.number(apply.id);
    c.list(apply.orders, most_orders, each);
    c.flag(apply.more);
}
template <class C>
void fields(C&, typename C::template Ref<Clear>) {}
template <class C>
void fields(C& c, typename C::template Ref<PutGeoblocks> put) {
    c.list(put.blocks, most_blocks, each);
    c.flag(put.more);
}
template <class C>
void fields(C&, typename C::template Ref<FindGeoblocks>) {}

template <class C>
void fields(C& c, typename C::template Ref<Opened> opened) {
    c.optional(opened.error, each);
    c.flag(opened.sees_touches);
    c.number(opened.most_listed);
}
template <class C>
void fields(C& c, typename C::template Ref<Done> done) {
    c.optional(done.error, each);
}
template <class C>
void fields(C& c, typename C::template Ref<Elements> elements) {
    c.number(elements.id);
    fields(c, elements.traits);
    c.list(elements.elements, largest_packet, each);
}
template <class C>
void fields(C& c, typename C::template Ref<Looked> looked) {
    c.number(looked.id);
    fields(c, looked.traits);
    c.optional(looked.error, each);
    c.optional(looked.count, each_number);
    c.list(looked.remarks, most_remarks, each);
}
template <class C>
void fields(C& c, typename C::template Ref<Applied> applied) {
    c.number(applied.id);
    c.list(applied.failed, most_orders, each);
    c.flag(applied.more);
}
template <class C>
void fields(C&, typename C::template Ref<Touched>) {}
template <class C>
void fields(C& c, typename C::template Ref<Found> found) {
    c.flag(found.stands);
}

template <class Message>
std::string encode_message(const Message& message) {
    Writer writer;
    writer.number(static_cast<std::uint8_t>(message.index()));
    std::visit([&](const auto& one) { fields(writer, one); }, message);
    return writer.take();
}

// Makes the alternative with that number.
template <class Message, std::size_t... numbers>
Message make_message(std::size_t number, std::index_sequence<numbers...>) {
    Message message;
    (void)((number == numbers ? (message.template emplace<numbers>(), true) : false) || ...);
    return message;
}

template <class Message>
std::optional<Message> decode_message(std::string_view packet) {
    constexpr std::size_t kinds = std::variant_size_v<Message>;
    Reader reader(packet);
    std::uint8_t kind = 0;
    reader.number(kind);
    if (packet.size() > largest_packet || kind >= kinds) return {};
    Message message = make_message<Message>(kind, std::make_index_sequence<kinds>{});
    std::visit([&](auto& one) { fields(reader, one); }, message);
    if (!reader.whole()) return {};
    return message;
}

template <class Item>
std::size_t size_of(const Item& item) {
    Writer writer;
    fields(writer, item);
    return writer.take().size();
}

// Fills messages with items until a packet is full.
template <class Message, class Item>
std::vector<std::string> encode_list(const Message& empty, std::vector<Item> Message::* list,
                                     std::span<const Item> items) {
    std::vector<std::string> packets;
    for (std::size_t at = 0; at < items.size() || packets.empty();) {
        Message message = empty;
        for (std::size_t size = 0; at < items.size() && size < packet_size; ++at) {
            size += size_of(items[at]);
            (message.*list).push_back(items[at]);
        }
        message.more = at < items.size();
        if constexpr (std::is_same_v<Message, Applied>)
            packets.push_back(encode(Answer(std::move(message))));
        else
            packets.push_back(encode(Request(std::move(message))));
    }
    return packets;
}

}  // namespace

std::string encode(const Request& request) { return encode_message(request); }
std::string encode(const Answer& answer) { return encode_message(answer); }
std::optional<Request> decode_request(std::string_view packet) {
    return decode_message<Request>(packet);
}
std::optional<Answer> decode_answer(std::string_view packet) {
    return decode_message<Answer>(packet);
}

std::optional<std::string> version_in_open(std::string_view packet) {
    Reader reader(packet);
    std::uint8_t kind = 0;
    reader.number(kind);
    reader.require(kind == Request(Open{}).index());
    std::string version;
    reader.text(version, longest_text);
    if (!reader.good()) return {};
    return version;
}

std::vector<std::string> encode_targets(const std::vector<TargetSpec>& targets) {
    return encode_list<Targets, TargetSpec>({}, &Targets::targets, targets);
}

std::vector<std::string> encode_failures(RequestId id, const std::vector<Failure>& failed) {
    return encode_list<Applied, Failure>({id, {}, false}, &Applied::failed, failed);
}

// As `encode` writes an Apply, but without a copy of the orders, as there are many.
std::vector<std::string> encode_orders(RequestId id, std::span<const Order> orders) {
    constexpr std::size_t orders_a_packet = packet_size / 28;
    constexpr std::uint8_t kind = Request(Apply{}).index();
    std::vector<std::string> packets;
    do {
        auto part = orders.first(std::min(orders.size(), orders_a_packet));
        orders = orders.subspan(part.size());
        Writer writer;
        writer.number(kind);
        writer.number(id);
        writer.list(part, most_orders, each);
        writer.flag(!orders.empty());
        packets.push_back(writer.take());
    } while (!orders.empty());
    return packets;
}

std::vector<std::string> encode_geoblocks(const std::vector<Geoblock>& blocks) {
    constexpr std::size_t ranges_a_part = packet_size / 32;
    std::vector<Geoblock> parts;
    for (const Geoblock& block : blocks) {
        std::size_t at = 0;
        do {
            std::size_t end = std::min(at + ranges_a_part, block.ranges.size());
            Geoblock part;
            part.config.name = block.config.name;
            part.config.packets = block.config.packets;
            part.ranges.assign(block.ranges.begin() + static_cast<std::ptrdiff_t>(at),
                               block.ranges.begin() + static_cast<std::ptrdiff_t>(end));
            parts.push_back(std::move(part));
            at = end;
        } while (at < block.ranges.size());
    }
    return encode_list<PutGeoblocks, Geoblock>({}, &PutGeoblocks::blocks, parts);
}

}  // namespace bandd::kernel
