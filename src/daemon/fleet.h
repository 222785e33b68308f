// SPDX-License-Identifier: GPL-2.0-or-later
// This machine as a node of its fleet: what the engine decides goes to the others, and what they
// say to the engine. The protocol is fleet/member's, the network bandd-fleet's. Nothing here waits,
// and no ban waits for it: the kernel has it before the fleet hears of it.
//
//   engine ── Banned ──> on_event ── word ──> bandd-fleet ──> server
//   server ──> bandd-fleet ── message ──> member ── ban_of ──> Engine::adopt ──> kernel
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/types.h"
#include "core/decide/decision.h"
#include "fleet/counter.h"
#include "fleet/hit_text.h"
#include "fleet/member.h"
#include "fleet/membership.h"
#include "os/role_process.h"

namespace bandd {

class Engine;
class Log;
class Loop;
class Pipeline;
class Roles;

// Another node, as it says itself.
struct FleetNodeStatus {
    std::string version;
    std::string instance;  // of its state: another one lost it, or is another machine
    Instant said;          // when the server had it
    Duration clock{0};     // its clock is so much ahead of the server's
    std::uint64_t unpublished = 0;
    unsigned times_away = 0;  // words one after the other by which its clock is off
};

class Fleet {
  public:
    struct Parts {
        const Config& config;
        Log& log;
        Loop& loop;
        Engine& engine;
        Pipeline& pipeline;
        Roles& roles;
        std::function<void()> changed;  // something is to be written
    };
    // All of it outlives it.
    Fleet(Parts parts, Membership membership);

    static constexpr std::size_t packets_a_turn = 128;
    static constexpr double longest_reading = 0.002;  // seconds a turn; the packet then is the last
    static constexpr std::size_t keys_a_turn = 1024;
    // How often a node says that it is there.
    static constexpr Duration heartbeat = std::chrono::seconds(60);
    static constexpr std::size_t most_nodes = 4096;
    static constexpr Duration clock_tolerance = std::chrono::seconds(2);

    // Of a state: before `begin`.
    void restore(const FleetRow& row);
    // What was restored is half of a broken state.
    void forget();
    void begin(Instant now);
    // Rules, or what may be taken from others, are others now.
    void configure();

    void on_event(const Event& event);
    void on_hit(const ToldHit& hit);
    // After the lines of a turn.
    void on_turn(Instant now);
    std::optional<Instant> next_deadline() const;

    // For a checkpoint; and, once it is written, what the server need not send again.
    void take_rows(std::vector<FleetRow>& rows, std::size_t most);
    std::size_t waiting_rows() const { return member_.waiting_rows() + counter_.waiting_rows(); }
    void mark_all_changed();
    struct Ticket {
        std::uint64_t process = 0, number = 0;
        std::uint64_t outbox = 0;  // messages with hits that are on disk
    };
    Ticket ticket() const { return {process_.ends(), ticket_, next_out_}; }
    void settle(Ticket ticket, Instant now);

    // For people.
    const FleetMember& member() const { return member_; }
    const FleetAccess& access() const { return membership_.access; }
    const FleetState& state() const { return state_; }
    const std::map<std::string, FleetNodeStatus>& nodes() const { return nodes_; }
    // Messages that this node has not read yet, of all streams.
    std::uint64_t behind() const;
    struct Counts {
        std::uint64_t heard = 0;       // messages about bans
        std::uint64_t adopted = 0;     // bans that began, or changed, by others' words
        std::uint64_t dropped = 0;     // that ended so
        std::uint64_t exempt = 0;      // bans of others that ignoreip or an own address holds
        std::uint64_t no_room = 0;     // ban_limit
        std::uint64_t not_shared = 0;  // of jails that share nothing here
        std::uint64_t unwitnessed = 0;
        std::uint64_t hits_told = 0;
        std::uint64_t hits_lost = 0;  // for which there was no room in the outbox
        std::uint64_t clones = 0;     // messages of another machine with this node's name
    };
    const Counts& counts() const { return counts_; }
    const FleetCounter& counter() const { return counter_; }
    std::size_t outbox_bytes() const { return outbox_bytes_; }
    // What the fleet says of a ban of this machine; nothing: it is this machine's alone.
    struct Told {
        std::string jail;
        FleetBan ban;
    };
    std::optional<Told> told_of(const BanKey& ban, Instant now) const;
    // All that is banned of this very prefix, by jail.
    std::vector<Told> all_told_of(const Prefix& prefix, Instant now) const;

  private:
    using Key = FleetMember::Key;

    bool shares(JailIndex jail) const;
    bool is_told(const Ban& ban) const;
    bool is_own(const FleetBan& ban) const;
    Key say(const Ban& ban, Instant now);
    void forget(const Key& key);
    void refresh(const Key& key, Instant now, Outcome& outcome);
    std::uint32_t most_offences(JailIndex jail) const;
    void say_unsaid(Instant now);
    void refresh_at(JailIndex jail, const Prefix& prefix, Instant now, Outcome& outcome);
    void read_packets(Instant now);
    void on(const FleetMessage& message, Instant now);
    void on(const FleetPublished& published, Instant now);
    void on(const FleetRefused& refused, Instant now);
    void on(const FleetState& state, Instant now);
    void on(const FleetProgress& progress, Instant now);
    void lift_servers(Instant now);
    void on_node(const FleetMessage& message, Instant now);
    void write_packets(Instant now);
    void write_hits(Instant now);
    static constexpr std::size_t most_hit_messages = 32;  // under way
    bool send(const ToFleet& said, Instant now);
    std::string own_words(Instant now) const;
    void take_own_rows(std::vector<FleetRow>& rows);
    void pack_hits(std::vector<FleetRow>& rows);
    void drop_oldest_hits(std::vector<FleetRow>& rows);
    void say_counted(Instant now);
    void say_refusal(FleetMember::Refusal why, const std::string& subject, Instant now);

    Parts parts_;
    Membership membership_;
    FleetMember member_;
    RoleProcess process_;
    FleetCounter counter_;
    SipKey hiding_key_;
    // Hits go in messages, which are published once they are on disk: so a hit whose line is read
    // again after a kill was told to nobody. They stay until the server has them.
    struct Out {
        std::string payload;
        std::size_t hits = 0;
        bool under_way = false;
    };
    std::map<JailIndex, std::vector<SharedHit>> fresh_hits_;
    std::size_t fresh_count_ = 0;
    static constexpr std::size_t most_fresh_hits = 1'000'000;
    std::map<std::uint64_t, Out> outbox_;  // by number
    std::vector<std::uint64_t> done_;      // numbers that the server has; their rows are to go
    std::size_t outbox_bytes_ = 0;
    std::uint64_t next_out_ = 1, on_disk_ = 1, out_written_ = 1;  // numbers: of the next one
    std::uint64_t life_ = 0, hit_number_ = 0;
    std::vector<std::string> rules_text_;  // by jail's number
    std::optional<std::string> stuck_;     // a packet for which the socket had no room
    std::deque<ToFleet> to_send_;          // but for words on bans
    std::size_t publishing_ = 0;           // words without an answer
    bool readable_ = false;
    std::string instance_;  // of this state
    bool is_new_instance_ = false, lost_state_ = false;
    std::uint64_t ticket_ = 0;
    FleetState state_;
    std::vector<Address> servers_;  // where they are: nobody else may have them banned here
    std::optional<bool> said_connected_;
    std::map<std::string, std::uint64_t> pending_;  // by stream
    std::map<std::string, FleetNodeStatus> nodes_;
    // By node: its states, the newest last.
    std::map<std::string, std::vector<std::string>> instances_;
    std::set<std::string> changed_instances_;
    static constexpr std::size_t most_instances = 8;
    std::deque<Key> to_refresh_;
    // Jails, by prefix, whose bans lie in the jail `fleet` here.
    std::unordered_map<Prefix, std::vector<std::string>, PrefixHash> elsewhere_;
    std::vector<Share> share_;  // by jail's number
    std::vector<std::uint32_t> witnesses_;
    bool remapping_ = false;
    std::size_t remap_bucket_ = 0;
    std::optional<std::uint32_t> unsaid_slot_;  // of the engine's bans: where `say_unsaid` goes on
    Instant next_heartbeat_, next_look_, next_hits_;
    std::map<FleetMember::Refusal, Instant> said_;
    Counts counts_;
};

}  // namespace bandd
