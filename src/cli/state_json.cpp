// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/state_json.h"

#include <algorithm>
#include <array>
#include <ostream>
#include <string_view>

#include "core/base/count_of.h"

namespace bandd {
namespace {

constexpr std::size_t most_jails = 10'000;
constexpr std::size_t most_times = 1000;  // maxretry's limit
constexpr std::uint64_t newest_export = 2;

// A line that a terminal shows as it is, and that is read back as it was.
std::string in_ascii(const Json& json) {
    std::string line = json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
    for (std::size_t at = 0; (at = line.find('\x7f', at)) != std::string::npos;)
        line.replace(at, 1, "\\u007f");
    return line;
}

Json time_to_json(Instant at) { return at == never ? Json() : Json(at.us); }

Json ban_to_json(const Ban& ban, const std::string& jail) {
    Json json{{"jail", jail},           {"prefix", to_string(ban.key.prefix)},
              {"from", ban.from.us},    {"until", time_to_json(ban.until)},
              {"offence", ban.offence}, {"hits", ban.hits},
              {"by_hand", ban.by_hand}, {"reason", ban.story ? ban.story->reason : ""}};
    if (ban.even_if_ignored) json["even_if_ignored"] = true;
    return json;
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
    if (reader.find("even_if_ignored") != nullptr)
        ban.even_if_ignored = reader.boolean("even_if_ignored");
    auto story = std::make_shared<Story>();
    story->reason = reader.text("reason");
    ban.story = std::move(story);
    return ban;
}

// One line of an export, with what it is read into. The jail of a line may be a new one.
class StateLine {
  public:
    StateLine(const Json& content, Checkpoint& checkpoint)
        : reader(content), checkpoint(checkpoint), known_(checkpoint.jails.size()) {}

    Reader reader;
    Checkpoint& checkpoint;

    bool good() const { return !reader.error(); }
    JailIndex jail() {
        std::string name = reader.text("jail");
        auto found = std::ranges::find(checkpoint.jails, name);
        auto index = static_cast<JailIndex>(found - checkpoint.jails.begin());
        if (found != checkpoint.jails.end()) return index;
        if (name.empty() || checkpoint.jails.size() >= most_jails)
            return reader.fault("jail", "the name of a jail"), JailIndex{0};
        checkpoint.jails.push_back(name);
        return index;
    }
    JailIndex jail_or_any() {
        const Json* name = reader.find("jail");
        return name != nullptr && *name == "" ? any_jail : jail();
    }
    void forget_new_jail() { checkpoint.jails.resize(known_); }

  private:
    std::size_t known_;  // jails before this line
};

void take_ban(StateLine& line) {
    Ban ban = read_ban(line.reader, line.jail());
    if (line.good()) line.checkpoint.changes.bans.push_back(std::move(ban));
}

void take_history(StateLine& line) {
    Unbanned past;
    past.ban = read_ban(line.reader, line.jail());
    past.at = line.reader.time("ended");
    past.why = static_cast<Unbanned::Why>(
        line.reader.number("why", static_cast<std::uint64_t>(Unbanned::last_why)));
    if (line.good()) line.checkpoint.changes.ended_bans.push_back(std::move(past));
}

std::vector<Instant> read_times(Reader& reader) {
    const Json* list = reader.find("times");
    bool good = list != nullptr && list->is_array() && !list->empty() &&
                list->size() <= most_times &&
                std::ranges::all_of(*list, [](const Json& one) { return one.is_number_integer(); });
    std::vector<Instant> times;
    if (!good) return reader.fault("times", "a list of times"), times;
    for (const Json& one : *list) times.push_back({one.get<std::int64_t>()});
    if (!std::ranges::is_sorted(times)) reader.fault("times", "a list of times in order");
    return times;
}

std::vector<std::uint64_t> read_values(Reader& reader, std::size_t count) {
    const Json* list = reader.find("values");
    if (list == nullptr) return {};
    auto is_number = [](const Json& one) { return one.is_number_unsigned(); };
    if (list->is_array() && list->size() == count && std::ranges::all_of(*list, is_number))
        return list->get<std::vector<std::uint64_t>>();
    return reader.fault("values", "a list of numbers, one for each time"),
           std::vector<std::uint64_t>();
}

void take_window(StateLine& line) {
    WindowChange window{{line.jail(), line.reader.prefix()}, read_times(line.reader), {}};
    window.values = read_values(line.reader, window.times.size());
    if (line.good()) line.checkpoint.changes.windows.push_back(std::move(window));
}

void take_offences(StateLine& line) {
    BanKey key{line.jail_or_any(), line.reader.prefix()};
    Offences offences{static_cast<std::uint32_t>(line.reader.number("count", UINT32_MAX)),
                      line.reader.time("last")};
    if (line.good()) line.checkpoint.changes.offences.emplace_back(key, offences);
}

void take_counts(StateLine& line) {
    JailIndex jail = line.jail();
    auto number = [&](const char* name) { return line.reader.number(name, INT64_MAX); };
    JailCounts counts{number("hits"),           number("ignored"), number("too_old"),
                      number("already_banned"), number("bans"),    number("unbans")};
    if (line.good()) line.checkpoint.changes.counts.emplace_back(jail, counts);
}

void take_account(StateLine& line) {
    AccountChange account{line.jail_or_any(), line.reader.text("user"), {}};
    account.use = AccountTable::undump(account.user, line.reader.text("data"));
    if (!account.use) line.reader.fault("data", "what an export wrote");
    if (line.good()) line.checkpoint.changes.accounts.push_back(std::move(account));
}

void take_position(StateLine& line) {
    Reader& reader = line.reader;
    FilePosition position;
    TailPosition& at = position.at;
    at.path = reader.text("path");
    at.id.device = reader.number("device");
    at.id.inode = reader.number("inode");
    at.offset = reader.number("offset", INT64_MAX);
    at.skipping = reader.boolean("skipping");
    at.fingerprint.length =
        static_cast<std::uint32_t>(reader.number("fingerprint_length", Fingerprint::longest));
    at.fingerprint.hash = reader.number("fingerprint");
    // Exports of an older bandd have no numbers.
    if (reader.find("number") == nullptr) {
        position.file = {at.path, line.checkpoint.positions.size() + 1};
    } else {
        position.file = {reader.text("log"), reader.number("number", INT64_MAX)};
        position.modified = reader.time("modified").us;
        position.gone = reader.boolean("gone");
        if (reader.find("clock") != nullptr) position.clock = reader.time("clock").us;
    }
    if (line.good()) line.checkpoint.positions.push_back(std::move(position));
}

// Bytes that the daemon understands, and looks through when it reads them.
void take_overrides(StateLine& line) {
    line.checkpoint.notes.emplace_back(overrides_note, line.reader.text("json"));
}

struct Kind {
    std::string_view name;
    void (*take)(StateLine& line);
};
constexpr std::array<Kind, 8> kinds{{
    {"ban", take_ban},
    {"history", take_history},
    {"window", take_window},
    {"offences", take_offences},
    {"counts", take_counts},
    {"account", take_account},
    {"position", take_position},
    {"overrides", take_overrides},
}};

}  // namespace

void write_state(Store& store, const std::vector<std::string>& jails, std::ostream& out,
                 Result<>& result, const std::function<void(std::uint64_t lines)>& show) {
    std::uint64_t lines = 0;
    auto put = [&](const char* kind, Json json) {
        out << in_ascii({{kind, std::move(json)}});
        show(++lines);
    };
    auto name = [&](JailIndex jail) { return jail == any_jail ? std::string() : jails[jail]; };
    out << "{\"bandd_state\":2}\n";
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
    restore.position = [&](const FilePosition& position) {
        const TailPosition& at = position.at;
        Json json{{"log", position.file.log},
                  {"number", position.file.number},
                  {"path", at.path},
                  {"device", at.id.device},
                  {"inode", at.id.inode},
                  {"offset", at.offset},
                  {"skipping", at.skipping},
                  {"fingerprint_length", at.fingerprint.length},
                  {"fingerprint", at.fingerprint.hash},
                  {"modified", position.modified},
                  {"gone", position.gone}};
        if (position.clock != 0) json["clock"] = position.clock;
        put("position", std::move(json));
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
    // Other notes are of this machine's logs and moments.
    restore.note = [&](std::string_view name, std::string_view value) {
        if (name == overrides_note) put("overrides", {{"json", value}});
    };
    result = store.load(jails, restore);
    if (result) out << Json{{"lines", lines}}.dump() << "\n";
}

bool StateEnds::take(const std::string& line) {
    constexpr std::string_view first = "{\"bandd_state\":", last = "{\"lines\":";
    if (!line.starts_with(first) && !line.starts_with(last)) {
        ++lines_;
        return false;
    }
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.begin()->is_number_unsigned()) return false;
    auto number = json.begin()->get<std::uint64_t>();
    if (line.starts_with(last)) {
        told_ = number;
        return true;
    }
    if (number < 1 || number > newest_export) return false;
    version_ = static_cast<int>(number);
    return true;
}

Result<> StateEnds::check() const {
    if (version_ == 0)
        return fail("the input", "is no export of a state", "bandctl state export writes one");
    if (version_ > 1 && !told_)
        return fail("the input", "ends too early: it is cut", "nothing was imported");
    if (told_ && *told_ != lines_)
        return fail("the input",
                    "has " + count_of(lines_, "line") + " of " + std::to_string(*told_),
                    "nothing was imported");
    return {};
}

Result<> read_state_line(const std::string& line, Checkpoint& checkpoint) {
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || json.size() != 1)
        return fail("line", "is not one JSON object with one member");
    std::string name = json.begin().key();
    const Json& content = json.begin().value();
    if (name == "bandd_state")
        return fail("bandd_state", "was written by another version of bandd");
    if (!content.is_object()) return fail("\"" + name + "\"", "must be an object");
    auto kind = std::ranges::find(kinds, name, &Kind::name);
    if (kind == kinds.end()) return fail("\"" + name + "\"", "is nothing that a state holds");
    StateLine state(content, checkpoint);
    kind->take(state);
    if (state.good()) return {};
    state.forget_new_jail();
    Error error = *state.reader.error();
    error.what = "\"" + name + "\": " + error.what;
    return std::unexpected(error);
}

}  // namespace bandd
