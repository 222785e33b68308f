// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/decide/waiting.h"

#include <algorithm>

#include "core/base/dump.h"

namespace bandd {

bool WaitingHits::add(const Question& question, WaitingHit hit) {
    if (size_ >= most) {
        ++lost_;
        return false;
    }
    ++size_;
    by_question_[question].push_back(std::move(hit));
    return true;
}

std::vector<WaitingHit> WaitingHits::take(const Question& question) {
    auto found = by_question_.find(question);
    if (found == by_question_.end()) return {};
    std::vector<WaitingHit> hits = std::move(found->second);
    size_ -= hits.size();
    by_question_.erase(found);
    return hits;
}

std::vector<Question> WaitingHits::questions() const {
    std::vector<Question> questions;
    for (const auto& [question, hits] : by_question_) questions.push_back(question);
    return questions;
}

std::string WaitingHits::dump(const std::vector<std::string>& jails) const {
    std::string out;
    for (const auto& [question, hits] : by_question_) {
        put(out, static_cast<std::int64_t>(question.kind));
        put(out, question.kind == Question::Kind::exempt ? jails[question.jail] : "");
        put(out, to_string(question.address));
        put(out, question.name);
        put(out, static_cast<std::int64_t>(hits.size()));
        for (const WaitingHit& hit : hits) {
            put(out, static_cast<std::int64_t>(hit.jails.size()));
            for (JailIndex jail : hit.jails) put(out, jails[jail]);
            put(out, hit.time.us);
            put(out, hit.arrival.us);
            put(out, hit.pattern);
            put(out, hit.line);
            put(out, static_cast<std::int64_t>(hit.fields.size()));
            for (const auto& [name, value] : hit.fields) {
                put(out, name);
                put(out, value);
            }
            put(out, static_cast<std::int64_t>(hit.times));
        }
    }
    return out;
}

void WaitingHits::restore(std::string_view dump, const std::vector<std::string>& jails) {
    by_question_.clear();
    size_ = 0;
    auto index_of = [&](const std::string& name) -> std::optional<JailIndex> {
        auto found = std::ranges::find(jails, name);
        if (found == jails.end()) return {};
        return static_cast<JailIndex>(found - jails.begin());
    };
    DumpReader in{dump};
    while (!in.rest.empty() && in.good) {
        Question question;
        auto kind = in.number();
        question.kind = kind == 0   ? Question::Kind::addresses
                        : kind == 1 ? Question::Kind::exempt
                                    : Question::Kind::hostname;
        auto jail = index_of(in.text());
        bool known = question.kind != Question::Kind::exempt || jail;
        if (question.kind == Question::Kind::exempt) question.jail = jail.value_or(0);
        question.address = parse_address(in.text()).value_or(Address{});
        question.name = in.text();
        for (std::size_t i = in.count(); i > 0 && in.good; --i) {
            WaitingHit hit;
            for (std::size_t j = in.count(); j > 0 && in.good; --j)
                if (auto named = index_of(in.text())) hit.jails.push_back(*named);
            hit.time = {in.number()};
            hit.arrival = {in.number()};
            hit.pattern = in.text();
            hit.line = in.text();
            for (std::size_t j = in.count(); j > 0 && in.good; --j) {
                std::string field = in.text();
                hit.fields.add(field, in.text());
            }
            hit.times =
                static_cast<std::uint32_t>(std::clamp<std::int64_t>(in.number(), 1, 65'535));
            if (in.good && known && !hit.jails.empty()) add(question, std::move(hit));
        }
    }
}

}  // namespace bandd
