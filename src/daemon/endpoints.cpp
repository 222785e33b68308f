// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/endpoints.h"

#include <sys/epoll.h>

#include <algorithm>

#include "core/base/printable.h"
#include "os/clock.h"
#include "os/credentials.h"
#include "protocols/postfix.h"
#include "protocols/refusal.h"

namespace bandd {
namespace {

// Postfix closes a connection that it has not used for 300 s (smtpd_policy_service_max_idle).
constexpr StreamLimits policy_limits{.clients = 512,
                                     .share = 448,
                                     .proof = std::chrono::seconds(10),
                                     .silence = std::chrono::minutes(10)};
// Strangers may be among these: they have little room, and little time.
constexpr StreamLimits remote_limits{.clients = 128,
                                     .share = 32,
                                     .request = 4096,
                                     .unread = 64 << 10,
                                     .proof = std::chrono::seconds(10),
                                     .silence = std::chrono::seconds(60)};

HttpReply not_understood() { return {400, "text/plain; charset=utf-8", {}, "not understood\n"}; }

void count(EndpointCounts& counts, const Decision& decision) {
    ++(decision.permit == Permit::yes       ? counts.passed
       : decision.permit == Permit::country ? counts.refused_country
                                            : counts.refused_account);
    if (decision.only_simulated())
        ++(decision.simulated == Permit::country ? counts.simulated_country
                                                 : counts.simulated_account);
}

constexpr std::size_t longest_said = 32;  // bytes of a word that a program sent
constexpr std::string_view geo_path = "/geo/", verdict_path = "/verdict/";

// Whom the plain text dialect's clients are taken for.
constexpr std::string_view text_peer = "text";

}  // namespace

// One server for each address; those that are no longer wanted are closed.
Result<> Endpoints::set_up(Servers& servers, const std::vector<ListenAddress>& wanted,
                           const char* what, ListeningSockets& sockets, const MakeServer& make) {
    std::erase_if(servers, [&](const auto& entry) {
        return std::ranges::none_of(
            wanted, [&](const ListenAddress& one) { return to_string(one) == entry.first; });
    });
    for (const ListenAddress& address : wanted) {
        auto known = servers.find(to_string(address));
        if (known == servers.end()) {
            auto fd = sockets.extract(to_string(address));
            if (fd.empty()) {
                calls_.on_error({std::string(what) + ": " + to_string(address),
                                 "is not open",
                                 "try bandctl reload again",
                                 {}});
                continue;
            }
            known = servers.emplace(fd.key(), make(address, std::move(fd.mapped()))).first;
        }
        if (address.kind == ListenAddress::Kind::tls)
            if (auto loaded = known->second->load_tls(address.tls); !loaded) return loaded;
    }
    return {};
}

std::function<void(const Error&)> Endpoints::warn_of(const char* what) {
    return [this, what](Error error) {
        error.what = std::string(what) + ": " + error.what;
        calls_.on_warning(error);
    };
}

Result<> Endpoints::may_ask(const Askers& askers, const ListenAddress& address, const Fd& socket,
                            StreamClient& client) {
    Result<std::optional<uid_t>> user;
    if (address.kind == ListenAddress::Kind::unix_stream) {
        user = check_asker(askers, socket);
    } else {
        auto connection = connection_of(socket.get());
        if (!connection) return std::unexpected(connection.error());
        user = check_asker(askers, *owners_, *connection);
    }
    if (!user) return std::unexpected(user.error());
    client.user = *user;
    return {};
}

std::unique_ptr<StreamServer> Endpoints::make_policy(Loop& loop, const ListenAddress& address,
                                                     Fd fd) {
    StreamUse use;
    use.on_bytes = [this](StreamClient& client, std::string_view bytes, std::string& answer) {
        return on_policy(client, bytes, answer);
    };
    use.may_connect = [this, address](const Fd& socket, StreamClient& client) {
        return may_ask(policy_askers_, address, socket, client);
    };
    use.on_trouble = warn_of("policy");
    return std::make_unique<StreamServer>(loop, std::move(fd), address, policy_limits,
                                          std::move(use));
}

std::unique_ptr<StreamServer> Endpoints::make_remote(Loop& loop, const ListenAddress& address,
                                                     Fd fd) {
    bool tls = address.kind == ListenAddress::Kind::tls;
    StreamUse use;
    use.on_bytes = [this, tls](StreamClient& client, std::string_view bytes, std::string& answer) {
        return tls ? on_json(client, bytes, answer) : on_text(client, bytes, answer);
    };
    use.on_trouble = warn_of("remote");
    if (!tls) {
        use.greeting = text_greeting;
        use.may_connect = [this, address](const Fd& socket, StreamClient& client) {
            return may_ask(text_askers_, address, socket, client);
        };
    }
    return std::make_unique<StreamServer>(loop, std::move(fd), address, remote_limits,
                                          std::move(use));
}

void Endpoints::take_askers(const Config& config) {
    auto read = [&](const std::vector<std::string>& users, const std::vector<std::string>& usual) {
        // Whom bandd runs as can do all of this by its control socket.
        Askers askers{{}, {geteuid()}, {}};
        for (const std::string& user : users) {
            auto known = find_uid(user);
            if (known)
                askers.users.push_back(*known);
            else if (std::ranges::find(usual, user) == usual.end())
                calls_.on_warning(known.error());
        }
        return askers;
    };
    policy_askers_ = read(config.policy.users, PolicyConfig{}.users);
    policy_askers_.machines = PrefixSet(config.policy.from);
    if (const std::string& group = config.policy.file.group; !group.empty())
        if (auto known = find_group(group)) policy_askers_.group = *known;
    text_askers_ = read(config.remote.text_users, RemoteConfig{}.text_users);
    text_askers_.machines = PrefixSet(config.remote.text_from);
    http_askers_ = read(config.http.users, HttpConfig{}.users);
}

Result<> Endpoints::configure_http(const Config& config, Loop& loop, ListeningSockets& sockets) {
    if (config.http.listen == http_address_) {
        if (http_) http_->set_password_server(config.http.auth);
        if (http_) http_->start(now());
        return {};
    }
    http_.reset();
    http_address_.reset();
    if (!config.http.listen) return {};
    auto fd = sockets.extract(to_string(*config.http.listen));
    if (fd.empty()) {
        calls_.on_error({"http: " + to_string(*config.http.listen),
                         "is not open",
                         "try bandctl reload again",
                         {}});
        return {};
    }
    http_address_ = config.http.listen;
    http_ = std::make_unique<HttpHelper>(
        roles_, loop, std::move(fd.mapped()), [this] { on_http(); }, calls_.on_error);
    http_->set_password_server(config.http.auth);
    http_->start(now());
    return {};
}

Result<> Endpoints::configure(const Config& config, Loop& loop, ListeningSockets& sockets) {
    http_config_ = config.http;
    remote_config_ = config.remote;
    message_ = config.access.message;
    place_message_ = config.access.place_message;
    password_message_ = config.access.password_message;
    reject_broadband_ = config.policy.reject_broadband;
    rate_ = RateLimit(config.remote.rate);
    bool listens =
        !config.policy.listen.empty() || !config.remote.listen.empty() || config.http.listen;
    if (listens && !owners_) {
        auto owners = TcpOwners::open();
        if (!owners) return std::unexpected(owners.error());
        owners_ = std::move(*owners);
    }
    take_askers(config);
    auto done = set_up(policy_, config.policy.listen, "policy", sockets,
                       [&](const ListenAddress& address, Fd fd) {
                           return make_policy(loop, address, std::move(fd));
                       });
    if (!done) return done;
    done = set_up(remote_, config.remote.listen, "remote", sockets,
                  [&](const ListenAddress& address, Fd fd) {
                      return make_remote(loop, address, std::move(fd));
                  });
    if (!done) return done;
    for (auto& [address, server] : remote_) server->set_believed(PrefixSet(config.remote.from));
    return configure_http(config, loop, sockets);
}

std::optional<Instant> Endpoints::next_deadline() const {
    std::optional<Instant> next;
    for (const auto* servers : {&policy_, &remote_})
        for (const auto& [address, server] : *servers)
            if (auto due = server->next_deadline(); due && (!next || *due < *next)) next = due;
    if (auto due = http_ ? http_->next_start() : std::nullopt; due && (!next || *due < *next))
        next = due;
    return next;
}

void Endpoints::on_time(Instant now) {
    for (auto* servers : {&policy_, &remote_})
        for (auto& [address, server] : *servers) server->on_time(now);
    if (http_) http_->start(now);
}

std::vector<Endpoints::Listening> Endpoints::servers() const {
    std::vector<Listening> all;
    for (const auto& [address, server] : policy_) all.push_back({"policy", server.get()});
    for (const auto& [address, server] : remote_) all.push_back({"remote", server.get()});
    return all;
}

Decision Endpoints::decide(const char* endpoint, const LoginRequest& request) {
    Decision decision = calls_.on_login(request);
    count(counts_[endpoint], decision);
    return decision;
}

std::string Endpoints::refusal_for(const LoginRequest& request, const Decision& decision) const {
    return refusal(decision.permit == Permit::country ? place_message_ : message_, request,
                   decision.origin);
}

// Nobody logged in: mail that another server hands in, or an end user's host.
std::string Endpoints::answer_to_server(const PolicyRequest& request, StreamClient& client) {
    constexpr const char* nothing_to_say = "DUNNO";
    EndpointCounts& counts = counts_["policy"];
    std::optional<std::string> reason;
    MailClient who{request.address.value_or(Address{}), request.client_name,
                   request.reverse_client_name};
    if (reject_broadband_ && request.address && is_mail_from_server(request))
        reason = end_user_reason(reject_broadband_->rules, who);
    if (!reason) {
        ++counts.passed;
        return nothing_to_say;
    }
    std::string_view name = name_of(who);
    // One question for each recipient, on one connection.
    std::string same = std::string(request.instance) + "\n";
    bool again = !request.instance.empty() && client.name == same;
    client.name = std::move(same);
    if (!again) {
        ++counts.refused_broadband;
        if (end_users_said_.allows("", now()))
            calls_.audit("policy: mail from " + to_string(who.address) +
                         " refused: " + std::string(name) + " is an end user's host: " + *reason +
                         since_said(std::exchange(end_users_unsaid_, 0) + 1));
        else
            ++end_users_unsaid_;
    }
    return client_message(reject_broadband_->message, who.address, name);
}

std::optional<std::size_t> Endpoints::on_policy(StreamClient& client, std::string_view bytes,
                                                std::string& answer) {
    double begin = stopwatch();
    std::size_t size = policy_request_size(bytes);
    if (size == 0) return 0;
    EndpointCounts& counts = counts_["policy"];
    auto request = parse_policy_request(bytes.substr(0, size));
    if (!request) {
        // Postfix gets no answer, and defers: what we do not understand we do not let through.
        ++counts.bad;
        return {};
    }
    client.known = true;
    // Nobody logged on, or by a way that has no address: nothing to say.
    if (request->user.empty() || !request->address) {
        answer += policy_reply(answer_to_server(*request, client));
        return size;
    }
    LoginRequest login{"smtp", request->user, *request->address, now(), true};
    // One question for each recipient, on one connection.
    std::string same = std::string(request->instance) + "\n" + std::string(request->user);
    login.again = !request->instance.empty() && client.name == same;
    client.name = std::move(same);
    Decision decision = decide("policy", login);
    answer += policy_reply(decision.permit == Permit::yes ? "DUNNO" : refusal_for(login, decision));
    counts.latency.add(stopwatch() - begin);
    return size;
}

RemoteReply Endpoints::ask_remote(const PeerConfig& peer, const RemoteRequest& request,
                                  const Address& from) {
    RemoteReply reply;
    ++remote_counts_.requests;
    bool may = request.kind == RemoteRequest::Kind::add      ? peer.may_add
               : request.kind == RemoteRequest::Kind::remove ? peer.may_delete
                                                             : peer.may_check;
    const char* verb = request.kind == RemoteRequest::Kind::add      ? "add"
                       : request.kind == RemoteRequest::Kind::remove ? "del"
                                                                     : "check";
    if (!rate_.allows(peer.name + " " + (peer.name == text_peer ? to_string(from) : ""), now())) {
        ++remote_counts_.too_fast;
        reply.error = Error{"request", "too many in one minute", "try again later", {}};
    } else if (!may) {
        reply.error =
            Error{std::string(verb), "peer \"" + peer.name + "\" may not do that", {}, {}};
    } else {
        reply = calls_.on_remote(peer, request, from);
    }
    if (reply.error) ++remote_counts_.refused;
    std::string line = "remote peer=" + peer.name + " from=" + to_string(from) + " " + verb + " " +
                       to_string(*request.prefix);
    if (!request.reason.empty()) line += " reason=\"" + request.reason + "\"";
    line += reply.error ? " refused: " + to_line(*reply.error)
                        : std::string(reply.changed ? " done" : " nothing to do");
    if (reply.error) {
        if (std::uint64_t times = refused_said_.happened(now()))
            calls_.audit(line + since_said(times));
    } else if (request.kind != RemoteRequest::Kind::check) {
        calls_.audit(std::move(line));
    }
    return reply;
}

std::optional<std::size_t> Endpoints::on_text(StreamClient& client, std::string_view bytes,
                                              std::string& answer) {
    auto end = bytes.find('\n');
    if (end == std::string_view::npos) return 0;
    std::string_view line = bytes.substr(0, end);
    auto request = parse_text_request(line);
    RemoteReply reply;
    if (request) {
        client.known = true;
        PeerConfig peer;
        peer.name = text_peer;
        peer.may_add = peer.may_delete = peer.may_check = true;
        peer.jail = remote_config_.text_jail;
        reply = ask_remote(peer, *request, client.address);
    } else {
        ++remote_counts_.bad;
        reply.error = request.error();
    }
    answer += text_reply(line, reply);
    // Who speaks another protocol may have a ban in its tenth line: a browser, say.
    if (!is_text_command(line)) return {};
    return end + 1;
}

const PeerConfig* Endpoints::find_peer(const StreamClient& client) const {
    for (const PeerConfig& peer : remote_config_.peers) {
        // A peer with both must show both; its token was checked when `name` was set.
        if (!peer.certificate.empty() && peer.certificate != client.certificate) continue;
        if (!peer.token.empty() && peer.name != client.name) continue;
        return &peer;
    }
    return nullptr;
}

std::optional<std::size_t> Endpoints::on_json(StreamClient& client, std::string_view bytes,
                                              std::string& answer) {
    auto end = bytes.find('\n');
    if (end == std::string_view::npos) return 0;
    RemoteReply reply;
    auto request = parse_json_request(bytes.substr(0, end));
    auto refuse = [&](const char* what, const char* why, const char* hint) {
        ++remote_counts_.refused;
        if (std::uint64_t times = unknown_peer_said_.happened(now()))
            calls_.audit("remote from=" + to_string(client.address) + " refused: " + what + ": " +
                         why + since_said(times));
        reply.error = Error{what, why, hint, {}};
        answer += json_reply(reply);
        return std::optional<std::size_t>{};
    };
    if (!request) {
        ++remote_counts_.bad;
        reply.error = request.error();
        answer += json_reply(reply);
        return end + 1;
    }
    if (request->kind == RemoteRequest::Kind::authenticate) {
        client.name.clear();
        for (const PeerConfig& peer : remote_config_.peers)
            if (!peer.token.empty() && is_same_secret(request->token, peer.token))
                client.name = peer.name;
        if (client.name.empty()) return refuse("token", "is not known", "");
        client.known = true;
        answer += json_reply(reply);
        return end + 1;
    }
    const PeerConfig* peer = find_peer(client);
    if (peer == nullptr)
        return refuse("peer", "is not known",
                      "show the certificate, or send the token, of one of its peers");
    client.known = true;
    answer += json_reply(ask_remote(*peer, *request, client.address));
    return end + 1;
}

HttpReply Endpoints::reply_to_nginx(const HttpRequest& request) {
    auto login = parse_nginx(request);
    if (!login) {
        ++counts_["nginx"].bad;
        return not_understood();
    }
    if (!http_config_.mail_servers.contains(login->protocol)) return refuse_protocol(*login);
    if (!is_checked(*login, http_config_)) return refuse_unchecked(*login);
    if (!can_be_checked(*login, http_config_)) return refuse_method(*login);
    if (login->anonymous) {
        ++counts_["nginx"].passed;
        return let_in(*login, http_config_);
    }
    LoginRequest question{login->protocol, login->user, login->address, now()};
    if (http_config_.auth) return reply_to_checked(*login, question, request.verdict);
    Decision decision = decide("nginx", question);
    if (decision.permit == Permit::yes) return let_in(*login, http_config_);
    return refuse(std::string(without_code(refusal_for(question, decision))));
}

// A login whose password bandd checks comes twice: whether it may at all, and then, with the
// verdict, whether it is in.
HttpReply Endpoints::reply_to_checked(const HttpLogin& login, LoginRequest request,
                                      std::optional<PasswordVerdict> verdict) {
    EndpointCounts& counts = counts_["nginx"];
    if (verdict == PasswordVerdict::late) http_->restart_password_check(now());
    if (verdict == PasswordVerdict::unknown || verdict == PasswordVerdict::late) {
        ++counts.not_checked;
        return refuse_for_now(login.protocol);
    }
    if (verdict == PasswordVerdict::wrong) {
        ++counts.wrong_password;
        Origin origin = calls_.on_failure(request);
        return refuse(std::string(without_code(refusal(password_message_, request, origin))));
    }
    request.asks_only = !verdict;
    request.proven = verdict.has_value();
    Decision decision = calls_.on_login(request);
    bool may = decision.permit == Permit::yes;
    if (may && !verdict) return ask_whether_right(*http_config_.auth);
    count(counts, decision);
    if (may) return let_in(login, http_config_);
    return refuse(std::string(without_code(refusal_for(request, decision))));
}

HttpReply Endpoints::reply_to_dovecot(const HttpRequest& request) {
    auto login = parse_dovecot(request);
    EndpointCounts& counts = counts_["dovecot"];
    if (!login) {
        ++counts.bad;
        return not_understood();
    }
    LoginRequest question{login->protocol, login->user, login->address, now()};
    if (login->report) {
        ++counts.reports;
        question.proven = login->success;
        // What we refused was told when we did.
        if (login->success)
            calls_.on_login(question);
        else if (!login->refused_by_us)
            calls_.on_failure(question);
        return bandd::reply_to_dovecot(true, "");
    }
    // It asks up to twice, and reports then.
    question.asks_only = true;
    Decision decision = decide("dovecot", question);
    return bandd::reply_to_dovecot(decision.permit == Permit::yes,
                                   without_code(refusal_for(question, decision)));
}

HttpReply Endpoints::refuse_protocol(const HttpLogin& login) {
    ++counts_["nginx"].bad;
    std::string protocol = printable(std::string_view(login.protocol).substr(0, longest_said));
    if (std::uint64_t times = protocol_said_.happened(now()))
        calls_.on_error({"http: a login by \"" + protocol + "\"",
                         "is refused, as no mail server is named for it" + since_said(times),
                         "add \"" + protocol + ": ADDRESS:PORT\" to \"http\"",
                         {}});
    return refuse_for_now(login.protocol);
}

// Why nobody checks its password, and what the administrator can do.
HttpReply Endpoints::refuse_unchecked(const HttpLogin& login) {
    ++counts_["nginx"].refused_unchecked;
    bool none = login.anonymous && http_config_.auth;
    if (std::uint64_t times = unchecked_.happened(now()))
        calls_.on_error(
            {none ? "http: mail without a login" : "http: a login by " + login.protocol,
             (none ? "is refused: nginx must not pass it on, as the server behind may trust nginx"
                   : "is refused, as nobody is known to check its password") +
                 since_said(times),
             none ? "take \"none\" out of nginx' smtp_auth"
                  : "let bandd check it (\"http: auth\"), or see docs/logins.md, then set \"http: "
                    "{backend_checks: true}\"",
             {}});
    if (none) return refuse("Log in first", "530 5.7.0");
    return refuse("bandd is not told who checks passwords (http: auth, or backend_checks)");
}

HttpReply Endpoints::refuse_method(const HttpLogin& login) {
    ++counts_["nginx"].refused_unchecked;
    if (std::uint64_t times = method_said_.happened(now()))
        calls_.on_warning(
            {"http: a login by " +
                 printable(std::string_view(login.method).substr(0, longest_said)),
             "is refused, as no mail server can say whether it is right" + since_said(times),
             "leave plain and login only in nginx' " + login.protocol + "_auth",
             {}});
    return refuse(
        "Only plain passwords are taken here, not " + login.method.substr(0, longest_said),
        "504 5.5.4");
}

// /geo/ADDRESS, /verdict/ADDRESS
HttpReply Endpoints::reply_about_address(const HttpRequest& request) {
    std::string_view path = request.path;
    bool verdict = path.starts_with(verdict_path);
    path.remove_prefix(verdict ? verdict_path.size() : geo_path.size());
    auto address = parse_address(path);
    if (!address) return not_understood();
    return {200, "application/json", {}, verdict ? calls_.verdict(*address) : calls_.geo(*address)};
}

// What changes nothing may be read by all of this machine.
bool Endpoints::may_change(const HttpRequest& request) {
    if (!http_config_.token.empty()) return true;
    auto user = check_asker(http_askers_, *owners_, request.connection);
    if (user) return true;
    ++http_refused_;
    if (std::uint64_t times = http_refused_said_.happened(now())) {
        Error error = user.error();
        error.what = "http: " + error.what;
        error.reason += since_said(times);
        calls_.on_warning(error);
    }
    return false;
}

HttpReply Endpoints::reply_to_http(const HttpRequest& request) {
    constexpr const char* plain = "text/plain; charset=utf-8";
    if (!is_authorized(request, http_config_.token))
        return {401, plain, {{"WWW-Authenticate", "Bearer"}}, "a token is needed\n"};
    bool get = request.method == "GET" || request.method == "HEAD";
    bool about_address =
        request.path.starts_with(geo_path) || request.path.starts_with(verdict_path);
    if ((about_address || request.path.starts_with("/auth/")) && !may_change(request))
        return {403, plain, {}, "this user may not ask: see bandd's log\n"};
    if (request.path == "/auth/nginx" && get) return reply_to_nginx(request);
    if (request.path == "/auth/dovecot" && request.method == "POST")
        return reply_to_dovecot(request);
    if (about_address && get) return reply_about_address(request);
    if (request.path == "/metrics" && get)
        return {200, "text/plain; version=0.0.4; charset=utf-8", {}, calls_.metrics()};
    if (request.path == "/health" && get) return {200, plain, {}, "ok\n"};
    return {404,
            plain,
            {},
            "there are /auth/nginx, /auth/dovecot, /geo/ADDRESS, /verdict/ADDRESS, /metrics and "
            "/health\n"};
}

void Endpoints::on_http() {
    constexpr int most_in_a_row = 256;  // then the rest of the loop has its turn
    for (int i = 0; i < most_in_a_row; ++i) {
        double begin = stopwatch();
        auto request = http_->take_request(now());
        if (!request) return;
        http_->reply(request->id, reply_to_http(*request), now());
        if (request->path.starts_with("/auth/"))
            counts_[request->path == "/auth/nginx" ? "nginx" : "dovecot"].latency.add(stopwatch() -
                                                                                      begin);
    }
}

}  // namespace bandd
