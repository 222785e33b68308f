// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/state_json.h"

#include <algorithm>
#include <ostream>

namespace bandd {
namespace {

constexpr std::size_t most_jails = 10'000;
constexpr std::size_t most_times = 1000;  // maxretry's limit

Json time_to_json(Instant at) { return at == never ? Json() : Json(at.us); }

Json ban_to_json(const Ban& ban, const std::string& jail) {
    return {{"jail", jail},           {"prefix", to_string(ban.key.prefix)},
            {"from", ban.from.us},    {"until", time_to_json(ban.until)},
            {"offence", ban.offence}, {"hits", ban.hits},
            {"by_hand", ban.by_hand}, {"reason", ban.story ? ban.story->reason : ""}};
}

// Reads the members of one object; the first that is missing or of another kind is the error.
class Reader {
  public:
    explicit Reader(const Json& object) : object_(object) {}

    std::string text(const char* name) {
        const Json* value = find(name);
        if (value != nullptr && value->is_string()) return value->get<std::string>();
        return fault(name, "a text"), "";
    }
    std::uint64_t number(const char* name, std::uint64_t most = UINT64_MAX) {
        const Json* value = find(name);
        if (value != nullptr && value->is_number_unsigned() && value->get<std::uint64_t>() <= most)
            return value->get<std::uint64_t>();
        return fault(name, "a number"), 0;
    }
    bool boolean(const char* name) {
        const Json* value = find(name);
        if (value != nullptr && value->is_boolean()) return value->get<bool>();
        return fault(name, "true or false"), false;
    }
    Instant time(const char* name, bool may_be_never = false) {
        const Json* value = find(name);
        if (value != nullptr && value->is_null() && may_be_never) return never;
        if (value != nullptr && value->is_number_integer()) return {value->get<std::int64_t>()};
        return fault(name, "a time in microseconds"), Instant{};
    }
    Prefix prefix() {
        if (auto prefix = parse_prefix(text("prefix"))) return *prefix;
        return fault("prefix", "an address or a CIDR block"), Prefix{};
    }
    const Json* find(const char* name) const {
        auto found = object_.find(name);
        return found == object_.end() ? nullptr : &*found;
    }
    void fault(const char* name, const char* wanted) {
        if (!error_)
            error_ =
                Error{"\"" + std::string(name) + "\"", "must be " + std::string(wanted), {}, {}};
    }
    const std::optional<Error>& error() const { return error_; }

  private:
    const Json& object_;
    std::optional<Error> error_;
};

Ban read_ban(Reader& reader, JailIndex jail) {
    Ban ban;
    ban.key = {jail, reader.prefix()};
    ban.from = reader.time("from");
    ban.until = reader.time("until", true);
    ban.offence = static_cast<std::uint32_t>(reader.number("offence", UINT32_MAX));
    ban.hits = static_cast<std::uint32_t>(reader.number("hits", UINT32_MAX));
    ban.by_hand = reader.boolean("by_hand");
    auto story = std::make_shared<Story>();
    story->reason = reader.text("reason");
    ban.story = std::move(story);
    return ban;
}

}  // namespace

void write_state(Store& store, const std::vector<std::string>& jails, std::ostream& out,
                 Result<>& result) {
    auto put = [&](const char* kind, Json json) {
        out << to_line_of_json({{kind, std::move(json)}});
    };
    auto name = [&](JailIndex jail) { return jail == any_jail ? std::string() : jails[jail]; };
    out << "{\"bandd_state\":1}\n";
    Restore restore;
    restore.expect = [](std::size_t) {};
    restore.ban = [&](const Ban& ban) { put("ban", ban_to_json(ban, name(ban.key.jail))); };
    restore.window = [&](const WindowChange& window) {
        Json times = Json::array();
        for (Instant at : window.times) times.push_back(at.us);
        Json json{{"jail", name(window.key.jail)},
                  {"prefix", to_string(window.key.prefix)},
                  {"times", std::move(times)}};
        if (!window.values.empty()) json["values"] = window.values;
        put("window", std::move(json));
    };
    restore.offences = [&](const BanKey& key, const Offences& offences) {
        put("offences", {{"jail", name(key.jail)},
                         {"prefix", to_string(key.prefix)},
                         {"count", offences.count},
                         {"last", offences.last.us}});
    };
    restore.counts = [&](JailIndex jail, const JailCounts& counts) {
        put("counts", {{"jail", name(jail)},
                       {"hits", counts.hits},
                       {"ignored", counts.ignored},
                       {"too_old", counts.too_old},
                       {"already_banned", counts.already_banned},
                       {"bans", counts.bans},
                       {"unbans", counts.unbans}});
    };
    restore.position = [&](const TailPosition& position) {
        put("position", {{"path", position.path},
                         {"device", position.id.device},
                         {"inode", position.id.inode},
                         {"offset", position.offset},
                         {"skipping", position.skipping},
                         {"fingerprint_length", position.fingerprint.length},
                         {"fingerprint", position.fingerprint.hash}});
    };
    restore.account = [&](const AccountChange& account) {
        put("account", {{"jail", name(account.jail)},
                        {"user", account.user},
                        {"data", AccountTable::dump(*account.use)}});
    };
    restore.history = [&](const Unbanned& past) {
        Json json = ban_to_json(past.ban, name(past.ban.key.jail));
        json["ended"] = past.at.us;
        json["why"] = static_cast<int>(past.why);
        put("history", std::move(json));
    };
    result = store.load(jails, restore);
}

Result<> read_state_line(const std::string& line, Checkpoint& checkpoint) {
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || json.size() != 1)
        return fail("line", "is not one JSON object with one member");
    std::string kind = json.begin().key();
    const Json& content = json.begin().value();
    if (kind == "bandd_state") {
        if (content == 1) return {};
        return fail("bandd_state", "was written by another version of bandd");
    }
    if (!content.is_object()) return fail("\"" + kind + "\"", "must be an object");
    Reader reader(content);
    std::optional<JailIndex> known;
    auto jail = [&](bool may_be_any = false) -> JailIndex {
        std::string name = reader.text("jail");
        if (name.empty() && may_be_any) return any_jail;
        auto found = std::ranges::find(checkpoint.jails, name);
        if (found != checkpoint.jails.end())
            return static_cast<JailIndex>(found - checkpoint.jails.begin());
        if (name.empty() || checkpoint.jails.size() >= most_jails)
            return reader.fault("jail", "the name of a jail"), JailIndex{0};
        known = static_cast<JailIndex>(checkpoint.jails.size());
        checkpoint.jails.push_back(name);
        return *known;
    };
    Changes& changes = checkpoint.changes;
    if (kind == "ban") {
        Ban ban = read_ban(reader, jail());
        if (!reader.error()) changes.bans.push_back(std::move(ban));
    } else if (kind == "history") {
        Unbanned past;
        past.ban = read_ban(reader, jail());
        past.at = reader.time("ended");
        past.why = static_cast<Unbanned::Why>(reader.number("why", 2));
        if (!reader.error()) changes.ended_bans.push_back(std::move(past));
    } else if (kind == "window") {
        WindowChange window{{jail(), reader.prefix()}, {}, {}};
        const Json* times = reader.find("times");
        if (times == nullptr || !times->is_array() || times->empty() || times->size() > most_times)
            reader.fault("times", "a list of times");
        else
            for (const Json& time : *times) {
                if (!time.is_number_integer()) {
                    reader.fault("times", "a list of times");
                    break;
                }
                window.times.push_back({time.get<std::int64_t>()});
            }
        if (!std::ranges::is_sorted(window.times))
            reader.fault("times", "a list of times in order");
        if (const Json* values = reader.find("values")) {
            if (!values->is_array() || values->size() != window.times.size() ||
                !std::ranges::all_of(*values,
                                     [](const Json& one) { return one.is_number_unsigned(); }))
                reader.fault("values", "a list of numbers, one for each time");
            else
                window.values = values->get<std::vector<std::uint64_t>>();
        }
        if (!reader.error()) changes.windows.push_back(std::move(window));
    } else if (kind == "offences") {
        BanKey key{jail(true), reader.prefix()};
        Offences offences{static_cast<std::uint32_t>(reader.number("count", UINT32_MAX)),
                          reader.time("last")};
        if (!reader.error()) changes.offences.emplace_back(key, offences);
    } else if (kind == "counts") {
        JailIndex index = jail();
        JailCounts counts{
            reader.number("hits", INT64_MAX),    reader.number("ignored", INT64_MAX),
            reader.number("too_old", INT64_MAX), reader.number("already_banned", INT64_MAX),
            reader.number("bans", INT64_MAX),    reader.number("unbans", INT64_MAX)};
        if (!reader.error()) changes.counts.emplace_back(index, counts);
    } else if (kind == "account") {
        AccountChange account{jail(true), reader.text("user"), {}};
        account.use = AccountTable::undump(account.user, reader.text("data"));
        if (!account.use) reader.fault("data", "what an export wrote");
        if (!reader.error()) changes.accounts.push_back(std::move(account));
    } else if (kind == "position") {
        TailPosition position;
        position.path = reader.text("path");
        position.id.device = reader.number("device");
        position.id.inode = reader.number("inode");
        position.offset = reader.number("offset", INT64_MAX);
        position.skipping = reader.boolean("skipping");
        position.fingerprint.length =
            static_cast<std::uint32_t>(reader.number("fingerprint_length", 256));
        position.fingerprint.hash = reader.number("fingerprint");
        if (!reader.error()) checkpoint.positions.push_back(std::move(position));
    } else {
        return fail("\"" + kind + "\"", "is nothing that a state holds");
    }
    if (!reader.error()) return {};
    if (known) checkpoint.jails.pop_back();
    Error error = *reader.error();
    error.what = "\"" + kind + "\": " + error.what;
    return std::unexpected(error);
}

}  // namespace bandd
