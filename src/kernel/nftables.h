// SPDX-License-Identifier: GPL-2.0-or-later
// Bans in nftables: a table `inet bandd` of our own. For each jail and family a hash set with
// timeouts, looked up by rules at the jail's hooks. Prefixes of one length are a masked look-up
// (`ip6 saddr & ffff:ffff:ffff:ffff:: @sshd-ipv6-64`); a ban of another length gets a set of
// its own, `sshd-ipv4-24`, when the first one comes. Nobody else's table is touched.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "action/backend.h"
#include "os/netlink.h"

namespace bandd {

class NftablesBackend : public Backend {
  public:
    static Result<std::unique_ptr<NftablesBackend>> create();

    void set_targets(std::vector<TargetSpec> targets) override;
    Result<> prepare(TargetId target) override;
    void apply(std::span<const Order> orders, std::vector<Failure>& failed) override;
    bool enforces() const override { return true; }
    // The kernel's listing of a hash set begins anew for every 32 KiB of it, so it is quadratic:
    // 0.2 s for 100,000 elements, half a minute for a million.
    std::size_t most_listed() const override { return 200'000; }
    Result<> list(TargetId target, const Visit& visit) override;
    void clear() override;
    int notice_fd() const override { return notices_.fd(); }
    Notices read_notices() override;

  private:
    NftablesBackend(Netlink commands, Netlink notices)
        : commands_(std::move(commands)), notices_(std::move(notices)) {}

    // A set of ours: which addresses, cut to which length.
    struct SetKey {
        TargetId target = 0;
        bool v4 = true;
        int length = 32;
        auto operator<=>(const SetKey&) const = default;
    };
    std::string set_name(const SetKey& key) const;
    std::optional<SetKey> parse_set_name(const std::string& name) const;
    Result<> find_sets();
    Result<> build();
    Result<> ensure_set(const SetKey& key);
    std::uint32_t generation();
    // What became of a batch whose orders share their fate.
    enum class Fate { taken, something_exists, refused };
    Fate send_together(std::span<const Order> orders, std::span<const std::size_t> indexes,
                       bool all_new);
    void send(std::span<const Order> orders, std::vector<std::size_t> indexes,
              std::vector<Failure>& failed);

    Netlink commands_;
    Netlink notices_;
    std::map<TargetId, TargetSpec> targets_;
    std::set<SetKey> sets_;  // that exist
    bool built_ = false;     // table, chains and rules stand
    bool missed_ = false;    // somebody changed something while we did not listen
    std::uint32_t sequence_ = 1;
};

}  // namespace bandd
