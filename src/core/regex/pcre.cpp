// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/regex/pcre.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

namespace bandd {
namespace {

struct FreeData {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// More groups than this are not captured.
constexpr std::uint32_t most_groups = 128;

double (*thread_seconds)() = nullptr;

// Has `at_begin` called at each byte at which a match may begin.
constexpr std::string_view callout = "(?C1)";
constexpr unsigned begins_a_look = 8;  // a look at the time costs as much as some dozen steps

struct Effort {
    unsigned begins = 0;
    double since = 0;
};

int at_begin(pcre2_callout_block*, void* data) {
    Effort& effort = *static_cast<Effort*>(data);
    if (++effort.begins % begins_a_look != 0 || thread_seconds == nullptr) return 0;
    double now = thread_seconds();
    if (effort.begins == begins_a_look) effort.since = now;
    return now - effort.since > Pcre::longest_search ? PCRE2_ERROR_MATCHLIMIT : 0;
}

// Verbs, "(*UTF)", stand before all else.
std::size_t end_of_verbs(std::string_view pattern) {
    std::size_t end = 0;
    while (pattern.substr(end).starts_with("(*") && end + 2 < pattern.size() &&
           pattern[end + 2] >= 'A' && pattern[end + 2] <= 'Z') {
        auto close = pattern.find(')', end);
        if (close == std::string_view::npos) break;
        end = close + 1;
    }
    return end;
}

}  // namespace

void Pcre::measure_with(double (*seconds)()) { thread_seconds = seconds; }

struct PcreScratch::Parts {
    std::unique_ptr<pcre2_match_data, FreeData> data{pcre2_match_data_create(most_groups, nullptr)};
    std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};
    Parts() {
        pcre2_set_match_limit(context.get(), Pcre::match_limit);
        pcre2_set_depth_limit(context.get(), Pcre::depth_limit);
        pcre2_set_heap_limit(context.get(), Pcre::heap_limit_kib);
    }
};

PcreScratch::PcreScratch() = default;
PcreScratch::~PcreScratch() = default;
PcreScratch::PcreScratch(PcreScratch&&) noexcept = default;
PcreScratch& PcreScratch::operator=(PcreScratch&&) noexcept = default;

void Pcre::Free::operator()(void* code) const { pcre2_code_free(static_cast<pcre2_code*>(code)); }

Result<Pcre> Pcre::compile(std::string_view pattern) {
    int fault = 0;
    PCRE2_SIZE where = 0;
    std::string text(pattern);
    std::size_t begin = end_of_verbs(pattern);
    text.insert(begin, callout);
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                                     &fault, &where, nullptr);
    if (code == nullptr) {
        if (where > begin) where -= std::min(where - begin, callout.size());
        std::array<PCRE2_UCHAR, 256> reason{};
        pcre2_get_error_message(fault, reason.data(), reason.size());
        return fail("PCRE2 refuses it at byte " + std::to_string(where + 1),
                    reinterpret_cast<const char*>(reason.data()));
    }
    Pcre out;
    out.code_.reset(code);
    std::uint32_t groups = 0;
    std::uint32_t count = 0;
    std::uint32_t size = 0;
    PCRE2_SPTR table = nullptr;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, static_cast<void*>(&table));
    out.group_count_ = static_cast<int>(groups);
    for (std::uint32_t i = 0; i < count; ++i, table += size)
        out.names_.emplace_back(reinterpret_cast<const char*>(table + 2),
                                table[0] * 256 + table[1]);
    std::ranges::sort(out.names_, {}, &std::pair<std::string, int>::second);
    return out;
}

Pcre::Outcome Pcre::search(std::string_view text, std::vector<std::string_view>& groups,
                           PcreScratch& scratch) const {
    if (!scratch.parts_) scratch.parts_ = std::make_unique<PcreScratch::Parts>();
    PcreScratch::Parts& parts = *scratch.parts_;
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? "" : text.data());
    Effort effort;
    pcre2_set_callout(parts.context.get(), at_begin, &effort);
    int count =
        pcre2_match(code, subject, text.size(), 0, 0, parts.data.get(), parts.context.get());
    if (count == PCRE2_ERROR_NOMATCH) return Outcome::no_match;
    if (count < 0) return Outcome::gave_up;
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(parts.data.get());
    groups.assign(static_cast<std::size_t>(group_count_) + 1, {});
    auto captured = std::min<std::size_t>(static_cast<std::size_t>(count), groups.size());
    for (std::size_t i = 0; i < captured; ++i)
        if (offsets[2 * i] != PCRE2_UNSET)
            groups[i] = text.substr(offsets[2 * i], offsets[2 * i + 1] - offsets[2 * i]);
    return Outcome::match;
}

}  // namespace bandd
