// SPDX-License-Identifier: GPL-2.0-or-later
// Whoever has a node's join file, and speaks to the server as he likes. What the server refuses is
// said by it; what it lets through is what those who receive it must look at.
#include <nats/nats.h>

#include <mutex>

#include "fleet/certificate.h"
#include "fleet/fleet_server.h"
#include "fleet/nkey.h"

using namespace bandd;

namespace {

struct Way {
    bool tls = true, verifies = true;
    std::string url = "tls://127.0.0.1:4222";
};

class Thief {
  public:
    explicit Thief(const FleetAccess& access, const Way& way = {}) : seed_(access.seed) {
        natsOptions* options = nullptr;
        natsOptions_Create(&options);
        natsOptions_SetURL(options, way.url.c_str());
        if (way.tls) {
            natsOptions_SetSecure(options, true);
            natsOptions_SetCATrustedCertificates(options, access.authority.c_str());
            natsOptions_SetExpectedHostname(options, server_name_of(access.fleet).c_str());
            natsOptions_SkipServerVerification(options, !way.verifies);
        }
        if (!seed_.empty())
            natsOptions_SetNKey(options, public_nkey_of(seed_)->c_str(), &sign, this);
        natsOptions_SetErrorHandler(options, &on_error, this);
        natsOptions_SetAllowReconnect(options, false);
        natsOptions_SetWriteDeadline(options, 2000);  // fleet/tls_guard.cpp needs it
        status = natsConnection_Connect(&connection_, options);
        natsOptions_Destroy(options);
    }
    ~Thief() {
        // Callbacks may still come.
        natsConnection_Close(connection_);
        nats_Sleep(50);
        for (natsSubscription* one : subscriptions_) natsSubscription_Destroy(one);
        natsConnection_Destroy(connection_);
    }
    Thief(const Thief&) = delete;
    Thief& operator=(const Thief&) = delete;

    void send(const std::string& subject, const std::string& payload,
              const std::string& reply = "") {
        natsConnection_PublishRequest(connection_, subject.c_str(),
                                      reply.empty() ? nullptr : reply.c_str(), payload.data(),
                                      static_cast<int>(payload.size()));
        natsConnection_FlushTimeout(connection_, 2000);
    }
    void send_rolling_up(const std::string& subject) {
        natsMsg* message = nullptr;
        natsMsg_Create(&message, subject.c_str(), answers.c_str(), "x", 1);
        natsMsgHeader_Set(message, "Nats-Rollup", "all");
        natsConnection_PublishMsg(connection_, message);
        natsMsg_Destroy(message);
    }
    bool is_refused(const std::string& subject, const std::string& payload = "{}") {
        send(subject, payload, answers);
        return wait_for([&] { return said("Publish to \"" + subject + "\""); }, 2);
    }
    bool may_not_hear(const std::string& subject) {
        natsSubscription* made = nullptr;
        natsConnection_Subscribe(&made, connection_, subject.c_str(), &on_message, this);
        if (made != nullptr) subscriptions_.push_back(made);
        natsConnection_FlushTimeout(connection_, 2000);
        return wait_for([&] { return said("Subscription to \"" + subject + "\""); }, 2);
    }
    void hear(const std::string& subject) {
        natsSubscription* made = nullptr;
        natsConnection_Subscribe(&made, connection_, subject.c_str(), &on_message, this);
        subscriptions_.push_back(made);
        natsConnection_FlushTimeout(connection_, 2000);
    }
    bool hears(const std::string& text) {
        return wait_for(
            [&] {
                std::lock_guard hold(mutex_);
                return std::ranges::any_of(heard_,
                                           [&](const std::string& one) { return has(one, text); });
            },
            3);
    }

    std::string answers = "r.mx1.thief";
    natsStatus status = NATS_OK;

  private:
    bool said(const std::string& text) {
        std::lock_guard hold(mutex_);
        return std::ranges::any_of(errors_, [&](const std::string& one) { return has(one, text); });
    }
    static natsStatus sign(char**, unsigned char** signature, int* size, const char* nonce,
                           void* self) {
        return nats_Sign(static_cast<Thief*>(self)->seed_.c_str(), nonce, signature, size);
    }
    static void on_error(natsConnection* connection, natsSubscription*, natsStatus, void* self) {
        const char* text = nullptr;
        natsConnection_GetLastError(connection, &text);
        auto* thief = static_cast<Thief*>(self);
        std::lock_guard hold(thief->mutex_);
        thief->errors_.emplace_back(text == nullptr ? "" : text);
    }
    static void on_message(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
        auto* thief = static_cast<Thief*>(self);
        std::lock_guard hold(thief->mutex_);
        thief->heard_.push_back(
            std::string(natsMsg_GetSubject(message)) + " " +
            std::string(natsMsg_GetData(message),
                        static_cast<std::size_t>(natsMsg_GetDataLength(message))));
        natsMsg_Destroy(message);
    }

    std::string seed_;
    natsConnection* connection_ = nullptr;
    std::vector<natsSubscription*> subscriptions_;
    std::mutex mutex_;
    std::vector<std::string> errors_, heard_;
};

// gate counts; mx1's file was stolen.
struct Stolen : FleetSetup {
    std::unique_ptr<FleetPeer> gate, mx2;
    Stolen() {
        start();
        gate = std::make_unique<FleetPeer>(membership("gate").access);
        mx2 = std::make_unique<FleetPeer>(membership("mx2").access);
        REQUIRE(gate->connects());
        gate->connection.keep({"mx1"});
        gate->connection.keep({"mx2"});
        REQUIRE(mx2->connects());
    }
};

std::string ban(const std::string& node, const std::string& prefix) {
    return to_subject({BanClass::hour, node, "sshd", prefix});
}

}  // namespace

TEST_CASE("a stolen node is refused what is not its own") {
    if (!has_nats_server()) return;
    Stolen fleet;
    Thief thief(fleet.membership("mx1").access);
    REQUIRE(thief.status == NATS_OK);
    // Itself it may be.
    thief.hear("r.mx1.>");
    thief.send(ban("mx1", "203.0.113.1/32"), "mine", "r.mx1.thief");
    REQUIRE(thief.hears("\"stream\":\"BANS_H\""));

    // Another's words.
    for (const std::string& subject :
         {ban("gate", "203.0.113.1/32"), ban("operator", "203.0.113.1/32"), hit_subject("mx2"),
          std::string("login.mx2"), node_subject("mx2"), std::string("rule.mx2.abc"),
          std::string("ban.h.mx1"), std::string("ban.x.mx1.a.b"), std::string("ban.h.mx1.a.b.c"),
          std::string("r.mx2.a.1"), std::string("_INBOX.abc"), std::string("other")})
        CHECK(thief.is_refused(subject));
    // Consumers and streams: to make, change, look into and remove them.
    for (const char* what : {"CONSUMER.CREATE.BANS_H",
                             "CONSUMER.CREATE.BANS_H.mx1",
                             "CONSUMER.CREATE.BANS_H.mx1.ban.h.>",
                             "CONSUMER.DURABLE.CREATE.BANS_H.mx1",
                             "CONSUMER.DELETE.BANS_H.mx1",
                             "CONSUMER.DELETE.BANS_H.mx2",
                             "CONSUMER.LIST.BANS_H",
                             "CONSUMER.NAMES.BANS_H",
                             "CONSUMER.INFO.BANS_H.mx2",
                             "CONSUMER.MSG.NEXT.BANS_H.mx2",
                             "CONSUMER.MSG.NEXT.HITS.mx1",
                             "CONSUMER.MSG.NEXT.HITS.gate",
                             "STREAM.CREATE.OTHER",
                             "STREAM.CREATE.BANS_H",
                             "STREAM.UPDATE.BANS_H",
                             "STREAM.DELETE.BANS_H",
                             "STREAM.PURGE.BANS_H",
                             "STREAM.MSG.DELETE.BANS_H",
                             "STREAM.MSG.GET.HITS",
                             "STREAM.INFO.BANS_H",
                             "STREAM.LIST",
                             "STREAM.NAMES",
                             "STREAM.SNAPSHOT.BANS_H",
                             "STREAM.RESTORE.BANS_H",
                             "STREAM.TEMPLATE.CREATE.a",
                             "DIRECT.GET.BANS_H",
                             "INFO",
                             "SERVER.REMOVE",
                             "ACCOUNT.PURGE.FLEET"})
        CHECK(thief.is_refused(std::string("$JS.API.") + what));
    CHECK(thief.is_refused("$JS.ACK.BANS_H.mx2.1.1.1.1.0", "+ACK"));
    CHECK(thief.is_refused("$SYS.REQ.SERVER.PING"));
    // Others' answers, and what is not for it.
    for (const char* subject : {"r.mx2.>", "r.*.>", "r.>", "_INBOX.>", ">", "hit.>", "hit.mx2",
                                "login.>", "rule.>", "$JS.>", "$SYS.>", "*", "*.*"})
        CHECK(thief.may_not_hear(subject));
}

TEST_CASE("a stolen node cannot roll a stream up, nor write more than fits") {
    if (!has_nats_server()) return;
    Stolen fleet;
    REQUIRE(fleet.mx2->publish(ban("mx2", "203.0.113.2/32"), "there"));
    FleetPeer thief(fleet.membership("mx1").access);
    REQUIRE(thief.connects());
    thief.connection.publish(
        {500, ban("mx1", "203.0.113.1/32"), std::string(largest_fleet_payload + 1, 'x')});
    CHECK(thief.until([&] { return thief.refused.contains(500); }));
    thief.connection.publish({501, ban("mx2", "203.0.113.1/32"), "another's"});
    CHECK(thief.until([&] { return thief.refused.contains(501); }));
    // Nor may it say what the daemon could not be told of.
    Thief loud(fleet.membership("mx1").access);
    std::string long_subject = ban("mx1", std::string(longest_fleet_subject, 'x'));
    std::uint64_t foreign = fleet.gate->state.foreign;
    loud.send(long_subject, "x", "r.mx1.thief");
    CHECK(fleet.gate->until(
        [&] { return fleet.gate->state.foreign >= foreign + 2; }));  // live, and stored
    CHECK(fleet.gate->live(long_subject) == nullptr);
    CHECK(fleet.gate->stored(long_subject) == nullptr);
    // It would remove all that others said.
    Thief other(fleet.membership("mx1").access);
    other.hear("r.mx1.>");
    other.send_rolling_up(ban("mx1", "203.0.113.3/32"));
    CHECK(other.hears("rollup not permitted"));
    CHECK(fleet.gate->until(
        [&] { return fleet.gate->stored(ban("mx2", "203.0.113.2/32")) != nullptr; }));
}

// An answer of the server goes where whoever asked says, and the server does not ask whether he may
// publish there. What is said there is the server's own text, or a message with its own subject.
TEST_CASE("a stolen node has the server answer in another's name") {
    if (!has_nats_server()) return;
    Stolen fleet;
    Thief thief(fleet.membership("mx1").access);
    REQUIRE(thief.status == NATS_OK);
    thief.hear("r.mx1.>");

    SECTION("an acknowledgement lands as another's ban, over the one that was there") {
        std::string victim = ban("mx2", "203.0.113.2/32");
        REQUIRE(fleet.mx2->publish(victim, "mx2's own"));
        thief.send(ban("mx1", "203.0.113.1/32"), "mine", victim);
        REQUIRE(fleet.gate->until([&] {
            return std::ranges::any_of(fleet.gate->messages, [&](const FleetMessage& one) {
                return one.subject == victim && has(one.payload, "\"stream\"");
            });
        }));
        for (const FleetMessage& one : fleet.gate->messages)
            if (one.subject == victim && one.payload != "mx2's own")
                CHECK(one.payload.starts_with("{\"stream\":"));
        // So mx2 hears that its word was overwritten, and says it again.
        CHECK(fleet.mx2->until([&] {
            return std::ranges::any_of(fleet.mx2->messages, [&](const FleetMessage& one) {
                return one.ticket != 0 && one.subject == victim && has(one.payload, "\"stream\"");
            });
        }));
    }
    SECTION("a message that is fetched to another's subject keeps its own") {
        thief.send(ban("mx1", "203.0.113.1/32"), "mine", "r.mx1.thief");
        REQUIRE(thief.hears("\"stream\":\"BANS_H\""));
        std::string victim = ban("mx2", "203.0.113.7/32");
        thief.send("$JS.API.CONSUMER.MSG.NEXT.BANS_H.mx1", "{\"batch\":10,\"no_wait\":true}",
                   victim);
        fleet.gate->until([] { return false; }, 1);
        for (FleetPeer* peer : {fleet.gate.get(), fleet.mx2.get()})
            for (const FleetMessage& one : peer->messages)
                if (one.subject == victim) CHECK(one.payload.empty());
    }
    SECTION("others' messages come again, live and stored anew, but as they were") {
        std::string theirs = ban("gate", "203.0.113.1/32"), victim = ban("mx2", "203.0.113.7/32");
        REQUIRE(fleet.gate->publish(theirs, "gate's own"));
        fleet.mx2->until([] { return false; }, 0.3);
        fleet.mx2->messages.clear();
        thief.send("$JS.API.CONSUMER.MSG.NEXT.BANS_H.mx1", "{\"batch\":20,\"expires\":1000000000}",
                   victim);
        fleet.mx2->until([] { return false; }, 2);
        CHECK(fleet.mx2->stored(theirs) != nullptr);
        for (const FleetMessage& one : fleet.mx2->messages)
            CHECK((one.subject == theirs ? one.payload == "gate's own" : one.payload.empty()));
        CHECK(fleet.mx2->messages.size() < 60);
    }
    SECTION("nobody takes it for an answer to his own question") {
        std::uint64_t foreign = fleet.mx2->state.foreign;
        thief.send(ban("mx1", "203.0.113.1/32"), "mine", "r.mx2.a.1");
        thief.send("$JS.API.CONSUMER.MSG.NEXT.BANS_H.mx1", "{\"batch\":10,\"no_wait\":true}",
                   "r.mx2.a.1");
        fleet.mx2->until([] { return false; }, 1);
        CHECK(fleet.mx2->state.foreign == foreign);
        CHECK(fleet.mx2->published.empty());
    }
    SECTION("consumers cannot be asked for by way of another's answer") {
        std::string before = fleet.mx2->progress["BANS_H"].made;
        thief.send("$JS.API.CONSUMER.INFO.BANS_H.mx1", "", "$JS.API.CONSUMER.DELETE.BANS_H.mx2");
        thief.send(ban("mx1", "203.0.113.1/32"), "mine", "$JS.API.STREAM.DELETE.BANS_H");
        thief.send(ban("mx1", "203.0.113.1/32"), "mine", "$JS.API.STREAM.PURGE.BANS_H");
        CHECK(fleet.mx2->publish(ban("mx2", "203.0.113.9/32"), "still there"));
        fleet.mx2->until([] { return false; }, 12);
        CHECK(fleet.mx2->state.why_not == "");
        CHECK(fleet.mx2->progress["BANS_H"].made == before);
    }
}

TEST_CASE("a stolen node has the server acknowledge what another has not settled") {
    if (!has_nats_server()) return;
    Stolen fleet;
    fleet.mx2.reset();
    FleetPeer mx2(fleet.membership("mx2").access, false);
    REQUIRE(fleet.gate->publish(ban("gate", "203.0.113.2/32"), "for mx2"));
    REQUIRE(mx2.until([&] { return mx2.stored(ban("gate", "203.0.113.2/32")) != nullptr; }));
    const FleetMessage got = *mx2.stored(ban("gate", "203.0.113.2/32"));
    mx2.messages.clear();
    Thief thief(fleet.membership("mx1").access);
    std::string ack = "$JS.ACK.BANS_H.mx2.1." + std::to_string(got.sequence) + "." +
                      std::to_string(got.sequence) + "." + std::to_string(got.stored.us * 1000) +
                      ".0";
    thief.send(ban("mx1", "203.0.113.1/32"), "mine", ack);
    for (int i = 0; i < 5; ++i)
        thief.send("$JS.API.CONSUMER.MSG.NEXT.BANS_H.mx1", "{\"batch\":1,\"no_wait\":true}", ack);
    CHECK(mx2.until([&] { return mx2.stored(ban("gate", "203.0.113.2/32")) != nullptr; }, 25));
}

TEST_CASE("a stolen counting node can neither change nor empty what is there") {
    if (!has_nats_server()) return;
    Stolen fleet;
    REQUIRE(fleet.mx2->publish(ban("mx2", "203.0.113.2/32"), "mx2's own"));
    Thief thief(fleet.membership("gate").access);
    REQUIRE(thief.status == NATS_OK);
    thief.answers = "r.gate.thief";
    thief.hear("r.gate.>");
    for (const char* what :
         {"STREAM.UPDATE.BANS_H", "STREAM.DELETE.BANS_H", "STREAM.PURGE.BANS_H",
          "STREAM.MSG.DELETE.BANS_H", "STREAM.CREATE.OTHER", "STREAM.RESTORE.BANS_H",
          "CONSUMER.CREATE.BANS_H", "CONSUMER.MSG.NEXT.BANS_H.mx2"})
        CHECK(thief.is_refused(std::string("$JS.API.") + what));
    CHECK(thief.is_refused(ban("mx2", "203.0.113.9/32")));
    CHECK(thief.is_refused(ban("operator", "203.0.113.9/32")));
    // A stream that is there is not made again with other settings.
    thief.send("$JS.API.STREAM.CREATE.BANS_H",
               R"({"name":"BANS_H","subjects":["ban.h.>"],"retention":"limits","storage":"file",)"
               R"("max_msgs":1,"max_consumers":-1,"max_bytes":-1,"num_replicas":1})",
               thief.answers);
    CHECK(thief.hears("10058"));
    // A consumer that pushes into another's subject: messages keep their own.
    std::string victim = ban("mx2", "203.0.113.66/32");
    thief.send("$JS.API.CONSUMER.DURABLE.CREATE.NODES.evil",
               R"({"stream_name":"NODES","config":{"durable_name":"evil","deliver_policy":"all",)"
               R"("ack_policy":"none","deliver_subject":")" +
                   victim + R"("}})",
               thief.answers);
    REQUIRE(fleet.gate->publish(node_subject("gate"), "gate is here"));
    fleet.mx2->until([] { return false; }, 1);
    CHECK(fleet.mx2->live(victim) == nullptr);
    CHECK(fleet.mx2->stored(victim) == nullptr);
    CHECK(fleet.mx2->publish(ban("mx2", "203.0.113.3/32"), "goes on"));
}

TEST_CASE("who has no right key, no TLS, or another server is refused") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    auto access = fleet.membership("mx1").access;
    REQUIRE(wait_for([&] { return Thief(access).status == NATS_OK; }));
    auto other = access;
    other.seed = *make_nkey_seed();
    CHECK(Thief(other).status != NATS_OK);
    other.seed.clear();
    CHECK(Thief(other).status != NATS_OK);
    CHECK(Thief(access, {.tls = false, .url = "nats://127.0.0.1:4222"}).status != NATS_OK);

    // A node that is sent to a server of somebody else says nothing to it.
    auto elsewhere = access;
    elsewhere.authority = make_authority("shop")->certificate;
    FleetPeer misled(elsewhere);
    CHECK(!misled.until([&] { return misled.state.connected; }, 2));
    CHECK(has(misled.state.why_not, "certificate"));
    // Nor to one that has a certificate of this authority for another purpose.
    auto named = access;
    named.fleet = "other";
    FleetPeer misnamed(named);
    CHECK(!misnamed.until([&] { return misnamed.state.connected; }, 2));
}
