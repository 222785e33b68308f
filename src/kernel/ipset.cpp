// SPDX-License-Identifier: GPL-2.0-or-later
// libipset is driven by lines as ipset(8) takes them. Single orders go as single lines, which tells
// each one's error; several go in messages of our own (kernel/ipset_batch), and only if the kernel
// refuses one of these are they tried one by one.
#include "kernel/ipset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "action/ipset_fitness.h"
#include "kernel/ipset_batch.h"

extern "C" {
#include <libipset/ipset.h>
}

namespace bandd {
namespace {

// linux/netfilter/ipset: UINT_MAX / MSEC_PER_SEC, halved; ipset(8) "timeout".
constexpr Duration longest_timeout = std::chrono::seconds(2147483);
constexpr std::size_t together_from = 2;  // orders

// libipset prints; these catch it. One thread uses libipset, so one place will do.
struct Capture {
    std::string output;
    std::string error;
    const IpsetBackend::OnLine* on_line = nullptr;  // takes whole lines out of `output`
};
Capture captured;

std::string format_arguments(const char* format, va_list arguments) {
    va_list copy;
    va_copy(copy, arguments);
    int size = vsnprintf(nullptr, 0, format, copy);
    va_end(copy);
    std::string text(static_cast<std::size_t>(std::max(size, 0)), '\0');
    vsnprintf(text.data(), text.size() + 1, format, arguments);
    return text;
}

int on_output(struct ipset_session*, void*, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    captured.output += format_arguments(format, arguments);
    va_end(arguments);
    if (captured.on_line == nullptr) return 0;
    std::string_view rest = captured.output;
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        (*captured.on_line)(rest.substr(0, end));
        rest.remove_prefix(end + 1);
    }
    captured.output.erase(0, captured.output.size() - rest.size());
    return 0;
}

int on_custom_error(ipset*, void*, int, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    captured.error += format_arguments(format, arguments);
    va_end(arguments);
    return -1;
}

int on_standard_error(ipset* session, void*) {
    struct ipset_session* inner = ::ipset_session(session);
    if (ipset_session_report_type(inner) != IPSET_NO_ERROR) {
        if (const char* message = ipset_session_report_msg(inner)) captured.error += message;
        ipset_session_report_reset(inner);
    }
    return -1;
}

std::string one_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    std::ranges::replace(text, '\n', ' ');
    if (text.starts_with("Error in line")) {
        auto colon = text.find(": ");
        if (colon != std::string::npos) text.erase(0, colon + 2);
    }
    return text;
}

// "add NAME ELEMENT timeout SECONDS"
std::optional<Present> element_of(std::string_view line) {
    auto next_word = [&] {
        std::string_view word = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(line.size(), word.size() + 1));
        return word;
    };
    if (next_word() != "add") return {};
    next_word();
    auto prefix = parse_prefix(next_word());
    if (!prefix) return {};
    Present found{*prefix, {}};
    while (!line.empty()) {
        if (next_word() != "timeout") continue;
        std::int64_t seconds = std::atoll(std::string(next_word()).c_str());
        if (seconds != 0) found.remaining = std::chrono::seconds(seconds);
    }
    return found;
}

}  // namespace

Result<std::unique_ptr<IpsetBackend>> IpsetBackend::create() {
    ipset_load_types();
    auto netlink = Netlink::open(NETLINK_NETFILTER);
    if (!netlink) return std::unexpected(netlink.error());
    std::unique_ptr<IpsetBackend> backend(new IpsetBackend(std::move(*netlink)));
    if (!backend->open_session()) return fail("ipset", "libipset does not start");
    return backend;
}

IpsetBackend::~IpsetBackend() {
    if (session_ != nullptr) ipset_fini(session_);
}

// After an error a libipset session is not usable: it goes on aggregating a broken restore, or
// takes the next answer for the last one's ("Internal protocol error"). So each error costs a new
// session.
bool IpsetBackend::open_session() {
    if (session_ != nullptr) ipset_fini(session_);
    session_ = ipset_init();
    if (session_ == nullptr) return false;
    ipset_custom_printf(session_, on_custom_error, on_standard_error, on_output, nullptr);
    return true;
}

Result<> IpsetBackend::command(const std::string& line, std::string* output,
                               const OnLine* on_line) {
    captured = {};
    captured.on_line = on_line;
    if (session_ == nullptr && !open_session())
        return fail("ipset " + line, "libipset does not start");
    std::string copy = line;
    int result = ipset_parse_line(session_, copy.data());
    if (result == 0 && captured.error.empty()) {
        if (output != nullptr) *output = std::move(captured.output);
        return {};
    }
    std::string reason = one_line(captured.error);
    if (reason.empty()) reason = "the kernel refuses it";
    open_session();
    return fail("ipset " + line, reason);
}

void IpsetBackend::set_targets(std::vector<TargetSpec> targets) {
    std::map<TargetId, TargetSpec> old = std::move(targets_);
    targets_.clear();
    for (TargetSpec& target : targets) targets_.emplace(target.id, std::move(target));
    headers_.clear();
    // Sets of ours that no jail uses any more. One that iptables rules refer to can't be destroyed;
    // it is emptied.
    for (const auto& [id, gone] : old) {
        const auto& action = std::get<IpsetAction>(gone.action);
        if (!action.ours) continue;
        bool kept = std::ranges::any_of(targets_, [&](const auto& entry) {
            return std::get<IpsetAction>(entry.second.action).set4 == action.set4;
        });
        if (kept) continue;
        for (const std::string& set : {action.set4, action.set6})
            if (!command("destroy " + set)) [[maybe_unused]]
                auto ignored = command("flush " + set);
    }
}

Result<> IpsetBackend::check(const std::string& set, bool v4, const IpsetAction& action) {
    if (set.empty()) return {};
    auto header = read_ipset_header(netlink_, set);
    if (header && !*header && !action.create)
        return std::unexpected(missing_ipset(set, v4, action));
    if (header && !*header) {
        if (auto made = command(fmt::format("create {} hash:net family {} timeout 0 maxelem {}",
                                            set, v4 ? "inet" : "inet6", action.maxelem));
            !made)
            return made;
        header = read_ipset_header(netlink_, set);
    }
    if (!header)
        return fail(
            "ipset \"" + set + "\"", header.error().reason,
            netlink_.refusal() == EPERM ? "bandd needs CAP_NET_ADMIN: start it as root" : "");
    if (!*header) return fail("ipset \"" + set + "\"", "is gone as soon as it is made");
    if (auto fits = check_ipset(set, v4, **header); !fits) return fits;
    headers_[set] = **header;
    return {};
}

// One set that cannot be used does not hold up bans of the other family.
Result<> IpsetBackend::prepare(TargetId target) {
    const auto& action = std::get<IpsetAction>(targets_.at(target).action);
    std::optional<Error> fault;
    bool any = false;
    for (bool v4 : {true, false}) {
        const std::string& set = set_for(action, v4);
        unusable_.erase(set);
        if (set.empty()) continue;
        auto checked = check(set, v4, action);
        any = any || checked;
        if (checked) continue;
        headers_.erase(set);
        unusable_.emplace(set, checked.error());
        if (!fault) fault = checked.error();
    }
    if (any || !fault) return {};
    return std::unexpected(*fault);
}

std::vector<std::string> IpsetBackend::usable_sets(const IpsetAction& action) const {
    std::vector<std::string> sets;
    for (const std::string& set : {action.set4, action.set6})
        if (!set.empty() && !unusable_.contains(set)) sets.push_back(set);
    return sets;
}

SetTraits IpsetBackend::traits(TargetId target) const {
    const auto& action = std::get<IpsetAction>(targets_.at(target).action);
    SetTraits traits;
    traits.ours = action.ours;
    traits.longest = longest_timeout;
    // Where one of the two sets has no timeouts, removing an element that is gone already is no
    // error, so that "not timed" is always safe.
    for (const std::string& set : {action.set4, action.set6})
        if (auto header = headers_.find(set); header != headers_.end()) {
            traits.timed = traits.timed && header->second.timed;
            if (header->second.maxelem > 0)
                (header->second.v4 ? traits.most4 : traits.most6) = header->second.maxelem;
        }
    return traits;
}

std::vector<Error> IpsetBackend::remarks(TargetId target) const {
    const auto& action = std::get<IpsetAction>(targets_.at(target).action);
    std::vector<Error> remarks;
    for (const std::string& set : {action.set4, action.set6})
        if (auto fault = unusable_.find(set); fault != unusable_.end())
            remarks.push_back(fault->second);
        else if (auto header = headers_.find(set); header != headers_.end()) {
            std::ranges::move(doubts_about_ipset(set, header->second, action),
                              std::back_inserter(remarks));
            if (auto note = note_on_ipset(set, header->second)) remarks.push_back(*note);
        }
    return remarks;
}

Result<std::string> IpsetBackend::fitting_set(const Order& order) const {
    const auto& action = std::get<IpsetAction>(targets_.at(order.target).action);
    const std::string& set = set_for(action, order.prefix.is_v4());
    if (set.empty())
        return fail("ipset \"" + (order.prefix.is_v4() ? action.set6 : action.set4) + "\"",
                    std::string("is for ") + (order.prefix.is_v4() ? "IPv6" : "IPv4") + " only",
                    order.prefix.is_v4() ? "name a set for IPv4 with \"set:\""
                                         : "name a set for IPv6 with \"set6:\"");
    if (auto fault = unusable_.find(set); fault != unusable_.end())
        return std::unexpected(fault->second);
    auto header = headers_.find(set);
    if (header == headers_.end()) return fail("ipset \"" + set + "\"", "does not exist");
    if (header->second.type == "hash:ip" && !order.prefix.is_single())
        return fail("ipset \"" + set + "\"",
                    "is of type hash:ip and can't hold " + to_string(order.prefix),
                    "make it a hash:net set, or set ban_prefix to single addresses");
    return set;
}

// In seconds; 0 stays until it is removed. Nothing: the set has no timeouts.
std::optional<std::uint32_t> IpsetBackend::timeout_for(const std::string& set,
                                                       const Order& order) const {
    if (order.kind == Order::Kind::remove || !headers_.at(set).timed) return {};
    if (order.timeout == forever) return 0;
    std::int64_t seconds = (std::min(order.timeout, longest_timeout).count() + 999'999) / 1'000'000;
    return static_cast<std::uint32_t>(std::max<std::int64_t>(1, seconds));
}

Result<std::string> IpsetBackend::line_for(const Order& order) const {
    auto set = fitting_set(order);
    if (!set) return set;
    std::string element = to_string(order.prefix);
    if (order.kind == Order::Kind::remove) return "del " + *set + " " + element + " -exist";
    std::string line = "add " + *set + " " + element;
    if (auto seconds = timeout_for(*set, order)) line += " timeout " + std::to_string(*seconds);
    return line + " -exist";
}

// In messages of many elements each. False: something was refused; what was not is in.
bool IpsetBackend::send_together(std::span<const Order> orders,
                                 std::span<const std::size_t> indexes) {
    std::vector<IpsetElement> elements;
    std::string set;
    bool added = false;
    for (std::size_t i = 0; i <= indexes.size(); ++i) {
        const Order* order = i < indexes.size() ? &orders[indexes[i]] : nullptr;
        std::string of = order == nullptr ? std::string() : fitting_set(*order).value();
        bool is_addition = order != nullptr && order->kind != Order::Kind::remove;
        if (of != set || is_addition != added || elements.size() == most_ipset_elements) {
            if (!put_ipset_elements(netlink_, set, added, elements)) return false;
            elements.clear();
        }
        set = std::move(of);
        added = is_addition;
        if (order != nullptr) elements.push_back({order->prefix, timeout_for(set, *order)});
    }
    return true;
}

void IpsetBackend::apply(std::span<const Order> orders, std::vector<Failure>& failed) {
    std::vector<std::size_t> possible;
    for (std::size_t i = 0; i < orders.size(); ++i) {
        const auto& action = std::get<IpsetAction>(targets_.at(orders[i].target).action);
        // What is to go from a set that cannot be used is not there.
        if (orders[i].kind == Order::Kind::remove &&
            unusable_.contains(set_for(action, orders[i].prefix.is_v4())))
            continue;
        auto set = fitting_set(orders[i]);
        if (set)
            possible.push_back(i);
        else
            failed.push_back({i, set.error()});
    }
    if (possible.size() >= together_from && send_together(orders, possible)) return;
    for (std::size_t index : possible) {
        auto line = line_for(orders[index]);
        auto done = line ? command(*line) : Result<>(std::unexpected(line.error()));
        if (done) continue;
        Error error = done.error();
        if (error.reason.find("is full") != std::string::npos) {
            const auto& action = std::get<IpsetAction>(targets_.at(orders[index].target).action);
            const std::string& set = set_for(action, orders[index].prefix.is_v4());
            failed.push_back({index, full_ipset(set, headers_[set].maxelem), true});
            continue;
        }
        if (error.reason.find("does not exist") != std::string::npos)
            headers_.erase(set_for(std::get<IpsetAction>(targets_.at(orders[index].target).action),
                                   orders[index].prefix.is_v4()));
        failed.push_back({index, std::move(error)});
    }
}

Result<> IpsetBackend::list(TargetId target, const Visit& visit) {
    const auto& action = std::get<IpsetAction>(targets_.at(target).action);
    OnLine on_line = [&](std::string_view line) {
        if (auto element = element_of(line)) visit(*element);
    };
    for (const std::string& set : usable_sets(action)) {
        if (auto listed = command("list " + set + " -output save", nullptr, &on_line); !listed)
            return std::unexpected(listed.error());
    }
    return {};
}

std::optional<std::size_t> IpsetBackend::count(TargetId target) {
    const auto& action = std::get<IpsetAction>(targets_.at(target).action);
    std::size_t count = 0;
    for (const std::string& set : usable_sets(action)) {
        std::string output;
        if (!command("list " + set + " -terse -output plain", &output)) return {};
        constexpr std::string_view label = "Number of entries: ";
        auto at = output.find(label);
        if (at == std::string::npos) return {};
        count += std::strtoull(output.c_str() + at + label.size(), nullptr, 10);
    }
    return count;
}

void IpsetBackend::clear() {
    for (const auto& [id, target] : targets_) {
        const auto& action = std::get<IpsetAction>(target.action);
        if (!action.ours) continue;  // the user's set loses only our elements, by remove orders
        for (const std::string& set : {action.set4, action.set6})
            if (!command("destroy " + set)) [[maybe_unused]]
                auto ignored = command("flush " + set);
    }
}

}  // namespace bandd
