// SPDX-License-Identifier: GPL-2.0-or-later
// Requests of others: Postfix, nginx and Dovecot want to know whether a login is to be let in,
// Prometheus wants numbers, other machines want addresses banned. Sockets and protocols are here.
// What to reply is asked of others, by the calls: Logins, RemoteBans, status. On the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/types.h"
#include "core/base/rarely.h"
#include "daemon/latency.h"
#include "net/askers.h"
#include "net/listening_sockets.h"
#include "net/stream_server.h"
#include "os/credentials.h"
#include "protocols/http_helper.h"
#include "protocols/remote.h"

namespace bandd {

struct EndpointCounts {
    std::uint64_t passed = 0, refused_country = 0, refused_account = 0;
    std::uint64_t simulated_country = 0, simulated_account = 0;  // passed, by `simulate`
    std::uint64_t refused_unchecked = 0;  // nobody is known to check the password, or can
    std::uint64_t wrong_password = 0;     // bandd checked it
    std::uint64_t not_checked = 0;        // bandd could not, and the client is to try again
    std::uint64_t refused_broadband = 0;  // end users' hosts, not logins
    std::uint64_t reports = 0;            // logins told of
    std::uint64_t bad = 0;                // what was sent, but is no request of the protocol
    LatencyHistogram latency;             // from request to reply, in the daemon
};
struct RemoteCounts {
    std::uint64_t requests = 0, refused = 0, too_fast = 0, bad = 0;
};

struct PolicyRequest;

class Endpoints {
  public:
    struct Calls {
        std::function<Decision(const LoginRequest&)> on_login;
        // A password was wrong. Where the client is.
        std::function<Origin(const LoginRequest&)> on_failure;
        std::function<RemoteReply(const PeerConfig&, const RemoteRequest&, const Address& from)>
            on_remote;
        std::function<std::string()> metrics;
        // JSON: where an address is, and whether it is banned. See daemon/address_answers.
        std::function<std::string(const Address&)> geo, verdict;
        std::function<void(const Error&)> on_error, on_warning;
        std::function<void(std::string line)> audit;
    };

    // `roles` outlives it.
    explicit Endpoints(Roles& roles) : roles_(roles) {}

    // Who decides. Before `configure`.
    void set_calls(Calls calls) { calls_ = std::move(calls); }
    // Begins to answer, or goes on with another configuration. Takes what it listens at anew out of
    // `sockets`.
    Result<> configure(const Config& config, Loop& loop, ListeningSockets& sockets);

    std::optional<Instant> next_deadline() const;
    void on_time(Instant now);

    // By name: policy, nginx, dovecot.
    const std::map<std::string, EndpointCounts, std::less<>>& counts() const { return counts_; }
    const RemoteCounts& remote_counts() const { return remote_counts_; }
    struct Listening {
        std::string what;  // policy, remote
        const StreamServer* server = nullptr;
    };
    std::vector<Listening> servers() const;
    const HttpHelper* http() const { return http_.get(); }
    // HTTP requests of users of this machine who may not ask.
    std::uint64_t http_refused() const { return http_refused_; }

  private:
    // Lines of the log; of more end users' hosts only the number is said.
    static constexpr std::uint32_t end_users_a_minute = 60;

    using Servers = std::map<std::string, std::unique_ptr<StreamServer>>;  // by `to_string`
    using MakeServer = std::function<std::unique_ptr<StreamServer>(const ListenAddress&, Fd)>;
    Result<> set_up(Servers& servers, const std::vector<ListenAddress>& wanted, const char* what,
                    ListeningSockets& sockets, const MakeServer& make);
    std::unique_ptr<StreamServer> make_policy(Loop& loop, const ListenAddress& address, Fd fd);
    std::unique_ptr<StreamServer> make_remote(Loop& loop, const ListenAddress& address, Fd fd);
    void take_askers(const Config& config);
    Result<> may_ask(const Askers& askers, const ListenAddress& address, const Fd& socket,
                     StreamClient& client);
    std::function<void(const Error&)> warn_of(const char* what);
    bool may_change(const HttpRequest& request);
    std::optional<std::size_t> on_policy(StreamClient& client, std::string_view bytes,
                                         std::string& answer);
    std::optional<std::size_t> on_text(StreamClient& client, std::string_view bytes,
                                       std::string& answer);
    std::optional<std::size_t> on_json(StreamClient& client, std::string_view bytes,
                                       std::string& answer);
    std::string answer_to_server(const PolicyRequest& request, StreamClient& client);
    const PeerConfig* find_peer(const StreamClient& client) const;
    RemoteReply ask_remote(const PeerConfig& peer, const RemoteRequest& request,
                           const Address& from);
    Result<> configure_http(const Config& config, Loop& loop, ListeningSockets& sockets);
    void on_http();
    HttpReply reply_to_http(const HttpRequest& request);
    HttpReply reply_about_address(const HttpRequest& request);
    HttpReply reply_to_nginx(const HttpRequest& request);
    HttpReply reply_to_checked(const HttpLogin& login, LoginRequest request,
                               std::optional<PasswordVerdict> verdict);
    HttpReply reply_to_dovecot(const HttpRequest& request);
    HttpReply refuse_protocol(const HttpLogin& login);
    HttpReply refuse_unchecked(const HttpLogin& login);
    HttpReply refuse_method(const HttpLogin& login);
    Decision decide(const char* endpoint, const LoginRequest& request);
    std::string refusal_for(const LoginRequest& request, const Decision& decision) const;

    Roles& roles_;
    Calls calls_;
    HttpConfig http_config_;
    RemoteConfig remote_config_;
    // To clients; see protocols/refusal.
    std::string message_, place_message_, password_message_;
    std::optional<EndUserConfig> reject_broadband_;
    RateLimit end_users_said_{end_users_a_minute};
    std::uint64_t end_users_unsaid_ = 0;
    std::optional<TcpOwners> owners_;  // once something listens
    Askers policy_askers_, http_askers_, text_askers_;
    Servers policy_, remote_;
    std::unique_ptr<HttpHelper> http_;
    std::optional<ListenAddress> http_address_;
    RateLimit rate_{1};
    std::map<std::string, EndpointCounts, std::less<>> counts_;
    RemoteCounts remote_counts_;
    std::uint64_t http_refused_ = 0;
    Rarely unchecked_, method_said_, protocol_said_, http_refused_said_, unknown_peer_said_,
        refused_said_;
};

}  // namespace bandd
