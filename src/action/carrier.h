// SPDX-License-Identifier: GPL-2.0-or-later
// Between dispatch and a backend: takes requests there, and brings back what became of them as
// notices. A backend in this process (`DirectCarrier`) has done it when the call returns; one in
// another process (`KernelCarrier`) does it later, in the order of the requests, and may be lost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "action/backend.h"

namespace bandd {

// Chosen by dispatch; what comes back bears it.
using RequestId = std::uint64_t;

// Whatever is looked at is prepared first.
enum class Look : std::uint8_t { prepare, count, list };

// Some of what the target's sets hold.
struct Elements {
    RequestId request = 0;
    TargetId target = 0;
    std::vector<Present> elements;
};
// Prepared, and counted or listed to the end; or not.
struct Looked {
    RequestId request = 0;
    TargetId target = 0;
    Result<> result;
    std::optional<std::size_t> count;  // if that can be told at little cost
    std::vector<Error> remarks;
};
// Orders of that request that are not in `failed` took effect.
struct Applied {
    RequestId request = 0;
    std::vector<Failure> failed;
};
// Somebody touched what is ours: look, and make it right.
struct Touched {};
// Whatever was requested and not answered may have been done or not, and is never answered. Nothing
// is to be requested until `Regained`; then all targets are to be looked at.
struct Lost {
    Error error;
};
struct Regained {};
using Notice = std::variant<Elements, Looked, Applied, Touched, Completion, Lost, Regained>;

class Carrier {
  public:
    Carrier() = default;
    virtual ~Carrier() = default;
    Carrier(const Carrier&) = delete;
    Carrier& operator=(const Carrier&) = delete;

    // These are the backend's; see there.
    virtual bool enforces() const = 0;
    virtual bool completes_later() const = 0;
    virtual SetTraits traits(TargetId target) const = 0;  // as of the last look
    virtual std::size_t most_listed() const = 0;
    // `Touched` comes by itself; otherwise sets are to be looked at now and then.
    virtual bool sees_touches() const = 0;

    virtual void set_targets(std::vector<TargetSpec> targets) = 0;
    virtual void look(RequestId request, TargetId target, Look what) = 0;
    virtual void apply(RequestId request, std::span<const Order> orders) = 0;
    virtual void clear() = 0;

    // Readable: `read` has something to do. The same as long as this lives; -1: never.
    virtual int notice_fd() const = 0;
    // What is there by now; never waits.
    virtual void read() = 0;
    // The same, and waits until all that was requested is answered, or so long. Does not wait for
    // what has been owed for longer than that already.
    virtual void wait(Duration longest) = 0;
    bool has_notices() const { return !notices_.empty(); }
    std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }

  protected:
    template <class One>
    void tell(One notice) {
        notices_.emplace_back(std::in_place_type<One>, std::move(notice));
    }

  private:
    std::vector<Notice> notices_;
};

}  // namespace bandd
