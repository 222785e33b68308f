// SPDX-License-Identifier: GPL-2.0-or-later
// To a backend in this process.
#pragma once

#include <memory>

#include "action/carrier.h"

namespace bandd {

class DirectCarrier : public Carrier {
  public:
    explicit DirectCarrier(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

    bool enforces() const override { return backend_->enforces(); }
    bool completes_later() const override { return backend_->completes_later(); }
    SetTraits traits(TargetId target) const override { return backend_->traits(target); }
    std::size_t most_listed() const override { return backend_->most_listed(); }
    bool sees_touches() const override { return backend_->notice_fd() >= 0; }

    void set_targets(std::vector<TargetSpec> targets) override {
        backend_->set_targets(std::move(targets));
    }
    void look(RequestId request, TargetId target, Look what) override;
    void apply(RequestId request, std::span<const Order> orders) override;
    void clear() override { backend_->clear(); }
    int notice_fd() const override { return backend_->notice_fd(); }
    void read() override;
    void wait(Duration) override {}

  private:
    std::unique_ptr<Backend> backend_;
};

}  // namespace bandd
