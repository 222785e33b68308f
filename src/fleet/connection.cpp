// SPDX-License-Identifier: GPL-2.0-or-later
#include "fleet/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <nats/nats.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "fleet/certificate.h"
#include "fleet/membership.h"
#include "fleet/nkey.h"
#include "os/fd.h"

namespace bandd {
namespace {

using Clock = FleetConnection::Clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds longest_try{3000};  // to connect to one server
// Then the connection is given up. With it sockets do not block, which tls_guard.cpp needs.
constexpr milliseconds longest_write{2000};
constexpr milliseconds shortest_wait{100}, longest_wait{10'000};  // between two tries
constexpr milliseconds ping_interval{5000};
constexpr int most_pings_out = 2;
constexpr milliseconds patience_to_store{5000};   // then it is sent again
constexpr milliseconds wait_after_refusal{2000};  // of what may do later
constexpr milliseconds patience_to_answer{10'000};
constexpr std::size_t largest_batch = 512;  // messages fetched at a time, of a stream
constexpr seconds fetch_lasts{20};
constexpr seconds fetch_forgotten{25};       // the server said nothing at its end
constexpr seconds look_interval{10};         // at a consumer
constexpr milliseconds keep_interval{2000};  // between two rounds, however much is missing
constexpr std::size_t most_requests = 64;    // to JetStream, under way
constexpr std::size_t most_kept_nodes = 4096;
constexpr std::size_t most_live = 4096;  // heard at once, not yet handed on
// What the server may say unasked for. What was asked for has bounds of its own.
constexpr std::size_t most_told = 4 * most_unsettled;
// What the server keeps unacknowledged of a consumer. A connection that is lost leaves up to
// `most_unsettled` behind, which come again after the wait; meanwhile as many others may come.
constexpr std::size_t most_pending = 4 * most_unsettled;
constexpr seconds wait_for_settling{10};
constexpr seconds consumer_forgotten{7 * 86'400};  // that nobody uses
constexpr int stream_exists = 10058;               // with other settings
constexpr int consumer_exists = 10013, consumer_exists_too = 10105, consumer_unlike = 10012;
constexpr int message_too_large = 10054;

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* thing) const { release(thing); }
};
using Options = std::unique_ptr<natsOptions, Release<natsOptions, natsOptions_Destroy>>;
using Subscription =
    std::unique_ptr<natsSubscription, Release<natsSubscription, natsSubscription_Destroy>>;
using Message = std::unique_ptr<natsMsg, Release<natsMsg, natsMsg_Destroy>>;

std::string random_token() {
    std::array<unsigned char, 20> bytes{};
    // Nobody may guess it: others could answer in the server's name.
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        std::abort();
    std::string text;
    for (unsigned char byte : bytes) text += "abcdefghijklmnopqrstuvwxyz234567"[byte & 31U];
    return text;
}

std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// What the server answers is JSON of its own making. Three values of it matter.
std::string_view after_key(std::string_view json, std::string_view key) {
    auto at = json.find(key);
    if (at == std::string_view::npos) return {};
    json.remove_prefix(at + key.size());
    return json.substr(std::min(json.find_first_not_of(": "), json.size()));
}
std::uint64_t number_at(std::string_view json, std::string_view key) {
    return number_of(after_key(json, key));
}
std::string_view text_at(std::string_view json, std::string_view key) {
    std::string_view rest = after_key(json, key);
    if (!rest.starts_with('"')) return {};
    rest.remove_prefix(1);
    return rest.substr(0, rest.find('"'));
}
struct ServerError {
    int code = 0;  // 0: none
    std::string why;
};
ServerError error_in(std::string_view answer) {
    std::string_view error = after_key(answer, "\"error\"");
    if (error.empty()) return {};
    auto code = static_cast<int>(number_at(error, "\"err_code\""));
    return {code == 0 ? -1 : code, std::string(text_at(error, "\"description\""))};
}

// Of a message that a consumer of ours brings: the subject by which it is acknowledged.
struct Delivery {
    std::string_view stream, consumer;
    std::uint64_t sequence = 0;
    Instant stored;
};
std::optional<Delivery> parse_delivery(std::string_view reply) {
    if (!reply.starts_with("$JS.ACK.")) return {};
    auto tokens = tokens_of(reply);
    // Servers with a domain put it, and their account, before the stream.
    std::size_t first = tokens.size() >= 11 ? 4 : 2;
    if (tokens.size() != 9 && tokens.size() < 11) return {};
    Delivery delivery{tokens[first], tokens[first + 1], number_of(tokens[first + 3]), {}};
    delivery.stored.us = static_cast<std::int64_t>(number_of(tokens[first + 5]) / 1000);
    return delivery;
}

// What libnats' threads tell.
struct Opened {
    std::string server;
};
struct Closed {
    std::string why;
};
struct Resolved {
    std::vector<std::string> addresses;
};
struct Forbidden {
    std::string text;
};
struct Heard {
    bool live = false;  // by the subscription of bans
    std::string subject, reply, payload, status;
};
using Told = std::variant<Opened, Closed, Resolved, Forbidden, Heard>;

}  // namespace

// Keeps one connection. Its thread connects; all else may be called from the owner's.
class FleetConnection::Wire {
  public:
    explicit Wire(const FleetAccess& access)
        : access_(access),
          answers_("r." + to_token(access.node) + "." + random_token() + "."),
          wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
          thread_([this] { keep_connected(); }) {}
    ~Wire() {
        {
            std::lock_guard hold(mutex_);
            stops_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    int wake_fd() const { return wake_.get(); }
    const std::string& answers() const { return answers_; }

    std::vector<Told> take() {
        std::uint64_t ignored = 0;
        [[maybe_unused]] auto got = ::read(wake_.get(), &ignored, sizeof ignored);
        std::lock_guard hold(mutex_);
        live_waiting_ = 0;
        return std::exchange(told_, {});
    }
    std::uint64_t lost() const { return lost_; }

    // False: not connected, or the server does not take it. `reply` may be empty.
    bool send(const std::string& subject, const std::string& reply, std::string_view payload) {
        std::lock_guard hold(mutex_);
        if (now_ == nullptr) return false;
        auto size = static_cast<int>(payload.size());
        return (reply.empty() ? natsConnection_Publish(now_, subject.c_str(), payload.data(), size)
                              : natsConnection_PublishRequest(now_, subject.c_str(), reply.c_str(),
                                                              payload.data(), size)) == NATS_OK;
    }

  private:
    void tell(Told told) {
        {
            std::lock_guard hold(mutex_);
            if (auto* heard = std::get_if<Heard>(&told); heard != nullptr && heard->live) {
                if (live_waiting_ >= most_live) {
                    ++lost_;
                    return;
                }
                ++live_waiting_;
            } else if (told_.size() >= most_told) {
                ++lost_;
                return;
            }
            told_.push_back(std::move(told));
        }
        std::uint64_t one = 1;
        [[maybe_unused]] auto put = ::write(wake_.get(), &one, sizeof one);
    }

    static natsStatus sign(char**, unsigned char** signature, int* size, const char* nonce,
                           void* self) {
        return nats_Sign(static_cast<Wire*>(self)->access_.seed.c_str(), nonce, signature, size);
    }
    static void on_closed(natsConnection* connection, void* self) {
        auto* wire = static_cast<Wire*>(self);
        const char* why = nullptr;
        natsConnection_GetLastError(connection, &why);
        std::lock_guard hold(wire->mutex_);
        wire->is_closed_ = true;
        wire->why_closed_ = why == nullptr ? "" : why;
        wire->changed_.notify_all();
    }
    static void on_error(natsConnection* connection, natsSubscription*, natsStatus status,
                         void* self) {
        if (status != NATS_NOT_PERMITTED) return;
        const char* text = nullptr;
        natsConnection_GetLastError(connection, &text);
        static_cast<Wire*>(self)->tell(Forbidden{text == nullptr ? "" : text});
    }
    static Heard heard(natsMsg* message, bool live) {
        Message gone_at_end(message);
        const char* reply = natsMsg_GetReply(message);
        const char* status = nullptr;
        if (natsMsgHeader_Get(message, "Status", &status) != NATS_OK) status = nullptr;
        return {
            live,
            natsMsg_GetSubject(message),
            reply == nullptr ? "" : reply,
            {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))},
            status == nullptr ? "" : status};
    }
    static void on_answer(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
        static_cast<Wire*>(self)->tell(heard(message, false));
    }
    static void on_live(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
        static_cast<Wire*>(self)->tell(heard(message, true));
    }

    static void on_complete(void* self) {
        auto* wire = static_cast<Wire*>(self);
        std::lock_guard hold(wire->mutex_);
        --wire->subscribed_;
        wire->changed_.notify_all();
    }
    Subscription subscribe(natsConnection* connection, const std::string& subject,
                           natsMsgHandler handler) {
        natsSubscription* made = nullptr;
        if (natsConnection_Subscribe(&made, connection, subject.c_str(), handler, this) != NATS_OK)
            return {};
        std::lock_guard hold(mutex_);
        if (natsSubscription_SetOnCompleteCB(made, &on_complete, this) == NATS_OK) ++subscribed_;
        return Subscription(made);
    }

    // Nothing: why is in `why`.
    Options make_options(std::string& why) {
        natsOptions* raw = nullptr;
        if (natsOptions_Create(&raw) != NATS_OK) return {};
        Options options(raw);
        auto known = public_nkey_of(access_.seed);
        if (!known) {
            why = to_line(known.error());
            return {};
        }
        std::vector<std::string> urls;
        std::vector<const char*> pointers;
        for (const std::string& server : access_.servers) urls.push_back("tls://" + server);
        for (const std::string& url : urls) pointers.push_back(url.c_str());
        std::string expected = server_name_of(access_.fleet);
        auto allowed = [&](natsStatus status) { return status == NATS_OK; };
        bool done =
            allowed(
                natsOptions_SetServers(raw, pointers.data(), static_cast<int>(pointers.size()))) &&
            allowed(natsOptions_SetSecure(raw, true)) &&
            allowed(natsOptions_SetCATrustedCertificates(raw, access_.authority.c_str())) &&
            allowed(natsOptions_SetExpectedHostname(raw, expected.c_str())) &&
            allowed(natsOptions_SetNKey(raw, known->c_str(), &sign, this)) &&
            allowed(natsOptions_SetName(raw, access_.node.c_str())) &&
            // One way to connect, for the first time and again: ours.
            allowed(natsOptions_SetAllowReconnect(raw, false)) &&
            allowed(natsOptions_SetIgnoreDiscoveredServers(raw, true)) &&
            allowed(natsOptions_SetTimeout(raw, longest_try.count())) &&
            allowed(natsOptions_SetWriteDeadline(raw, longest_write.count())) &&
            allowed(natsOptions_SetPingInterval(raw, ping_interval.count())) &&
            allowed(natsOptions_SetMaxPingsOut(raw, most_pings_out)) &&
            allowed(natsOptions_SetNoEcho(raw, true)) &&
            allowed(natsOptions_SetMaxPendingMsgs(raw, static_cast<int>(2 * most_unsettled))) &&
            allowed(natsOptions_SetClosedCB(raw, &on_closed, this)) &&
            allowed(natsOptions_SetErrorHandler(raw, &on_error, this));
        if (done) return options;
        const char* text = nats_GetLastError(nullptr);
        why = text == nullptr ? "libnats refuses the settings" : text;
        return {};
    }

    // Until it is closed. Gives why it was, or why it could not be made.
    std::string connect_once(bool& was_open) {
        std::string why;
        Options options = make_options(why);
        if (!options) return why;
        {
            std::lock_guard hold(mutex_);
            is_closed_ = false;
        }
        natsConnection* raw = nullptr;
        natsStatus status = natsConnection_Connect(&raw, options.get());
        if (status != NATS_OK) {
            const char* text = nats_GetLastError(nullptr);
            return text == nullptr || *text == '\0' ? natsStatus_GetText(status) : text;
        }
        Subscription answers = subscribe(raw, answers_ + ">", &on_answer);
        Subscription live = subscribe(raw, "ban.>", &on_live);
        std::array<char, 512> url{};
        natsConnection_GetConnectedUrl(raw, url.data(), url.size());
        if (answers && live) {
            was_open = true;
            std::string server = url.data();
            if (auto scheme = server.find("://"); scheme != std::string::npos)
                server.erase(0, scheme + 3);
            {
                std::lock_guard hold(mutex_);
                now_ = raw;
            }
            tell(Opened{std::move(server)});
            std::unique_lock hold(mutex_);
            changed_.wait(hold, [this] { return stops_ || is_closed_; });
            now_ = nullptr;
            why = why_closed_;
        }
        natsConnection_Close(raw);
        {
            // Its callbacks come until then.
            std::unique_lock hold(mutex_);
            changed_.wait_for(hold, longest_try, [this] { return is_closed_ && subscribed_ == 0; });
        }
        answers.reset();
        live.reset();
        natsConnection_Destroy(raw);
        return why.empty() ? "the connection ended" : why;
    }

    // Where the servers are. It waits for the name servers, as connecting does.
    std::vector<std::string> addresses_of_servers() const {
        std::vector<std::string> all;
        for (const std::string& text : access_.servers) {
            auto server = parse_fleet_server(text);
            if (!server) continue;
            addrinfo hints{};
            hints.ai_socktype = SOCK_STREAM;
            addrinfo* found = nullptr;
            if (::getaddrinfo(server->host.c_str(), nullptr, &hints, &found) != 0) continue;
            for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
                std::array<char, NI_MAXHOST> name{};
                if (all.size() < most_fleet_addresses &&
                    ::getnameinfo(one->ai_addr, one->ai_addrlen, name.data(), name.size(), nullptr,
                                  0, NI_NUMERICHOST) == 0)
                    all.emplace_back(name.data());
            }
            ::freeaddrinfo(found);
        }
        std::ranges::sort(all);
        auto doubles = std::ranges::unique(all);
        all.erase(doubles.begin(), doubles.end());
        return all;
    }

    void keep_connected() {
        std::minstd_rand random(std::random_device{}());
        milliseconds wait = shortest_wait;
        while (true) {
            bool was_open = false;
            tell(Resolved{addresses_of_servers()});
            std::string why = connect_once(was_open);
            tell(Closed{why});
            if (was_open) wait = shortest_wait;
            // Spread, so that a thousand nodes do not come back at one moment.
            milliseconds pause{wait.count() / 2 +
                               static_cast<std::int64_t>(random()) % wait.count()};
            wait = std::min(2 * wait, longest_wait);
            std::unique_lock hold(mutex_);
            if (changed_.wait_for(hold, pause, [this] { return stops_; })) return;
        }
    }

    FleetAccess access_;
    std::string answers_;  // what begins the subjects of answers to us
    Fd wake_;
    std::mutex mutex_;  // of all that follows
    std::condition_variable changed_;
    bool stops_ = false, is_closed_ = false;
    std::string why_closed_;
    int subscribed_ = 0;  // whose callbacks may still come
    natsConnection* now_ = nullptr;
    std::vector<Told> told_;
    std::size_t live_waiting_ = 0;
    std::atomic<std::uint64_t> lost_ = 0;
    std::thread thread_;
};

// On the owner's thread only.
class FleetConnection::Work {
  public:
    Work(Wire& wire, const FleetAccess& access)
        : wire_(wire), access_(access), token_(to_token(access.node)) {
        for (const FleetStream& stream : fleet_streams)
            if (access.node != fleet_operator && (access.counts() || !stream.for_counting))
                readers_.push_back({&stream});
        for (const std::string& node : access.counting) kept_.insert(node);
        kept_.insert(access.node);
    }

    std::vector<FromFleet> turn(Clock::time_point now) {
        now_ = now;
        for (Told& told : wire_.take()) std::visit([this](auto& what) { on(what); }, told);
        if (connected_) {
            keep_all();
            ask_more();
            send_again();
            send_waiting();
            for (Reader& reader : readers_) read_on(reader);
        }
        tell_state();
        return std::exchange(out_, {});
    }

    void publish(FleetPublish message) {
        if (sent_.size() + waiting_.size() >= most_publishing) {
            out_.emplace_back(FleetRefused{message.id, "too many publications are under way"});
            return;
        }
        if (message.payload.size() > largest_fleet_payload ||
            message.subject.size() > longest_fleet_subject) {
            out_.emplace_back(FleetRefused{message.id, "is larger than a message may be"});
            return;
        }
        waiting_.push_back(std::move(message));
        if (connected_) send_waiting();
    }

    void settle(FleetSettled settled) {
        while (!unsettled_.empty() && unsettled_.front().ticket <= settled.ticket) {
            wire_.send(unsettled_.front().reply, {}, "+ACK");
            unsettled_.pop_front();
        }
    }

    void keep(const FleetKeep& keep) {
        if (!access_.counts() || !is_known_or_has_room(keep.node)) return;
        for (const FleetStream& stream : fleet_streams) {
            if (stream.for_counting && !counts(keep.node)) continue;
            // The server does one after the other.
            if (keep.anew)
                to_ask_.push_back(
                    {fmt::format("$JS.API.CONSUMER.DELETE.{}.{}", stream.name, to_token(keep.node)),
                     {},
                     nullptr,
                     {},
                     true});
            ask_for_consumer(stream, keep.node);
        }
    }

  private:
    struct Reader {
        const FleetStream* stream = nullptr;
        bool exists = false;     // its consumer
        std::uint64_t look = 0;  // number of the request that asks for it; 0: none
        Clock::time_point next_look, look_until;
        std::size_t awaited = 0;  // messages of the fetch that is under way
        std::uint64_t fetch = 0;
        Clock::time_point fetch_until;
        std::string missing;
    };
    struct Unsettled {
        std::uint64_t ticket = 0;
        std::string reply;
    };
    struct Sent {
        FleetPublish message;
        Clock::time_point again;
    };
    struct Request {
        std::string subject, body;
        const FleetStream* made_stream = nullptr;  // it makes this one; else a consumer
        Clock::time_point until;
        bool may_fail = false;
    };

    bool counts(const std::string& node) const {
        return std::ranges::find(access_.counting, node) != access_.counting.end();
    }
    std::string answer_at(char kind, std::uint64_t number) const {
        return fmt::format("{}{}.{}", wire_.answers(), kind, number);
    }

    bool is_known_or_has_room(const std::string& node) {
        if (kept_.contains(node)) return true;
        if (kept_.size() >= most_kept_nodes) return false;
        kept_.insert(node);
        return true;
    }

    void on(const Opened& opened) {
        connected_ = true;
        server_ = opened.server;
        why_not_.clear();
        asked_.clear();
        to_ask_.clear();
        // Their acknowledgements would be taken for those of other messages, if the streams were
        // made anew. They come again.
        unsettled_.clear();
        for (Reader& reader : readers_) reader = {reader.stream};
        next_keep_ = now_;
        wants_keeping_ = access_.counts();
        for (auto& [number, sent] : sent_) sent.again = now_;
    }
    void on(const Resolved& resolved) {
        if (!resolved.addresses.empty()) addresses_ = resolved.addresses;
    }
    void on(const Closed& closed) {
        connected_ = false;
        // libnats tells where in its source that was.
        std::string_view why = closed.why;
        if (auto end = why.find("): "); why.starts_with('(') && end != std::string_view::npos)
            why.remove_prefix(end + 3);
        why_not_ = fmt::format("{}: {}", fmt::join(access_.servers, ", "), why);
    }

    // "Permissions Violation for Publish to "SUBJECT"".
    void on(const Forbidden& forbidden) {
        auto begin = forbidden.text.find('"');
        auto end = forbidden.text.rfind('"');
        if (begin == std::string::npos || end <= begin) return;
        std::string_view subject =
            std::string_view(forbidden.text).substr(begin + 1, end - begin - 1);
        auto found = std::ranges::find_if(
            sent_, [&](const auto& one) { return one.second.message.subject == subject; });
        if (found == sent_.end()) return;
        refuse(found, "the server does not let this node say it");
    }

    // The daemon takes no larger ones.
    static bool fits(const Heard& heard) {
        return heard.payload.size() <= largest_fleet_payload &&
               heard.subject.size() <= longest_fleet_subject;
    }

    void on(Heard& heard) {
        if (heard.live && !fits(heard)) {
            ++foreign_;
            return;
        }
        if (heard.live) {
            out_.emplace_back(
                FleetMessage{0, std::move(heard.subject), {}, 0, {}, std::move(heard.payload)});
            return;
        }
        if (!heard.subject.starts_with(wire_.answers())) return on_delivery(heard);
        std::string_view rest = std::string_view(heard.subject).substr(wire_.answers().size());
        if (rest.size() < 3 || rest[1] != '.') return;
        std::uint64_t number = number_of(rest.substr(2));
        if (rest[0] == 'a') on_stored(number, heard);
        if (rest[0] == 'f') on_fetch_end(number);
        if (rest[0] == 'i') on_look(number, heard);
        if (rest[0] == 'k') on_kept(number, heard);
    }

    void on_delivery(Heard& heard) {
        auto delivery = parse_delivery(heard.reply);
        auto reader =
            delivery ? std::ranges::find_if(
                           readers_,
                           [&](const Reader& one) { return one.stream->name == delivery->stream; })
                     : readers_.end();
        if (reader == readers_.end() || delivery->consumer != token_ ||
            unsettled_.size() >= most_unsettled + largest_batch) {
            ++foreign_;
            return;
        }
        if (reader->awaited > 0 && --reader->awaited == 0) reader->fetch = 0;
        if (!fits(heard)) {
            ++foreign_;
            wire_.send(heard.reply, {}, "+ACK");
            return;
        }
        unsettled_.push_back({++ticket_, heard.reply});
        out_.emplace_back(FleetMessage{ticket_, std::move(heard.subject),
                                       std::string(delivery->stream), delivery->sequence,
                                       delivery->stored, std::move(heard.payload)});
    }

    // ---- publishing

    using SentAt = std::map<std::uint64_t, Sent>::iterator;

    void refuse(SentAt sent, std::string why) {
        out_.emplace_back(FleetRefused{sent->second.message.id, std::move(why)});
        busy_.erase(sent->second.message.subject);
        sent_.erase(sent);
    }

    void on_stored(std::uint64_t number, const Heard& heard) {
        auto found = sent_.find(number);
        if (found == sent_.end()) return;
        ServerError error = error_in(heard.payload);
        if (error.code == message_too_large) return refuse(found, error.why);
        if (error.code != 0 || !heard.status.empty()) {
            // Nobody stores it, or not at present: a stream is missing, the disk is full.
            found->second.again = now_ + wait_after_refusal;
            trouble_ = error.why.empty() ? "no stream takes what this node publishes" : error.why;
            trouble_until_ = now_ + patience_to_answer;
            wants_keeping_ = access_.counts();
            return;
        }
        trouble_until_ = now_;
        out_.emplace_back(FleetPublished{found->second.message.id});
        busy_.erase(found->second.message.subject);
        sent_.erase(found);
    }

    void send_one(std::uint64_t number, Sent& sent) {
        sent.again = now_ + patience_to_store;
        wire_.send(sent.message.subject, answer_at('a', number), sent.message.payload);
    }
    void send_again() {
        for (auto& [number, sent] : sent_)
            if (sent.again <= now_) send_one(number, sent);
    }
    // Of a subject whose last message is kept, one at a time: else one that is sent again would be
    // stored over a later one.
    void send_waiting() {
        std::deque<FleetPublish> later;
        for (FleetPublish& message : waiting_) {
            bool last_only = !message.subject.starts_with("hit.");
            if (last_only && !busy_.insert(message.subject).second) {
                later.push_back(std::move(message));
                continue;
            }
            auto& sent = sent_[++number_];
            sent.message = std::move(message);
            send_one(number_, sent);
        }
        waiting_ = std::move(later);
    }

    // ---- reading

    void read_on(Reader& reader) {
        if (reader.fetch != 0 && reader.fetch_until <= now_) {
            reader.fetch = 0;
            reader.awaited = 0;
            reader.exists = false;
        }
        bool may_look = reader.look == 0 || reader.look_until <= now_;
        if (may_look && (reader.next_look <= now_)) {
            reader.look = ++number_;
            reader.look_until = now_ + patience_to_answer;
            reader.next_look = now_ + look_interval;
            wire_.send(fmt::format("$JS.API.CONSUMER.INFO.{}.{}", reader.stream->name, token_),
                       answer_at('i', reader.look), {});
        }
        if (!reader.exists || reader.fetch != 0) return;
        std::size_t awaited = 0;
        for (const Reader& one : readers_) awaited += one.awaited;
        if (unsettled_.size() + awaited + largest_batch > most_unsettled) return;
        reader.fetch = ++number_;
        reader.awaited = largest_batch;
        reader.fetch_until = now_ + fetch_forgotten;
        wire_.send(fmt::format("$JS.API.CONSUMER.MSG.NEXT.{}.{}", reader.stream->name, token_),
                   answer_at('f', reader.fetch),
                   fmt::format(R"({{"batch":{},"expires":{}}})", largest_batch,
                               std::chrono::nanoseconds(fetch_lasts).count()));
    }

    // The server ends a fetch by a status: its time is over, the consumer is gone, …
    void on_fetch_end(std::uint64_t number) {
        for (Reader& reader : readers_) {
            if (reader.fetch != number) continue;
            reader.fetch = 0;
            // Looked at before the next one, at most once a second: it may be gone.
            if (reader.fetch_until - now_ > fetch_forgotten - seconds(1)) {
                reader.exists = false;
                reader.next_look = now_ + seconds(1);
            }
            reader.awaited = 0;
        }
    }

    void on_look(std::uint64_t number, const Heard& heard) {
        for (Reader& reader : readers_) {
            if (reader.look != number) continue;
            reader.look = 0;
            ServerError error = error_in(heard.payload);
            reader.exists = error.code == 0 && heard.status.empty();
            if (reader.exists) {
                reader.missing.clear();
                out_.emplace_back(FleetProgress{std::string(reader.stream->name),
                                                std::string(text_at(heard.payload, "\"created\"")),
                                                number_at(heard.payload, "\"num_pending\"")});
                continue;
            }
            reader.missing = error.why.empty() ? "JetStream does not answer" : error.why;
            reader.next_look = now_ + seconds(1);
            wants_keeping_ = access_.counts();
        }
    }

    // ---- streams and consumers, on a counting node

    void keep_all() {
        if (!wants_keeping_ || now_ < next_keep_ || !asked_.empty() || !to_ask_.empty()) return;
        wants_keeping_ = false;
        next_keep_ = now_ + keep_interval;
        for (const FleetStream& stream : fleet_streams)
            to_ask_.push_back(
                {fmt::format("$JS.API.STREAM.CREATE.{}", stream.name),
                 fmt::format(
                     R"({{"name":"{0}","subjects":["{1}"],"retention":"limits","storage":"file",)"
                     R"("discard":"old","max_age":{2},"max_bytes":{3},"max_msgs":-1,)"
                     R"("max_msgs_per_subject":{4},"max_msg_size":{5},"max_consumers":-1,)"
                     R"("num_replicas":1,"deny_delete":true,"deny_purge":true}})",
                     stream.name, stream.subjects, stream.most_seconds * 1'000'000'000,
                     stream.most_bytes, stream.last_only ? 1 : -1,
                     stream.last_only ? largest_fleet_word : largest_fleet_payload),
                 &stream,
                 {}});
    }

    void ask_for_consumer(const FleetStream& stream, const std::string& node) {
        if (to_ask_.size() > fleet_streams.size() * most_kept_nodes) return;
        std::string token = to_token(node);
        to_ask_.push_back(
            {fmt::format("$JS.API.CONSUMER.DURABLE.CREATE.{}.{}", stream.name, token),
             fmt::format(
                 R"({{"stream_name":"{0}","config":{{"durable_name":"{1}","deliver_policy":"all",)"
                 R"("ack_policy":"explicit","ack_wait":{2},"max_ack_pending":{3},"replay_policy":"instant",)"
                 R"("max_deliver":-1,"inactive_threshold":{4}}}}})",
                 stream.name, token, std::chrono::nanoseconds(wait_for_settling).count(),
                 most_pending, std::chrono::nanoseconds(consumer_forgotten).count()),
             nullptr,
             {}});
    }

    void ask_more() {
        std::erase_if(asked_, [&](const auto& one) {
            bool late = one.second.until <= now_;
            if (late) wants_keeping_ = true;
            return late;
        });
        while (!to_ask_.empty() && asked_.size() < most_requests) {
            Request request = std::move(to_ask_.front());
            to_ask_.pop_front();
            request.until = now_ + patience_to_answer;
            wire_.send(request.subject, answer_at('k', ++number_), request.body);
            asked_.emplace(number_, std::move(request));
        }
    }

    void on_kept(std::uint64_t number, const Heard& heard) {
        auto found = asked_.find(number);
        if (found == asked_.end()) return;
        Request request = std::move(found->second);
        asked_.erase(found);
        ServerError error = error_in(heard.payload);
        bool there = request.may_fail || (error.code == 0 && heard.status.empty()) ||
                     error.code == stream_exists || error.code == consumer_exists ||
                     error.code == consumer_exists_too || error.code == consumer_unlike;
        if (!there) {
            trouble_ = request.subject + ": " +
                       (error.why.empty() ? "JetStream does not answer" : error.why);
            trouble_until_ = now_ + patience_to_answer;
            wants_keeping_ = true;
            return;
        }
        if (request.made_stream == nullptr) {
            for (Reader& reader : readers_)
                if (!reader.exists) reader.next_look = now_;
            return;
        }
        for (const std::string& node : kept_)
            if (!request.made_stream->for_counting || counts(node))
                ask_for_consumer(*request.made_stream, node);
    }

    // ---- what the daemon is told of it

    void tell_state() {
        FleetState state{connected_, connected_ ? server_ : "", why_not_, addresses_, wire_.lost(),
                         foreign_};
        if (connected_) {
            if (now_ < trouble_until_) state.why_not = trouble_;
            for (const Reader& reader : readers_)
                if (!reader.missing.empty())
                    state.why_not = fmt::format("{}: {}", reader.stream->name, reader.missing);
        }
        if (state == told_ && has_told_) return;
        has_told_ = true;
        told_ = state;
        out_.emplace_back(std::move(state));
    }

    Wire& wire_;
    const FleetAccess& access_;
    std::string token_;
    Clock::time_point now_ = Clock::now();
    std::vector<FromFleet> out_;
    bool connected_ = false, has_told_ = false;
    std::string server_, why_not_{not_connected_yet}, trouble_;
    std::vector<std::string> addresses_;
    Clock::time_point trouble_until_;
    FleetState told_;
    std::uint64_t number_ = 0;  // of the last request, for its answer
    std::uint64_t ticket_ = 0, foreign_ = 0;
    std::map<std::uint64_t, Sent> sent_;
    std::set<std::string> busy_;  // subjects of which one is under way
    std::deque<FleetPublish> waiting_;
    std::vector<Reader> readers_;
    std::deque<Unsettled> unsettled_;
    bool wants_keeping_ = false;
    Clock::time_point next_keep_;
    std::set<std::string> kept_;  // nodes
    std::deque<Request> to_ask_;
    std::map<std::uint64_t, Request> asked_;
};

FleetConnection::FleetConnection(FleetAccess access)
    : access_(std::move(access)),
      wire_(std::make_unique<Wire>(access_)),
      work_(std::make_unique<Work>(*wire_, access_)) {}
FleetConnection::~FleetConnection() = default;

int FleetConnection::wake_fd() const { return wire_->wake_fd(); }
std::vector<FromFleet> FleetConnection::turn(Clock::time_point now) { return work_->turn(now); }
void FleetConnection::publish(FleetPublish message) { work_->publish(std::move(message)); }
void FleetConnection::settle(FleetSettled settled) { work_->settle(settled); }
void FleetConnection::keep(const FleetKeep& keep) { work_->keep(keep); }

}  // namespace bandd
