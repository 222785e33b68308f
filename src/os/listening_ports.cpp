// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/listening_ports.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include "os/credentials.h"

namespace bandd {
namespace {

// Of the kernel's include/net/tcp_states.h. A UDP socket that is not connected is "closed".
constexpr std::uint32_t bit_of(int state) { return std::uint32_t{1} << state; }

bool is_loopback(const inet_diag_msg& socket) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(socket.id.idiag_src);
    if (socket.idiag_family == AF_INET) return bytes[0] == 127;
    static constexpr std::array<std::uint8_t, 13> mapped{0, 0, 0, 0,    0,    0,  0,
                                                         0, 0, 0, 0xff, 0xff, 127};
    if (std::memcmp(bytes, mapped.data(), mapped.size()) == 0) return true;
    return std::memcmp(bytes, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

std::uint64_t group_of(const nlmsghdr& message) {
    std::uint64_t group = 0;
    auto visit = [](const nlattr* attribute, void* data) -> int {
        if (mnl_attr_get_type(attribute) == INET_DIAG_CGROUP_ID &&
            mnl_attr_get_payload_len(attribute) == sizeof(std::uint64_t))
            std::memcpy(data, mnl_attr_get_payload(attribute), sizeof(std::uint64_t));
        return MNL_CB_OK;
    };
    mnl_attr_parse(&message, sizeof(inet_diag_msg), visit, &group);
    return group;
}

Result<> list(Netlink& sockets, std::uint8_t family, std::uint8_t protocol,
              std::vector<ListeningPort>& found) {
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* request = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
    request->sdiag_family = family;
    request->sdiag_protocol = protocol;
    request->idiag_states = bit_of(protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
    return sockets.dump(*header, [&](const nlmsghdr& message) {
        if (message.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            mnl_nlmsg_get_payload_len(&message) < sizeof(inet_diag_msg))
            return;
        const auto* socket = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
        std::uint16_t port = ntohs(socket->id.idiag_sport);
        if (port == 0 || is_loopback(*socket)) return;
        found.push_back({protocol, port, socket->idiag_uid, group_of(message)});
    });
}

std::string first_word(const char* path) {
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

// Where the second version of control groups may be mounted: alone, or beside the first one.
constexpr std::array<const char*, 2> roots{"/sys/fs/cgroup/", "/sys/fs/cgroup/unified/"};

// A template's instances are in a slice of its name, in which "-" is escaped.
std::string slice_of_template(const std::string& unit) {
    auto at = unit.find('@');
    if (at == std::string::npos) return "";
    std::string escaped;
    for (char c : unit.substr(0, at)) {
        if (c == '-')
            escaped += "\\x2d";
        else
            escaped += c;
    }
    return "system-" + escaped + ".slice/";
}

}  // namespace

Result<std::vector<ListeningPort>> listening_ports() {
    auto sockets = Netlink::open(NETLINK_SOCK_DIAG);
    if (!sockets) return std::unexpected(sockets.error());
    std::vector<ListeningPort> found;
    for (std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP})
        for (std::uint8_t family : {AF_INET, AF_INET6})
            if (auto listed = list(*sockets, family, protocol, found); !listed)
                return std::unexpected(listed.error());
    std::ranges::sort(found);
    auto repeated = std::ranges::unique(found);
    found.erase(repeated.begin(), repeated.end());
    return found;
}

std::vector<std::uint64_t> control_groups_of(const std::string& unit) {
    std::string name = unit.substr(0, unit.rfind('.'));
    std::string slice = "system.slice/" + slice_of_template(name);
    std::vector<std::uint64_t> groups;
    for (const char* root : roots)
        for (const std::string& path :
             {slice + unit, slice + name + ".socket", "openrc." + name, "rc/" + name}) {
            struct stat status{};
            // The number of a group is that of its directory.
            if (stat((root + path).c_str(), &status) == 0 && S_ISDIR(status.st_mode))
                groups.push_back(status.st_ino);
        }
    return groups;
}

std::vector<uid_t> numbers_of(const std::vector<std::string>& users) {
    std::vector<uid_t> numbers;
    for (const std::string& name : users)
        if (auto user = find_user(name); user && user->uid != 0) numbers.push_back(user->uid);
    return numbers;
}

std::vector<ListeningPort> ports_of(const std::vector<ListeningPort>& all,
                                    const std::vector<std::string>& units,
                                    const std::vector<uid_t>& users,
                                    std::uint16_t first_ephemeral) {
    std::vector<std::uint64_t> groups;
    for (const std::string& unit : units)
        std::ranges::copy(control_groups_of(unit), std::back_inserter(groups));
    std::vector<ListeningPort> found;
    std::ranges::copy_if(all, std::back_inserter(found), [&](const ListeningPort& one) {
        if (one.protocol == IPPROTO_UDP && one.port >= first_ephemeral) return false;
        return (one.group != 0 && std::ranges::find(groups, one.group) != groups.end()) ||
               std::ranges::find(users, one.user) != users.end();
    });
    return found;
}

bool forwards_packets() {
    return first_word("/proc/sys/net/ipv4/ip_forward") == "1" ||
           first_word("/proc/sys/net/ipv6/conf/all/forwarding") == "1";
}

std::uint16_t first_ephemeral_port() {
    constexpr std::uint16_t usual = 32768;
    int port = std::atoi(first_word("/proc/sys/net/ipv4/ip_local_port_range").c_str());
    return port > 0 && port <= UINT16_MAX ? static_cast<std::uint16_t>(port) : usual;
}

}  // namespace bandd
