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

struct LiteralScratch::Vectorscan {
    hs_scratch_t* scratch = nullptr;
    std::vector<std::uint64_t> known;  // databases that it is large enough for
    ~Vectorscan() { hs_free_scratch(scratch); }
};

namespace {

constexpr unsigned filler = UINT_MAX;  // the number of texts that are only there to be many

// Vectorscan sorts texts into buckets and looks at the last bytes of all at once; with at most four
// texts a bucket it looks at fewer bytes (chooseTeddyEngine), and so at much in vain. Filled up to
// 65 for the 16 buckets of AVX2, the search for 17 to 38 texts takes a tenth to half less (the
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

class VectorLiteralScan : public LiteralScan {
  public:
    VectorLiteralScan(hs_database_t* database, std::uint64_t id) : database_(database), id_(id) {}
    ~VectorLiteralScan() override { hs_free_database(database_); }
    VectorLiteralScan(const VectorLiteralScan&) = delete;
    VectorLiteralScan& operator=(const VectorLiteralScan&) = delete;

    bool find(std::string_view text, LiteralScratch& scratch,
              std::vector<LiteralHit>& hits) const override {
        if (!scratch.vectorscan_)
            scratch.vectorscan_ = std::make_unique<LiteralScratch::Vectorscan>();
        LiteralScratch::Vectorscan& own = *scratch.vectorscan_;
        if (std::ranges::find(own.known, id_) == own.known.end()) {
            if (hs_alloc_scratch(database_, &own.scratch) != HS_SUCCESS) return false;
            own.known.push_back(id_);
        }
        auto on_match = [](unsigned id, unsigned long long, unsigned long long to, unsigned,
                           void* context) {
            if (id == filler) return 0;
            static_cast<std::vector<LiteralHit>*>(context)->push_back(
                {id, static_cast<std::uint32_t>(to)});
            return 0;
        };
        return hs_scan(database_, text.data(), static_cast<unsigned>(text.size()), 0, own.scratch,
                       on_match, &hits) == HS_SUCCESS;
    }

  private:
    hs_database_t* database_;
    std::uint64_t id_;  // no two databases have the same, as addresses may
};

std::unique_ptr<LiteralScan> make_vectorscan(std::span<const Literal> literals) {
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
    static std::uint64_t made = 0;  // by the loop's thread only, as all rulesets are
    return std::make_unique<VectorLiteralScan>(database, ++made);
}

#else

struct LiteralScratch::Vectorscan {};

std::unique_ptr<LiteralScan> make_vectorscan(std::span<const Literal>) { return nullptr; }

#endif

LiteralScratch::LiteralScratch() = default;
LiteralScratch::~LiteralScratch() = default;
LiteralScratch::LiteralScratch(LiteralScratch&&) noexcept = default;
LiteralScratch& LiteralScratch::operator=(LiteralScratch&&) noexcept = default;

}  // namespace bandd
