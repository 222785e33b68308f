// SPDX-License-Identifier: GPL-2.0-or-later
// Bans in ipset sets, through libipset: sets of our own (hash:net with timeouts), or one that the
// user made and uses in iptables rules. In a set without timeouts the daemon removes what it added.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "action/backend.h"
#include "os/ipsets.h"

struct ipset;

namespace bandd {

class IpsetBackend : public Backend {
  public:
    static Result<std::unique_ptr<IpsetBackend>> create();
    using OnLine = std::function<void(std::string_view)>;
    ~IpsetBackend() override;

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId target) override;
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return true; }
    SetTraits traits(TargetId target) const override;
    std::vector<Error> remarks(TargetId target) const override;
    Result<> list(TargetId target, const Visit& visit) override;
    std::optional<std::size_t> count(TargetId target) override;
    void clear() override;

  private:
    explicit IpsetBackend(Netlink netlink) : netlink_(std::move(netlink)) {}

    bool open_session();
    Result<> command(const std::string& line, std::string* output = nullptr,
                     const OnLine* on_line = nullptr);
    Result<> check(const std::string& set, bool v4, const IpsetAction& action);
    // The set that an order is for, which can hold its element.
    Result<std::string> fitting_set(const Order& order) const;
    Result<std::string> line_for(const Order& order) const;
    std::optional<std::uint32_t> timeout_for(const std::string& set, const Order& order) const;
    bool send_together(std::span<const Order> orders, std::span<const std::size_t> indexes);
    const std::string& set_for(const IpsetAction& action, bool v4) const {
        return v4 ? action.set4 : action.set6;
    }

    std::vector<std::string> usable_sets(const IpsetAction& action) const;

    Netlink netlink_;  // what libipset does not tell
    ipset* session_ = nullptr;
    std::map<TargetId, TargetSpec> targets_;
    std::map<std::string, IpsetHeader> headers_;  // of sets that are there
    std::map<std::string, Error> unusable_;       // whose action has another one that can be used
};

}  // namespace bandd
