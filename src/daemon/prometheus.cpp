// SPDX-License-Identifier: GPL-2.0-or-later
// A status in Prometheus' text format.
#include <fmt/format.h>

#include <set>

#include "core/base/printable.h"
#include "daemon/status.h"

namespace bandd {
namespace {

// name="value"; in values backslash, quote and line end are escaped.
std::string label(std::string_view name, std::string_view value) {
    std::string out = std::string(name) + "=\"";
    for (char c : printable(value)) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out + '"';
}

std::string join(std::string_view one, std::string_view other) {
    return fmt::format("{}{}{}", one, one.empty() || other.empty() ? "" : ",", other);
}

// Numbers of one of several things of a kind.
struct Labelled {
    std::string labels;  // which one; empty if there is only one
    const Numbers* numbers;
};

class Page {
  public:
    void begin(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    template <class Value>
    void value(std::string_view labels, Value value, std::string_view suffix = "") {
        text_ += name_;
        text_ += suffix;
        if (!labels.empty()) text_ += fmt::format("{{{}}}", labels);
        text_ += fmt::format(" {}\n", value);
    }
    void histogram(const std::string& labels, const LatencyHistogram& times) {
        for (std::size_t i = 0; i < times.bounds.size(); ++i)
            value(join(labels, fmt::format("le=\"{}\"", times.bounds[i])), times.up_to[i],
                  "_bucket");
        value(join(labels, "le=\"+Inf\""), times.count, "_bucket");
        value(labels, times.sum, "_sum");
        value(labels, times.count, "_count");
    }
    // All numbers of `things`, metric by metric, as the format wants it. The numbers of all are of
    // the same table. What has the same labels as another one is told once.
    void all(const std::vector<Labelled>& things) {
        if (things.empty()) return;
        const Numbers& rows = *things.front().numbers;
        for (std::size_t first = 0; first < rows.size();) {
            std::string_view metric = rows[first].name->metric;
            std::size_t end = first + 1;
            while (end < rows.size() && rows[end].name->metric == metric) ++end;
            if (!metric.empty()) {
                begin(metric,
                      rows[first].name->kind == NumberName::Kind::gauge ? "gauge" : "counter",
                      rows[first].name->help);
                std::set<std::string> told;
                for (const Labelled& thing : things)
                    if (told.insert(thing.labels).second)
                        for (std::size_t row = first; row < end; ++row)
                            value(join(thing.labels, rows[row].name->label),
                                  (*thing.numbers)[row].value);
            }
            first = end;
        }
    }
    std::string take() { return std::move(text_); }

  private:
    std::string name_, text_;
};

void put_jails(Page& page, const std::vector<JailStatus>& jails) {
    std::vector<Labelled> all, actions, files, listeners;
    for (const JailStatus& jail : jails) {
        std::string of_jail = label("jail", jail.name);
        all.push_back({of_jail, &jail.numbers});
        for (const ActionStatus& action : jail.actions)
            actions.push_back({join(of_jail, label("action", action.name)), &action.numbers});
        for (const LogStatus& log : jail.logs) {
            for (const FileStatus& file : log.files)
                files.push_back({label("path", file.path), &file.numbers});
            if (log.kind == LogStatus::Kind::syslog)
                listeners.push_back({label("listen", log.path), &log.numbers});
        }
    }
    page.all(all);
    page.all(actions);
    page.all(files);
    page.all(listeners);
}

}  // namespace

std::string status_to_prometheus(const Status& status) {
    Page page;
    page.begin("bandd_info", "gauge", "The version that runs.");
    page.value(label("version", status.version), 1);
    page.begin("bandd_start_time_seconds", "gauge", "When bandd was started.");
    page.value("", static_cast<double>(status.started.us) / 1e6);
    page.all({{"", &status.numbers}});
    put_jails(page, status.jails);

    std::vector<Labelled> sources, decisions, listening;
    for (const SourceStatus& source : status.sources)
        sources.push_back({label("source", source.name), &source.numbers});
    for (const ListeningStatus& one : status.listening)
        listening.push_back({label("listen", one.address), &one.numbers});
    for (const DecisionStatus& one : status.decisions)
        decisions.push_back({label("endpoint", one.name), &one.numbers});
    page.all(sources);
    page.all(listening);
    page.all(decisions);

    page.begin("bandd_decision_seconds", "histogram", "From a request to its answer, in bandd.");
    for (const DecisionStatus& one : status.decisions)
        page.histogram(label("endpoint", one.name), one.latency);
    page.begin("bandd_turn_seconds", "histogram", "How long a turn of the loop took.");
    page.histogram("", status.turns);
    return page.take();
}

}  // namespace bandd
