// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/filter_file.h"

#include <fmt/format.h>

#include <filesystem>

namespace bandd {
namespace {

void read_pattern_regex(const Field& field, PatternConfig& pattern) {
    if (auto text = field.text()) pattern.regex = std::move(*text);
    pattern.where = field.value().where;
}

void read_tests(const Field& field, PatternConfig& pattern) {
    if (field.value().kind != Value::Kind::map)
        return field.error_without_value("must be a map: field to what it must be");
    for (const auto& [name, wants] : field.value().entries) {
        FieldTestConfig test{name.text, {}, name.where};
        for (const Value* word : Field(field.section(), name.text, wants).words())
            test.wants.push_back(word->text);
        if (!test.wants.empty()) pattern.tests.push_back(std::move(test));
    }
}

void read_json_fields(const Field& field, JsonConfig& json) {
    if (field.value().kind != Value::Kind::map)
        return field.error_without_value("must be a map: name to path");
    for (const auto& [name, path] : field.value().entries)
        if (auto text = Field(field.section(), name.text, path).text())
            json.fields[name.text] = *text;
}

void read_json_of_filter(const Field& field, FilterConfig& filter) {
    filter.json_where = field.value().where;
    filter.json = read_json(field);
    if (filter.json.empty() && field.reading().errors.empty())
        field.error_without_value("names no path");
}

// A regex, or a map with an id. Without one a pattern is called by its number.
void add_pattern(const Field& field, const Value& value, std::vector<PatternConfig>& patterns) {
    PatternConfig pattern;
    pattern.where = value.where;
    pattern.id = std::to_string(patterns.size() + 1);
    if (value.kind == Value::Kind::scalar)
        pattern.regex = value.text;
    else
        pattern_keys().read(value, "pattern", field.reading(), pattern);
    auto error = [&](const char* reason) {
        field.section().error(value, "pattern \"" + pattern.id + "\"", reason);
    };
    if (pattern.regex.empty() && pattern.tests.empty()) return error("has no regex");
    for (const PatternConfig& other : patterns)
        if (other.id == pattern.id) error("its id is used twice");
    patterns.push_back(std::move(pattern));
}

template <std::vector<PatternConfig> FilterConfig::* patterns>
void read_patterns(const Field& field, FilterConfig& filter) {
    if (field.value().kind == Value::Kind::list)
        for (const Value& item : field.value().items) add_pattern(field, item, filter.*patterns);
    else
        add_pattern(field, field.value(), filter.*patterns);
}

void read_tag(const Field& field, FilterConfig& filter) {
    if (auto text = field.text()) filter.tag = std::move(*text);
    filter.tag_where = field.value().where;
}

void read_prefregex(const Field& field, FilterConfig& filter) {
    filter.prefregex.id = "prefregex";
    filter.prefregex.where = field.value().where;
    if (auto text = field.text()) filter.prefregex.regex = std::move(*text);
}

void read_datepattern(const Field& field, FilterConfig& filter) {
    for (const Value* word : field.words()) {
        filter.datepattern.push_back(word->text);
        filter.datepattern_where = word->where;
    }
}

template <WordLists FilterConfig::* lists>
void read_lists(const Field& field, FilterConfig& filter) {
    filter.*lists = read_word_lists(field);
}

void read_samples(const Field& field, FilterConfig& filter) {
    if (field.value().kind != Value::Kind::list) field.error_without_value("must be a list");
    for (const Value& item : field.value().items) {
        Sample sample;
        sample.where = item.where;
        sample_keys().read(item, "sample", field.reading(), sample);
        if (sample.line.empty() || sample.match.empty())
            field.section().error(item, "sample", "needs \"line\" and \"match\"",
                                  "match is a pattern's id, none or ignored");
        else
            filter.samples.push_back(std::move(sample));
    }
}

void check_filter(const Section& section, FilterConfig& filter) {
    if (filter.dialect == Dialect::bandd)
        for (const char* key : {"prefregex", "datepattern", "maxlines", "usedns"})
            if (const Value* value = section.find(key))
                section.error(*value, "\"" + std::string(key) + "\"", "is of another dialect",
                              "add \"dialect: fail2ban\" if the patterns are written for that");
    if (filter.dialect == Dialect::fail2ban && !filter.json.empty())
        section.error("\"json\" is not of fail2ban's dialect");
    if (filter.json.empty())
        for (const auto* patterns : {&filter.failregex, &filter.ignoreregex})
            for (const PatternConfig& pattern : *patterns)
                if (!pattern.tests.empty())
                    section.error("pattern \"" + pattern.id + "\" has \"where\", but without " +
                                  "\"json\" lines have no fields");
    if (filter.failregex.empty() && section.reading().errors.empty())
        section.error("has no failregex");
}

std::vector<Key<FilterConfig>> fail2ban_keys() {
    return {
        key::choice("dialect", &FilterConfig::dialect,
                    {{"bandd", Dialect::bandd}, {"fail2ban", Dialect::fail2ban}},
                    "fail2ban: its tags and Python's syntax, matched against the whole line "
                    "without its date"),
        key::special("prefregex", read_prefregex, "regex", "",
                     "dialect fail2ban: must match first; its <F-CONTENT> is what failregex sees"),
        key::special("datepattern", read_datepattern, "pattern, or a list", "the usual formats",
                     "dialect fail2ban: how a date is found and read: %Y-%m-%d, {^LN-BEG}, "
                     "{DATE}, {EPOCH}, …"),
        key::number("maxlines", &FilterConfig::maxlines, {1, 100},
                    "dialect fail2ban: so many lines are matched as one text"),
        key::choice("usedns", &FilterConfig::usedns,
                    {{"yes", UseDns::yes},
                     {"warn", UseDns::warn},
                     {"no", UseDns::no},
                     {"raw", UseDns::raw}},
                    "dialect fail2ban: no: <HOST> is an address only; else a name fits, too, and "
                    "its addresses are counted (raw: nobody is)"),
    };
}

}  // namespace

const Table<FilterConfig>& filter_keys() {
    static const Table<FilterConfig> table = [] {
        std::vector<Key<FilterConfig>> keys{
            key::text("description", &FilterConfig::description, "text",
                      "one line: whose log, which attacks"),
            key::special("tag", read_tag, "regex", "",
                         "what the syslog tag must be in full: postfix/smtpd"),
            key::choice("finds", &FilterConfig::finds_logins,
                        {{"attacks", false}, {"logins", true}, {"log-ons", true, key::Said::no}},
                        "logins: its lines are logins that succeeded; they count to `accounts`, "
                        "and ban nobody"),
            key::special("json", read_json_of_filter, "map", "",
                         "the lines are JSON objects: where in them the address, the time … are"),
            key::choice("session", &FilterConfig::session_by_pid, {{"field", false}, {"pid", true}},
                        "by what `once` knows lines of one attempt: <F-SESSION>, or the process in "
                        "the syslog head, `sshd[4711]`"),
            key::prefixes("sender", &FilterConfig::senders,
                          "only syslog messages that one of these machines sent; <F-LOG_SENDER> "
                          "in actions is which"),
            key::special("failregex", read_patterns<&FilterConfig::failregex>, "list of patterns",
                         "", "a line that one of these matches is a hit"),
            key::special("ignoreregex", read_patterns<&FilterConfig::ignoreregex>,
                         "list of regexes", "", "unless one of these matches it, too"),
        };
        std::vector<Key<FilterConfig>> words_and_samples{
            key::special("lists", read_lists<&FilterConfig::lists>, "map of lists", "",
                         "words for <LIST:name>, which jails can add to; * is any text"),
            key::special("sample_lists", read_lists<&FilterConfig::sample_lists>, "map of lists",
                         "", "words that only the samples have"),
            key::special("samples", read_samples, "list of samples", "",
                         "lines that the filter is tested with"),
        };
        return Table<FilterConfig>{
            "filter", joined<FilterConfig>(keys, fail2ban_keys(), words_and_samples), check_filter};
    }();
    return table;
}

const Table<PatternConfig>& pattern_keys() {
    static const Table<PatternConfig> table{
        "pattern",
        {
            key::text("id", &PatternConfig::id, "word", "its name in logs and bans"),
            key::special("regex", read_pattern_regex, "regex", "",
                         "RE2 syntax with <HOST>, <ADDR>, <IP4>, <IP6>, <F-USER>…</F-USER>, "
                         "<LIST:name>"),
            key::special("where", read_tests, "map: field to text, list or ^regex", "",
                         "with `json`: what these fields must be; then a regex is not needed"),
            key::text("mode", &PatternConfig::mode, "word", "used only by jails with this mode"),
            key::text("safe", &PatternConfig::safe, "text",
                      "why no client can name another host by it, in words; check then does not "
                      "warn that one could"),
            key::boolean(
                "once", &PatternConfig::once,
                "its line counts only if nothing else of its <F-SESSION> did: `Invalid user`, "
                "which a failed password follows"),
        }};
    return table;
}

const Table<JsonConfig>& json_keys() {
    static const Table<JsonConfig> table{
        "json",
        {
            key::words("ip", &JsonConfig::ip, "path, or a list",
                       "the address: request.remote_ip; of several the first one that a line has"),
            key::words("user", &JsonConfig::user, "path, or a list", "<F-USER>, the same"),
            key::text("time", &JsonConfig::time, "path",
                      "when: seconds, milli-, micro- or nanoseconds since 1970, or a date"),
            key::text("message", &JsonConfig::message, "path", "what the patterns' regexes see"),
            key::text("forwarded", &JsonConfig::forwarded, "path",
                      "X-Forwarded-For, for `trusted_proxies`"),
            key::special("fields", read_json_fields, "map: name to path", "",
                         "others: `{agent: request.headers.User-Agent}` is <F-AGENT>"),
        }};
    return table;
}

JsonConfig read_json(const Field& field) {
    JsonConfig json;
    json_keys().read(field.value(), "json", field.reading(), json);
    return json;
}

const Table<Sample>& sample_keys() {
    static const Table<Sample> table{
        "sample",
        {
            key::text("line", &Sample::line, "text", "as it is in the log"),
            key::text("match", &Sample::match, "pattern id | none | ignored",
                      "what must become of it"),
            key::text("ip", &Sample::ip, "address", "the host that must be found"),
            key::text("user", &Sample::user, "text", "the <F-USER> that must be found"),
        }};
    return table;
}

WordLists read_word_lists(const Field& field) {
    WordLists lists;
    if (field.value().kind != Value::Kind::map) {
        field.error_without_value("must be a map of lists");
        return lists;
    }
    for (const auto& [name, items] : field.value().entries) {
        auto& list = lists[name.text];
        if (items.kind == Value::Kind::scalar) list.push_back(items.text);
        for (const Value& item : items.items) {
            if (item.kind != Value::Kind::scalar || item.text.empty())
                field.section().error(item, fmt::format("\"{}\"", name.text),
                                      "must hold words only");
            else
                list.push_back(item.text);
        }
    }
    return lists;
}

LoadedFilter load_filter(const std::string& path, Samples samples) {
    return load_filter(path, samples == Samples::read ? read_document(path)
                                                      : read_document_without("samples", path));
}

LoadedFilter load_filter(const std::string& path, Result<Value> document) {
    LoadedFilter out;
    if (!document) {
        out.errors.push_back(document.error());
        return out;
    }
    out.filter.name = std::filesystem::path(path).stem().string();
    out.filter.where = {path, 1, 1};
    Reading reading;
    // The directory that filters/ is in.
    reading.directory = std::filesystem::absolute(path).parent_path().parent_path().string();
    filter_keys().read(*document, "filter \"" + out.filter.name + "\"", reading, out.filter);
    out.errors = std::move(reading.errors);
    return out;
}

}  // namespace bandd
