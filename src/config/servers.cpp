// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/servers.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/access.h"
#include "config/built.h"
#include "config/listen.h"
#include "config/names.h"
#include "core/base/reserved.h"

namespace bandd {

template <>
TlsFiles& inside(RemoteConfig& remote) {
    return remote.tls;
}
template <>
SocketFile& inside(PolicyConfig& policy) {
    return policy.file;
}

namespace {

constexpr std::uint16_t policy_port = 10040;
constexpr std::uint16_t http_port = 10041;
constexpr std::uint16_t remote_text_port = 7070;
constexpr std::uint16_t remote_tls_port = 7071;
constexpr std::size_t shortest_secret = 16;

// One line, without its end. `file:PATH` is the first line of a file. Empty if it cannot be had.
std::string read_secret(const Field& field) {
    constexpr std::string_view file_prefix = "file:";
    auto text = field.text();
    if (!text) return "";
    std::string secret = std::move(*text);
    if (secret.starts_with(file_prefix)) {
        std::string path = field.reading().absolute(secret.substr(file_prefix.size()));
        auto content = read_text(path);
        if (!content || content->empty()) {
            field.error_without_value(content ? "\"" + path + "\" is empty"
                                              : to_line(content.error()));
            return "";
        }
        secret = content->substr(0, content->find('\n'));
        if (secret.ends_with('\r')) secret.pop_back();
    }
    if (secret.size() < shortest_secret)
        field.error_without_value("is shorter than 16 characters",
                                  "make one with: openssl rand -hex 16");
    return secret;
}

template <class T>
void read_token(const Field& field, T& target) {
    target.token = read_secret(field);
}

void read_policy_listen(const Field& field, PolicyConfig& policy) {
    using Kind = ListenAddress::Kind;
    for (const Value* word : field.words()) {
        auto address = parse_listen_address(word->text, policy_port, 0);
        if (address && address->kind == Kind::unix_datagram) address->kind = Kind::unix_stream;
        if (!address || (address->kind != Kind::unix_stream && address->kind != Kind::tcp)) {
            field.error(*word, "is no address to listen at",
                        "write unix:/var/spool/postfix/private/bandd or tcp://127.0.0.1:10040");
            continue;
        }
        address->path = field.reading().absolute(address->path);
        if (address->kind == Kind::unix_stream) address->file = policy.file;
        policy.listen.push_back(std::move(*address));
    }
}

// Addresses, and names with wildcards.
void read_except(const Field& field, EndUserConfig& end_users) {
    std::vector<Prefix> addresses;
    for (const ListItem& item : field.items()) {
        std::string name = item.text;
        std::ranges::replace(name, '*', 'x');
        if (auto prefix = parse_prefix(item.text))
            addresses.push_back(*prefix);
        else if (is_host_name(name))
            end_users.rules.except_names.push_back(item.text);
        else
            field.error(item, "is no address, no CIDR block and no host name");
    }
    end_users.rules.except = PrefixSet(addresses);
}

void read_end_user_words(const Field& field, EndUserConfig& end_users) {
    for (const Value* word : field.words()) end_users.rules.words.push_back(word->text);
}

void read_end_user_message(const Field& field, EndUserConfig& end_users) {
    if (auto text = read_postfix_answer(field)) end_users.message = std::move(*text);
}

// true, the message alone, or a map.
void read_reject_broadband(const Field& field, PolicyConfig& policy) {
    const Value& value = field.value();
    EndUserConfig end_users;
    if (value.kind == Value::Kind::map)
        end_user_keys().read(value, "reject_broadband", field.reading(), end_users);
    else if (value.text == "false" || value.text == "no" || value.text == "off")
        return policy.reject_broadband.reset();
    else if (value.text != "true" && value.text != "yes" && value.text != "on")
        read_end_user_message(field, end_users);
    policy.reject_broadband = std::move(end_users);
}

void read_http_listen(const Field& field, HttpConfig& http) {
    auto text = field.text();
    if (!text) return;
    if (!built_with_http) return field.error(needs_http, take_it_out);
    auto address = parse_listen_address(*text, http_port, 0);
    if (!address || address->kind != ListenAddress::Kind::tcp)
        field.error("is no address to listen at", "write tcp://127.0.0.1:10041");
    else if (!is_loopback(address->address) && http.token.empty())
        field.error("others than this machine could ask, and no \"token\" is given",
                    "listen at 127.0.0.1, or give a token");
    else
        http.listen = *address;
}

void read_mail_server(const Field& field, HttpConfig& http) {
    auto text = field.text();
    if (!text) return;
    auto server = parse_host_and_port(*text, 0);
    if (server && server->second != 0)
        http.mail_servers[std::string(field.key())] = {server->first, server->second};
    else
        field.error("is no address with a port", "write 127.0.0.1:143");
}

void read_imap_server(const Field& field, PasswordServer& server) {
    auto text = field.text();
    if (!text) return;
    constexpr std::uint16_t imap_port = 143;
    auto address = parse_host_and_port(*text, imap_port);
    if (!address) return field.error("is no address", "write 127.0.0.1:143");
    server.kind = PasswordServer::Kind::imap;
    server.imap = {address->first, address->second};
}

void read_dovecot_socket(const Field& field, PasswordServer& server) {
    auto text = field.text();
    if (!text) return;
    server.kind = PasswordServer::Kind::dovecot_sasl;
    server.socket = field.reading().absolute(*text);
}

// Read here, as bandd-auth may open next to nothing.
void read_authority(const Field& field, PasswordServer& server) {
    constexpr std::size_t largest = 128 << 10;
    auto text = field.text();
    if (!text) return;
    auto pem = read_text(field.reading().absolute(*text));
    if (!pem) return field.error_without_value(to_line(pem.error()), "name a PEM file");
    if (pem->size() > largest || pem->find("-----BEGIN CERTIFICATE-----") == std::string::npos)
        return field.error("is no PEM file with certificates", "");
    server.tls_authority = std::move(*pem);
}

void check_auth(const Section& section, PasswordServer& server) {
    bool imap = section.find("imap") != nullptr;
    bool dovecot = section.find("dovecot_sasl") != nullptr;
    if (imap == dovecot)
        section.error("needs one server that knows the passwords",
                      "write imap: 127.0.0.1:143, or dovecot_sasl: /run/dovecot/auth-client");
    if (dovecot && server.tls != PasswordServer::Tls::no)
        section.error("\"tls\" is for imap", "a socket on this machine needs none");
    // nginx waits 60 s for us (auth_http_timeout).
    if (server.timeout < std::chrono::seconds(1) || server.timeout > std::chrono::seconds(60))
        section.error("\"timeout\" must be 1s to 60s", "");
    if (imap && server.tls == PasswordServer::Tls::no && !is_private(server.imap.address) &&
        !is_loopback(server.imap.address))
        section.warning("passwords go over the network as they are",
                        "add \"tls: starttls\", or \"tls: yes\" for port 993");
}

void read_auth(const Field& field, HttpConfig& http) {
    if (!built_with_tls) return field.error(needs_tls, take_it_out);
    PasswordServer server;
    auth_keys().read(field.value(), "auth", field.reading(), server);
    http.auth = std::move(server);
}

void check_http(const Section& section, HttpConfig& http) {
    if (http.mail_servers.contains("smtp") && !http.backend_checks && !http.auth)
        section.warning(
            "nginx may let clients send mail without a password, so every login by smtp "
            "is refused",
            "let bandd check passwords: \"auth: {imap: 127.0.0.1:143}\"; or have the server behind "
            "nginx do it (docs/logins.md says how), and add \"backend_checks: true\"");
}

void read_may(const Field& field, PeerConfig& peer) {
    peer.may_add = peer.may_delete = peer.may_check = false;
    for (const Value* word : field.words()) {
        if (word->text == "add")
            peer.may_add = true;
        else if (word->text == "del")
            peer.may_delete = true;
        else if (word->text == "check")
            peer.may_check = true;
        else
            field.error(*word, "must be one of add, del, check");
    }
}

void check_peer(const Section& section, PeerConfig& peer) {
    if (section.find("token") == nullptr && peer.certificate.empty())
        section.error("cannot be told from others",
                      "give it a \"token\", or the name in its \"certificate\"");
}

void read_remote_listen(const Field& field, RemoteConfig& remote) {
    for (const Value* word : field.words()) {
        auto address = parse_listen_address(word->text, remote_text_port, remote_tls_port);
        bool tls = address && address->kind == ListenAddress::Kind::tls;
        if (!tls && !(address && address->kind == ListenAddress::Kind::tcp)) {
            field.error(*word, "is no address to listen at",
                        "write tls://0.0.0.0:7071, or tcp://127.0.0.1:7070 for plain text");
            continue;
        }
        if (tls && !built_with_tls) {
            field.error(*word, needs_tls, take_it_out);
            continue;
        }
        if (tls && (remote.tls.certificate.empty() || remote.tls.key.empty()))
            field.error(*word, "needs \"certificate\" and \"key\"", "name two PEM files");
        if (tls) address->tls = remote.tls;
        remote.listen.push_back(std::move(*address));
    }
}

void read_peers(const Field& field, RemoteConfig& remote) {
    if (field.value().kind != Value::Kind::map)
        field.error_without_value("must be a map: a name, then its keys");
    for (const auto& [name, keys] : field.value().entries) {
        PeerConfig peer;
        peer.name = name.text;
        peer.where = name.where;
        peer_keys().read(keys, "peer \"" + name.text + "\"", field.reading(), peer);
        if (!peer.certificate.empty() && remote.tls.clients.empty())
            field.section().error(*keys.find("certificate"), "\"certificate\"",
                                  "nobody says which certificates are believed",
                                  "give \"clients\" in \"remote\"");
        remote.peers.push_back(std::move(peer));
    }
}

}  // namespace

const Table<PolicyConfig>& policy_keys() {
    // A socket's mode and group come before the addresses, which take them.
    static const Table<PolicyConfig> table = [] {
        std::vector<Key<PolicyConfig>> keys{
            key::special("listen", read_policy_listen, "address, or a list", "",
                         "unix:/PATH or tcp://ADDRESS:PORT (10040)"),
            key::prefixes("from", &PolicyConfig::from, "other machines that may ask"),
            key::words("users", &PolicyConfig::users, "list of user names or numbers",
                       "users of this machine that may ask; so may members of `group`, by a Unix "
                       "socket"),
            key::special("reject_broadband", read_reject_broadband, "true | text | map", "false",
                         "refuse mail from end users' hosts, which are known by their names; the "
                         "text is the `message`"),
        };
        return Table<PolicyConfig>{"policy", joined<PolicyConfig>(socket_file_keys(), keys)};
    }();
    return table;
}

const Table<EndUserConfig>& end_user_keys() {
    static const Table<EndUserConfig> table{
        "reject_broadband",
        {
            key::special("message", read_end_user_message, "text", &EndUserConfig::message,
                         "what Postfix answers; <ip> and <hostname> are replaced"),
            key::special("except", read_except, "list of addresses, CIDRs, host names, file:PATH",
                         "",
                         "from there mail is taken all the same; * in a host name is any run of "
                         "characters"),
            key::special("words", read_end_user_words, "list of words", "",
                         "of such hosts' names, besides those that are built in; * is any run of "
                         "letters"),
        }};
    return table;
}

const Table<HttpConfig>& http_keys() {
    // The token comes before the address, which is open to others only with one.
    static const Table<HttpConfig> table{
        "http",
        {
            key::special("token", read_token<HttpConfig>, "text, or file:PATH", "",
                         "asked for in `Authorization: Bearer TOKEN` or `X-Auth-Key: TOKEN`; "
                         "without one only this machine may ask: `users` for logins, everybody for "
                         "/metrics and /health"),
            key::words("users", &HttpConfig::users, "list of user names or numbers",
                       "users of this machine that may ask without a token; everybody on it may "
                       "read /metrics and /health"),
            key::special("listen", read_http_listen, "address", "", "tcp://ADDRESS:PORT (10041)"),
            key::special("imap", read_mail_server, "address:port", "",
                         "the mail server that nginx hands clients on to, for IMAP"),
            key::special("pop3", read_mail_server, "address:port", "", "the same for POP3"),
            key::special("smtp", read_mail_server, "address:port", "", "the same for SMTP"),
            key::boolean(
                "backend_checks", &HttpConfig::backend_checks,
                "the server behind nginx checks the passwords of SMTP logins; without this, or "
                "`auth`, all of them are refused"),
            key::special("auth", read_auth, "map", "",
                         "who tells bandd whether a password is right, before nginx hands a client "
                         "on"),
        },
        check_http};
    return table;
}

const Table<PasswordServer>& auth_keys() {
    using Tls = PasswordServer::Tls;
    static const Table<PasswordServer> table{
        "auth",
        {
            key::special("imap", read_imap_server, "address:port", "",
                         "an IMAP server: bandd logs in there with the client's name and password"),
            key::special("dovecot_sasl", read_dovecot_socket, "path", "",
                         "or Dovecot's socket `auth-client`, which the user bandd-auth may open"),
            key::choice("tls", &PasswordServer::tls,
                        {{"no", Tls::no}, {"starttls", Tls::starttls}, {"yes", Tls::yes}},
                        "of imap: its certificate must be valid, but on this machine"),
            key::text("tls_name", &PasswordServer::tls_name, "name",
                      "that its certificate must have; else it must have its address"),
            key::special("tls_ca", read_authority, "path", "whom this machine believes",
                         "PEM file: who signed its certificate"),
            key::duration("timeout", &PasswordServer::timeout,
                          "if it has not answered by then, the client is to try again later"),
        },
        check_auth};
    return table;
}

const Table<RemoteConfig>& remote_keys() {
    // The TLS files come before the addresses and the peers, which need them.
    static const Table<RemoteConfig> table = [] {
        std::vector<Key<RemoteConfig>> keys{
            key::special("listen", read_remote_listen, "address, or a list", "",
                         "tls://ADDRESS:PORT (7071), or tcp://ADDRESS:PORT (7070) for the plain "
                         "text dialect"),
            key::prefixes("from", &RemoteConfig::from,
                          "who may connect by tls, besides this machine; 0.0.0.0/0 and ::/0: "
                          "everybody"),
            key::prefixes("text_from", &RemoteConfig::text_from,
                          "other machines that may speak the plain text dialect"),
            key::words("text_users", &RemoteConfig::text_users, "list of user names or numbers",
                       "users of this machine that may speak the plain text dialect"),
            key::text("text_jail", &RemoteConfig::text_jail, "jail",
                      "where bans of the text dialect go"),
            key::special("peers", read_peers, "map of peers", "", "who may do what, by name"),
            key::number("rate", &RemoteConfig::rate, {1, 1'000'000},
                        "requests of one peer in a minute"),
        };
        return Table<RemoteConfig>{"remote", joined<RemoteConfig>(tls_keys(), keys)};
    }();
    return table;
}

const Table<PeerConfig>& peer_keys() {
    static const Table<PeerConfig> table{
        "peer",
        {
            key::special("token", read_token<PeerConfig>, "text, or file:PATH", "",
                         "what it proves itself by"),
            key::text("certificate", &PeerConfig::certificate, "common name",
                      "or the name in its certificate"),
            key::special("may", read_may, "list of add, del, check", "[add, del, check]",
                         "what it may do"),
            key::text("jail", &PeerConfig::jail, "jail",
                      "where its bans go; it can end only those"),
            key::duration("longest", &PeerConfig::longest, "longer bans of it are cut to this",
                          MayBeForever::yes),
        },
        check_peer};
    return table;
}

}  // namespace bandd
