// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/places.h"

#include "core/base/reserved.h"

namespace bandd {
namespace {

constexpr int site_length = 48;
constexpr std::size_t longest_user = 255;  // bytes; the rest makes no difference

unsigned count(const std::map<std::string, unsigned>& of, const std::string& one) {
    auto found = of.find(one);
    return found == of.end() ? 0 : found->second;
}
void leave(std::map<std::string, unsigned>& of, const std::string& one) {
    auto found = of.find(one);
    if (--found->second == 0) of.erase(found);
}

}  // namespace

std::optional<Places::Place> Places::take(const Address& client, std::string_view user) {
    Place place;
    place.client = to_string(host_prefix(client));
    if (!is_public(client)) place.client.append("\n").append(user.substr(0, longest_user));
    place.site = client.is_v4() || !is_public(client) ? place.client
                                                      : to_string(make_prefix(client, site_length));
    place.known = known_.contains(place.client);
    if (taken_ >= most || (!place.known && strangers_ >= most_of_strangers) ||
        count(of_client_, place.client) >= most_of_one ||
        count(of_site_, place.site) >= most_of_site)
        return {};
    ++taken_;
    if (!place.known) ++strangers_;
    ++of_client_[place.client];
    ++of_site_[place.site];
    return place;
}

void Places::give_back(const Place& place, bool was_right) {
    --taken_;
    if (!place.known) --strangers_;
    leave(of_client_, place.client);
    leave(of_site_, place.site);
    if (was_right) remember(place.client);
}

void Places::remember(const std::string& client) {
    if (auto found = known_.find(client); found != known_.end()) {
        order_.splice(order_.end(), order_, found->second);
        return;
    }
    known_.emplace(client, order_.insert(order_.end(), client));
    if (known_.size() <= most_known) return;
    known_.erase(order_.front());
    order_.pop_front();
}

}  // namespace bandd
