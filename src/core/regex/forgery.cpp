// SPDX-License-Identifier: GPL-2.0-or-later
// A repetition is "open" if the byte that should end it could as well continue it: `.*` before
// anything, `\S+` before a letter. `[^"]*"` is closed. Left of <HOST> that is judged reading
// forward, right of it reading backward from the end of the line.
#include "core/regex/forgery.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/regex/syntax.h"

namespace bandd {
namespace {

using syntax::ByteSet;
using syntax::Kind;
using syntax::Node;

// Everything on one side of the host, the nearest last.
using Side = std::vector<const Node*>;

bool split_at_host(const Node& node, Side& left, Side& right, bool& repeated) {
    if (node.kind == Kind::host) return true;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        Side inner_left;
        Side inner_right;
        if (!split_at_host(node.children[i], inner_left, inner_right, repeated)) continue;
        if (node.kind == Kind::repeat && node.most != 1) repeated = true;
        if (node.kind == Kind::concat) {
            for (std::size_t j = 0; j < i; ++j) left.push_back(&node.children[j]);
            for (std::size_t j = node.children.size(); j-- > i + 1;)
                right.push_back(&node.children[j]);
        }
        left.insert(left.end(), inner_left.begin(), inner_left.end());
        right.insert(right.end(), inner_right.begin(), inner_right.end());
        return true;
    }
    return false;
}

bool holds_free_text(const Node& node) {
    if (node.kind == Kind::bytes) return node.set.count() >= least_free_bytes;
    return std::ranges::any_of(node.children, holds_free_text);
}

ByteSet bytes_of(const Node& node) {
    ByteSet bytes = node.kind == Kind::bytes ? node.set : ByteSet{};
    for (const Node& child : node.children) bytes |= bytes_of(child);
    return bytes;
}

// The first part of `node` that takes what a client wrote: whatever it is but for some bytes, or a
// user's name. Other names and numbers (`\w+`) are the program's.
const Node* find_clients_text(const Node& node, std::span<const Span> users) {
    if (node.kind == Kind::repeat && node.most != 0) {
        const Node& body = node.children[0];
        bool in_user = std::ranges::any_of(
            users, [&](const Span& user) { return user.from < node.from && node.to <= user.to; });
        if (bytes_of(body).count() >= (in_user ? least_free_bytes : least_bytes_of_text))
            return &node;
    }
    for (const Node& child : node.children)
        if (const Node* found = find_clients_text(child, users)) return found;
    return nullptr;
}

const Node* find_clients_text(const Side& side, std::span<const Span> users) {
    for (const Node* node : side)
        if (const Node* found = find_clients_text(*node, users)) return found;
    return nullptr;
}

// The first open repetition in `node`, if `beyond` may follow it in reading direction.
const Node* find_open(const Node& node, const ByteSet& beyond, bool forward) {
    switch (node.kind) {
        case Kind::repeat: {
            const Node& body = node.children[0];
            ByteSet begin = forward ? syntax::first_bytes(body) : syntax::last_bytes(body);
            bool varies = node.least != node.most;
            if (varies && holds_free_text(body) && (begin & beyond).any()) return &node;
            return find_open(body, varies ? beyond | begin : beyond, forward);
        }
        case Kind::alternate:
            for (const Node& child : node.children)
                if (const Node* open = find_open(child, beyond, forward)) return open;
            return nullptr;
        case Kind::concat: {
            ByteSet next = beyond;
            std::size_t count = node.children.size();
            for (std::size_t i = 0; i < count; ++i) {
                const Node& child = node.children[forward ? count - 1 - i : i];
                if (const Node* open = find_open(child, next, forward)) return open;
                ByteSet edge = forward ? syntax::first_bytes(child) : syntax::last_bytes(child);
                next = syntax::nullable(child) ? next | edge : edge;
            }
            return nullptr;
        }
        default:
            return nullptr;
    }
}

// `side` is ordered away from the line's edge towards the host.
const Node* find_open_side(const Side& side, const ByteSet& host_edge, bool forward) {
    ByteSet next = host_edge;
    for (std::size_t i = side.size(); i-- > 0;) {
        if (const Node* open = find_open(*side[i], next, forward)) return open;
        ByteSet edge = forward ? syntax::first_bytes(*side[i]) : syntax::last_bytes(*side[i]);
        next = syntax::nullable(*side[i]) ? next | edge : edge;
    }
    return nullptr;
}

// Empty groups left by field tags may be before an anchor.
bool anchored(const Side& side, Kind anchor) {
    for (const Node* node : side) {
        if (node->kind == anchor) return true;
        if (node->kind == Kind::concat) {
            for (const Node& child : node->children) {
                const Node& edge = anchor == Kind::end ? node->children.back() : child;
                if (edge.kind == anchor) return true;
                if (edge.kind != Kind::concat || !edge.children.empty()) return false;
            }
            continue;
        }
        return false;
    }
    return false;
}

}  // namespace

std::vector<Span> user_fields(std::string_view pattern) {
    constexpr std::string_view opens = "<F-USER>";
    std::vector<Span> fields;
    for (std::size_t at = 0; (at = pattern.find(opens, at)) != std::string_view::npos;) {
        at += opens.size();
        fields.push_back({at - 1, pattern.find("</F-USER>", at)});
    }
    return fields;
}

std::optional<std::string> find_forgery(std::string_view pattern) {
    auto tree = syntax::parse(pattern);
    if (!tree) return {};  // nothing is known about it; RE2 will refuse most of these
    Side left;
    Side right;
    bool repeated = false;
    if (!split_at_host(*tree, left, right, repeated)) return {};
    if (repeated) return "<HOST> stands in a repetition, so that any of several addresses is taken";

    Node host;
    host.kind = Kind::host;
    const ByteSet host_edge = syntax::first_bytes(host);
    auto quoted = [&](const Node& node) {
        return "\"" + std::string(pattern.substr(node.from, node.to - node.from)) + "\"";
    };

    const std::vector<Span> users = user_fields(pattern);
    bool from_left = anchored(left, Kind::begin);
    const Node* open_left = find_open_side(left, host_edge, true);
    const Node* text_left = find_clients_text(left, users);
    if (from_left && open_left == nullptr && text_left == nullptr) return {};

    bool from_right = anchored(right, Kind::end);
    const Node* open_right = find_open_side(right, host_edge, false);
    const Node* text_right = find_clients_text(right, users);
    // The host's own first byte must not be something that the text before it could have ended in.
    bool glued = !left.empty() && !syntax::nullable(*left.back()) &&
                 (syntax::last_bytes(*left.back()) & host_edge).any() &&
                 holds_free_text(*left.back());
    bool bare = left.empty() || (left.back()->kind == Kind::repeat && open_left == left.back());
    if (from_right && open_right == nullptr && text_right == nullptr && !glued && !bare) return {};

    std::string behind =
        !from_right             ? ", and the pattern does not end with $"
        : open_right != nullptr ? ", and so can " + quoted(*open_right) + " behind it"
        : text_right != nullptr ? ", and " + quoted(*text_right) + " behind it takes such text, too"
                                : "";
    if (open_left != nullptr)
        return quoted(*open_left) + " before <HOST> can run past the text that should end it" +
               behind;
    if (!from_left) return "it does not begin with ^, so that a client's text can begin the match";
    return "a client can write into " + quoted(*text_left) +
           " before <HOST> what that cannot hold, and a host behind it" + behind;
}

}  // namespace bandd
