// SPDX-License-Identifier: GPL-2.0-or-later
#include "action/direct_carrier.h"

namespace bandd {

void DirectCarrier::look(RequestId request, TargetId target, Look what) {
    Looked looked{request, target, backend_->prepare(target), {}, {}};
    if (looked.result) looked.remarks = backend_->remarks(target);
    if (looked.result && what == Look::count) looked.count = backend_->count(target);
    if (looked.result && what == Look::list) {
        Elements elements{request, target, {}};
        looked.result = backend_->list(
            target, [&](const Present& present) { elements.elements.push_back(present); });
        tell(std::move(elements));
    }
    tell(std::move(looked));
}

void DirectCarrier::apply(RequestId request, std::span<const Order> orders) {
    Applied applied{request, {}};
    backend_->apply(orders, applied.failed);
    tell(std::move(applied));
}

void DirectCarrier::read() {
    Backend::Notices notices = backend_->read_notices();
    for (Completion& completion : notices.completions) tell(std::move(completion));
    if (notices.touched) tell(Touched{});
}

}  // namespace bandd
