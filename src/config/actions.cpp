// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/actions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "config/names.h"
#include "config/ports.h"
#include "config/program.h"
#include "config/syslog_words.h"
#include "core/base/suggest.h"

namespace bandd {
namespace {

// nf_log takes NF_LOG_PREFIXLEN 128 with the ending zero.
constexpr std::size_t longest_log_prefix = 127;
constexpr int deepest_action_file = 5;  // actions/ that name each other

constexpr std::array<std::string_view, 3> hooks{"prerouting", "input", "forward"};
void read_hooks(const Field& field, NftablesAction& action) {
    auto words = field.words();
    if (words.empty()) return;
    action.hooks.clear();
    for (const Value* word : words) {
        auto found = std::ranges::find(hooks, word->text);
        if (found == hooks.end())
            field.not_one_of(*word, hooks);
        else
            action.hooks.push_back(static_cast<Hook>(found - hooks.begin()));
    }
}

std::string default_hook(NftablesAction& action) {
    return std::string(hooks[static_cast<std::size_t>(action.hooks.front())]);
}

void read_interfaces(const Field& field, NftablesAction& action) {
    action.interfaces.clear();
    auto words = field.words();
    if (words.size() > most_interfaces)
        return field.error_without_value("names more than " + std::to_string(most_interfaces));
    // As the default is written.
    if (words.size() == 1 && words.front()->text == "any") return;
    for (const Value* word : words) {
        // No interface is called so; in rules of others these words mean what we say otherwise.
        if (word->text.starts_with('!') || word->text.ends_with('+') || word->text == "any" ||
            word->text == "all")
            field.error(
                *word, "is no name of an interface",
                "name those that packets come in by; ppp* stands for all that begin so, and "
                "without \"interface\" it is any");
        else if (!is_interface_pattern(word->text))
            field.error(
                *word, "is no name of an interface",
                "at most 15 letters, digits and signs without \"/\", \":\" and spaces; a * at "
                "the end stands for any text: ppp*");
        else if (std::ranges::find(action.interfaces, word->text) == action.interfaces.end())
            action.interfaces.push_back(word->text);
    }
}

void read_log_prefix(const Field& field, NftablesAction& action) {
    auto text = field.text();
    if (!text) return;
    if (text->size() > longest_log_prefix)
        field.error_without_value("the kernel takes at most 127 bytes");
    action.log_prefix = std::move(*text);
}

// A set that the user names is one that the user made.
template <std::string IpsetAction::* set>
void read_set(const Field& field, IpsetAction& action) {
    if (auto text = field.text()) action.*set = std::move(*text);
    action.ours = action.set4.empty() && action.set6.empty();
    action.create = action.ours;
}

void check_exec(const Section& section, ExecAction& action) {
    if (action.ban.empty() && action.unban.empty())
        section.error("has nothing to run", "give \"ban\", \"unban\" or both");
}

}  // namespace

void read_packet_ports(const Field& field, NftablesAction& action) {
    read_ports(field, action.ports, action.auto_ports);
}
void read_packet_protocols(const Field& field, NftablesAction& action) {
    read_protocols(field, action.protocols);
}
void default_to_tcp(NftablesAction& action) {
    bool names_ports = !action.ports.empty() || action.auto_ports;
    if (names_ports && action.protocols.empty()) action.protocols = {Protocol::tcp};
}

std::vector<Key<NftablesAction>> packet_keys() {
    return {
        key::special("hook", read_hooks, "input | forward | prerouting, or a list", default_hook,
                     "where packets are stopped; prerouting covers this machine, what it "
                     "forwards, and containers"),
        key::special("interface", read_interfaces, "name or list", "any",
                     "only packets that come in there are stopped: `ppp0`, `[ppp*, eth1]`; it need "
                     "not exist yet"),
        key::number("priority", &NftablesAction::priority, {-2'000'000'000, 2'000'000'000},
                    "of the chain; -300 is before connection tracking, so that open connections "
                    "are cut"),
        key::choice("verdict", &NftablesAction::verdict,
                    {{"drop", Verdict::drop}, {"reject", Verdict::reject}},
                    "reject answers icmp-port-unreachable"),
        key::special("log_prefix", read_log_prefix, "text", &NftablesAction::log_prefix,
                     "if given, stopped packets are logged by the kernel (at most 10 a second)"),
    };
}

const Table<NftablesAction>& nftables_keys() {
    static const Table<NftablesAction> table = [] {
        std::vector<Key<NftablesAction>> port_keys{
            key::special("port", read_packet_ports, "port, range, service, auto, or a list",
                         "the jail's", "ports that are closed; all: every packet"),
            key::special("protocol", read_packet_protocols, "tcp | udp | list", "the jail's",
                         "protocols of these ports"),
        };
        return Table<NftablesAction>{
            "action nftables", joined<NftablesAction>(packet_keys(), port_keys),
            [](const Section&, NftablesAction& action) { default_to_tcp(action); }};
    }();
    return table;
}

const Table<IpsetAction>& ipset_keys() {
    // `create` comes after the sets, whose names say what holds without it.
    static const Table<IpsetAction> table{
        "action ipset",
        {
            key::special("set", read_set<&IpsetAction::set4>, "set name", "bandd-JAIL-4",
                         "the IPv4 set; a name of yours means a set that you made"),
            key::special("set6", read_set<&IpsetAction::set6>, "set name",
                         "bandd-JAIL-6, if `set` is not given", "the IPv6 set"),
            key::boolean("create", &IpsetAction::create,
                         "make the set if it is missing; false for a set of yours"),
            key::number("maxelem", &IpsetAction::maxelem, {1, 100'000'000},
                        "size of a set that bandd makes"),
        }};
    return table;
}

const Table<ExecAction>& exec_keys() {
    static const Table<ExecAction> table{
        "action exec",
        {
            key::argv("ban", &ExecAction::ban,
                      "run at a ban; <ip>, <prefix>, <jail>, <bantime>, <matches>, … are replaced"),
            key::argv("unban", &ExecAction::unban, "run at the end of a ban"),
            key::text("user", &ExecAction::user, "user name", key::program_user_help),
            key::capabilities(&ExecAction::capabilities),
            key::duration("timeout", &ExecAction::timeout, "then the program is killed"),
            key::number("parallel", &ExecAction::parallel, {1, 64},
                        "at most so many at a time; further ones wait"),
        },
        check_exec};
    return table;
}

const Table<SyslogAction>& syslog_action_keys() {
    static const Table<SyslogAction> table{
        "action syslog",
        {
            key::syslog_facility("facility", &SyslogAction::facility),
            key::syslog_severity("severity", &SyslogAction::severity),
            key::text("tag", &SyslogAction::tag, "word", "the program name in the line"),
            key::text("ban", &SyslogAction::ban, "text", "written once the ban holds"),
            key::text("unban", &SyslogAction::unban, "text", "written at its end"),
        }};
    return table;
}

const Table<ActionFile>& action_file_keys() {
    static const Table<ActionFile> table{
        "action file",
        {
            key::text("description", &ActionFile::description, "text", "one line"),
            key::special<ActionFile>(
                "action",
                [](const Field& field, ActionFile& file) { file.action = &field.value(); },
                "list of actions", "", "what this name means"),
        }};
    return table;
}

namespace {

NftablesAction parse_nftables(const Value& keys, const ActionContext& context, Reading& reading) {
    NftablesAction action;
    action.ports = context.ports;
    action.auto_ports = context.auto_ports;
    action.protocols = context.protocols;
    nftables_keys().read(keys, "action nftables", reading, action);
    if (action.auto_ports && !context.service_known)
        reading.errors.push_back({"\"port: auto\" of jail \"" + context.jail + "\"",
                                  "does not know whose ports", "name them: service: {unit: ssh}",
                                  keys.where});
    return action;
}

IpsetAction parse_ipset(const Value& keys, const ActionContext& context, Reading& reading) {
    IpsetAction action;
    ipset_keys().read(keys, "action ipset", reading, action);
    action.widest4 = context.widest4;
    action.widest6 = context.widest6;
    if (action.ours) {
        action.set4 = "bandd-" + context.jail + "-4";
        action.set6 = "bandd-" + context.jail + "-6";
    }
    for (const std::string& name : {action.set4, action.set6})
        if (name.size() > longest_ipset_name)
            reading.errors.push_back({"ipset \"" + name + "\"",
                                      "the kernel takes names of at most 31 bytes",
                                      "give one with \"set:\"", keys.where});
        else if (!name.empty() && !is_ipset_name(name))
            reading.errors.push_back({"ipset \"" + name + "\"", "is no name of a set",
                                      "letters, digits and signs, without spaces and quotes",
                                      keys.where});
    return action;
}

ExecAction parse_exec(const Value& keys, const ActionContext&, Reading& reading) {
    ExecAction action;
    exec_keys().read(keys, "action exec", reading, action);
    return action;
}

SyslogAction parse_syslog(const Value& keys, const ActionContext&, Reading& reading) {
    SyslogAction action;
    syslog_action_keys().read(keys, "action syslog", reading, action);
    return action;
}

// A kind of action: its name, and what reads its keys.
struct Kind {
    std::string_view name;
    ActionConfig (*parse)(const Value& keys, const ActionContext& context, Reading& reading);
};
template <auto parse>
ActionConfig parse_as(const Value& keys, const ActionContext& context, Reading& reading) {
    return parse(keys, context, reading);
}
// In the order of ActionConfig.
constexpr std::array kinds{
    Kind{"nftables", parse_as<parse_nftables>},
    Kind{"ipset", parse_as<parse_ipset>},
    Kind{"exec", parse_as<parse_exec>},
    Kind{"syslog", parse_as<parse_syslog>},
};
static_assert(kinds.size() == std::variant_size_v<ActionConfig>, "a kind of action has no row");

class ActionReader {
  public:
    ActionReader(const ActionContext& context, Reading& reading)
        : context_(context), reading_(reading) {}

    void read(const Value& value, int depth) {
        switch (value.kind) {
            case Value::Kind::list:
                for (const Value& item : value.items) read(item, depth);
                break;
            case Value::Kind::scalar: {
                Value no_keys;
                no_keys.where = value.where;
                read_one(value, no_keys, depth);
                break;
            }
            case Value::Kind::map:
                for (const auto& [name, keys] : value.entries) read_one(name, keys, depth);
                break;
            case Value::Kind::null:
                break;
        }
    }

    std::vector<ActionConfig> take() { return std::move(actions_); }

  private:
    void read_one(const Value& name, const Value& keys, int depth) {
        auto kind = std::ranges::find(kinds, name.text, &Kind::name);
        if (kind == kinds.end())
            read_file(name, depth);
        else
            actions_.push_back(kind->parse(keys, context_, reading_));
    }

    void read_file(const Value& name, int depth) {
        std::vector<std::string> known;
        for (const Kind& kind : kinds) known.emplace_back(kind.name);
        for (const std::string& directory : context_.directories) {
            std::string path = directory + "/actions/" + name.text + ".yaml";
            std::error_code ignored;
            if (name.text.find('/') == std::string::npos && depth < deepest_action_file &&
                std::filesystem::exists(path, ignored)) {
                auto document = read_document(path, reading_.read_file);
                if (!document) {
                    reading_.errors.push_back(document.error());
                    return;
                }
                ActionFile file;
                action_file_keys().read(*document, "action \"" + name.text + "\"", reading_, file);
                if (file.action != nullptr) read(*file.action, depth + 1);
                return;
            }
            for (const std::string& found : glob_files(directory + "/actions/*.yaml"))
                known.push_back(std::filesystem::path(found).stem().string());
        }
        std::vector<std::string_view> views(known.begin(), known.end());
        reading_.errors.push_back({"action \"" + name.text + "\"", "there is no such action",
                                   did_you_mean(name.text, views), name.where});
    }

    const ActionContext& context_;
    Reading& reading_;
    std::vector<ActionConfig> actions_;
};

}  // namespace

std::string_view action_name(const ActionConfig& action) { return kinds[action.index()].name; }

std::vector<ActionConfig> parse_actions(const Value& value, const ActionContext& context,
                                        Reading& reading) {
    ActionReader reader(context, reading);
    reader.read(value, 0);
    return reader.take();
}

}  // namespace bandd
