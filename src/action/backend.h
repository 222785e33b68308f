// SPDX-License-Identifier: GPL-2.0-or-later
// What puts decisions into effect. A backend keeps no list of bans: the engine knows what should
// be, the kernel what is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "config/types.h"
#include "core/decide/decision.h"
#include "core/decide/reconcile.h"

namespace bandd {

using TargetId = std::uint16_t;

// A kind of actions has one backend. Its number is its index in ActionConfig.
inline constexpr std::size_t action_kinds = std::variant_size_v<ActionConfig>;

// A target: one action of one jail.
struct TargetSpec {
    TargetId id = 0;
    JailIndex jail = 0;
    std::string jail_name;
    ActionConfig action;
    bool operator==(const TargetSpec&) const = default;
};

struct Order {
    enum class Kind { add, renew, remove };
    Kind kind = Kind::add;
    TargetId target = 0;
    Prefix prefix;
    Duration timeout = forever;      // from now on, for add and renew
    std::shared_ptr<const Ban> ban;  // for backends that tell of it; null for those that enforce
};

struct Failure {
    std::size_t index = 0;  // into the orders
    Error error;
    bool full = false;  // the set holds as many elements as it can; then `error` names the set only
};

// A program that was started for an order has ended.
struct Completion {
    TargetId target = 0;
    BanKey ban;
    Order::Kind kind = Order::Kind::add;
    std::optional<Error> error;
};

class Backend {
  public:
    virtual ~Backend() = default;

    // The whole list of this backend's targets, at start and on reload. What belongs to targets
    // that are gone is taken out of the kernel.
    virtual void set_targets(std::vector<TargetSpec> targets) = 0;
    // Table, set and rules of that target exist afterwards. Idempotent.
    virtual Result<> prepare(TargetId target) = 0;
    // One batch; orders that are not in `failed` took effect.
    virtual void apply(std::span<const Order> orders, std::vector<Failure>& failed) = 0;

    // True: bans hold once `apply` acknowledged them. False: it only tells somebody.
    virtual bool enforces() const = 0;
    // True: `apply` only starts it, and a Completion tells how it ended.
    virtual bool completes_later() const { return false; }
    virtual SetTraits traits(TargetId) const { return {}; }
    // What is worth knowing of sets that are prepared.
    virtual std::vector<Error> remarks(TargetId) const { return {}; }
    // Everything that the target's sets hold. Unavailable for exec and syslog.
    using Visit = std::function<void(const Present&)>;
    virtual Result<> list(TargetId target, const Visit& visit) = 0;
    // Sets of more elements than this are not listed: it would take too long.
    virtual std::size_t most_listed() const { return SIZE_MAX; }
    // How many elements they hold, if that can be told at little cost.
    virtual std::optional<std::size_t> count(TargetId) { return {}; }
    // Takes everything of ours out of the kernel (`stop: flush`).
    virtual void clear() {}

    // Readable: somebody touched what is ours, or a program ended.
    virtual int notice_fd() const { return -1; }
    struct Notices {
        bool touched = false;  // prepare and reconcile
        std::vector<Completion> completions;
    };
    virtual Notices read_notices() { return {}; }
};

}  // namespace bandd
