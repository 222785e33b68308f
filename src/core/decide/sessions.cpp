// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/sessions.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "core/base/dump.h"
#include "core/base/hash.h"

namespace bandd {

std::size_t Sessions::KeyHash::operator()(const Key& key) const {
    return PrefixHash{}(make_prefix(key.address, key.address.bits())) ^ key.filter ^
           std::hash<std::string>{}(key.session);
}

std::uint16_t Sessions::count(const Hit& hit, Instant at) {
    auto name = hit.fields.find(process_field);
    if (!name) name = hit.fields.find("session");
    if (!name || !hit.address) return hit.times;
    forget_before(at - longest);
    Key key{hash64(hit.rule->filter->identity), *hit.address, std::string(*name)};
    auto known = known_.find(key);
    if (known == known_.end()) known = add(std::move(key), {.began = at});
    Session& session = known->second;
    std::uint16_t all = hit.times;
    if (!hit.pattern->once) {
        constexpr std::uint32_t most_hits = std::numeric_limits<std::uint16_t>::max();
        all = static_cast<std::uint16_t>(
            std::min(most_hits, std::uint32_t{session.full} + hit.times));
        session.full = all;
    }
    if (all <= session.counted) return 0;
    return static_cast<std::uint16_t>(all - std::exchange(session.counted, all));
}

Sessions::Known::iterator Sessions::add(Key key, Session session) {
    if (known_.size() >= most) {
        forget_oldest();
        ++evicted_;
    }
    auto [place, is_new] = known_.emplace(std::move(key), session);
    if (is_new) by_begin_.push_back(&*place);
    return place;
}

void Sessions::forget_oldest() {
    known_.erase(known_.find(by_begin_.front()->first));
    by_begin_.pop_front();
}

void Sessions::forget_before(Instant from) {
    while (!by_begin_.empty() && by_begin_.front()->second.began < from) forget_oldest();
}

std::string Sessions::dump() const {
    std::string out;
    for (const Known::value_type* one : by_begin_) {
        const auto& [key, session] = *one;
        put(out, static_cast<std::int64_t>(key.filter));
        put(out, to_string(key.address));
        put(out, key.session);
        put(out, session.began.us);
        put(out, std::int64_t{session.counted});
        put(out, std::int64_t{session.full});
    }
    return out;
}

void Sessions::restore(std::string_view dump) {
    known_.clear();
    by_begin_.clear();
    DumpReader in{dump};
    while (!in.rest.empty() && in.good) {
        Key key;
        key.filter = static_cast<std::uint64_t>(in.number());
        auto address = parse_address(in.text());
        key.session = in.text();
        Session session;
        session.began = {in.number()};
        session.counted = static_cast<std::uint16_t>(in.number());
        session.full = static_cast<std::uint16_t>(in.number());
        if (!in.good || !address || known_.size() >= most) return;
        key.address = *address;
        add(std::move(key), session);
    }
}

}  // namespace bandd
