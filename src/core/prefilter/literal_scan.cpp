// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/prefilter/literal_scan.h"

#ifdef BANDD_VECTORSCAN
#include <hs.h>
#endif

#include <algorithm>
#include <climits>
#include <string>

namespace bandd {

#ifdef BANDD_VECTORSCAN

struct LiteralDatabase {
    hs_database_t* handle = nullptr;
    explicit LiteralDatabase(hs_database_t* made) : handle(made) {}
    ~LiteralDatabase() { hs_free_database(handle); }
    LiteralDatabase(const LiteralDatabase&) = delete;
    LiteralDatabase& operator=(const LiteralDatabase&) = delete;
};

struct LiteralScratch::Parts {
    hs_scratch_t* scratch = nullptr;
    // Databases that it is large enough for. A pointer that is held here, even weakly, is another
    // one's never again.
    std::vector<std::weak_ptr<const LiteralDatabase>> known;
    ~Parts() { hs_free_scratch(scratch); }

    bool knows(const std::shared_ptr<const LiteralDatabase>& database) const {
        return std::ranges::any_of(known, [&](const auto& one) {
            return !one.owner_before(database) && !database.owner_before(one);
        });
    }
};

namespace {

constexpr unsigned filler = UINT_MAX;  // the number of texts that are only there to be many

// Vectorscan sorts texts into buckets and looks at the last bytes of all at once. With at most four
// texts a bucket it looks at fewer bytes (chooseTeddyEngine), and so finds more in vain. Filled up
// to 65 for the 16 buckets of AVX2, the search for 17 to 38 texts takes a tenth to half less (the
// growth with jails, tests/bench/compare). For fewer it does not pay, nor without AVX2.
constexpr std::size_t few_texts = 16;
constexpr std::size_t texts_for_best_way = 65;
bool pays_to_fill(std::size_t texts) {
    hs_platform_info_t platform{};
    return texts > few_texts && texts < texts_for_best_way &&
           hs_populate_platform(&platform) == HS_SUCCESS &&
           (platform.cpu_features & HS_CPU_FEATURES_AVX2) != 0;
}

}  // namespace

std::unique_ptr<const LiteralScan> LiteralScan::make(std::span<const Literal> literals) {
    if (hs_valid_platform() != HS_SUCCESS) return nullptr;
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    std::vector<unsigned> flags;
    std::vector<unsigned> ids;
    for (const Literal& literal : literals) {
        texts.push_back(literal.text.data());
        sizes.push_back(literal.text.size());
        flags.push_back(literal.any_case ? HS_FLAG_CASELESS : 0);
        ids.push_back(static_cast<unsigned>(ids.size()));
    }
    std::vector<std::string> fillers;  // of bytes that no log holds
    if (pays_to_fill(texts.size()))
        for (std::size_t i = texts.size(); i < texts_for_best_way; ++i)
            fillers.push_back("\x01\x02\x03\x04\x05" + std::string(1, static_cast<char>(i)));
    for (const std::string& text : fillers) {
        texts.push_back(text.data());
        sizes.push_back(text.size());
        flags.push_back(0);
        ids.push_back(filler);
    }
    hs_database_t* database = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_compile_lit_multi(texts.data(), flags.data(), ids.data(), sizes.data(),
                             static_cast<unsigned>(texts.size()), HS_MODE_BLOCK, nullptr, &database,
                             &error) != HS_SUCCESS) {
        hs_free_compile_error(error);
        return nullptr;
    }
    return std::unique_ptr<const LiteralScan>(
        new LiteralScan(std::make_shared<LiteralDatabase>(database)));
}

bool LiteralScan::find(std::string_view text, LiteralScratch& scratch,
                       std::vector<LiteralHit>& hits) const {
    if (!scratch.parts_) scratch.parts_ = std::make_unique<LiteralScratch::Parts>();
    LiteralScratch::Parts& parts = *scratch.parts_;
    if (!parts.knows(database_)) {
        std::erase_if(parts.known, [](const auto& one) { return one.expired(); });
        if (hs_alloc_scratch(database_->handle, &parts.scratch) != HS_SUCCESS) return false;
        parts.known.push_back(database_);
    }
    auto on_match = [](unsigned id, unsigned long long, unsigned long long to, unsigned,
                       void* context) {
        if (id == filler) return 0;
        static_cast<std::vector<LiteralHit>*>(context)->push_back(
            {id, static_cast<std::uint32_t>(to)});
        return 0;
    };
    return hs_scan(database_->handle, text.data(), static_cast<unsigned>(text.size()), 0,
                   parts.scratch, on_match, &hits) == HS_SUCCESS;
}

#else

struct LiteralDatabase {};
struct LiteralScratch::Parts {};

std::unique_ptr<const LiteralScan> LiteralScan::make(std::span<const Literal>) { return nullptr; }
bool LiteralScan::find(std::string_view, LiteralScratch&, std::vector<LiteralHit>&) const {
    return false;
}

#endif

LiteralScratch::LiteralScratch() = default;
LiteralScratch::~LiteralScratch() = default;
LiteralScratch::LiteralScratch(LiteralScratch&&) noexcept = default;
LiteralScratch& LiteralScratch::operator=(LiteralScratch&&) noexcept = default;

}  // namespace bandd
