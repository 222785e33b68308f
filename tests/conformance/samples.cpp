// SPDX-License-Identifier: GPL-2.0-or-later
#include "samples.h"

#include <cctype>
#include <cstdio>
#include <fstream>

namespace bandd::conformance {
namespace {

// The Python expressions that stand in the samples: name == 'sshd', opts.get('mode') != 'x',
// and/or/ not, in, parentheses. Nothing if it is something else.
class Condition {
  public:
    Condition(std::string text, const std::string& name, const Json& options)
        : text_(std::move(text)), name_(name), options_(options) {}
    std::optional<bool> value() {
        bool result = either();
        skip();
        if (!good_ || at_ < text_.size()) return {};
        return result;
    }

  private:
    void skip() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    bool take(const std::string& what) {
        skip();
        if (text_.compare(at_, what.size(), what) != 0) return false;
        bool word = std::isalpha(static_cast<unsigned char>(what.back())) != 0;
        char next = at_ + what.size() < text_.size() ? text_[at_ + what.size()] : ' ';
        if (word && (std::isalnum(static_cast<unsigned char>(next)) != 0 || next == '_'))
            return false;
        at_ += what.size();
        return true;
    }
    bool either() {
        bool result = both();
        while (take("or")) result = both() || result;
        return result;
    }
    bool both() {
        bool result = negation();
        while (take("and")) result = negation() && result;
        return result;
    }
    bool negation() {
        if (take("not")) return !negation();
        return comparison();
    }
    bool comparison() {
        if (take("(")) {
            bool result = either();
            good_ = take(")") && good_;
            return result;
        }
        Json left = operand();
        if (take("==")) return left == operand();
        if (take("!=")) return left != operand();
        bool negated = take("not");
        if (take("in")) {
            Json right = operand();
            bool found = false;
            if (right.is_array())
                found = std::find(right.begin(), right.end(), left) != right.end();
            else if (right.is_string() && left.is_string())
                found = right.get<std::string>().find(left.get<std::string>()) != std::string::npos;
            return found != negated;
        }
        return left.is_string() ? !left.get<std::string>().empty()
                                : left.is_boolean() && left.get<bool>();
    }
    Json operand() {
        skip();
        if (at_ >= text_.size()) return good_ = false, Json();
        char c = text_[at_];
        if (c == '\'' || c == '"') {
            auto close = text_.find(c, at_ + 1);
            if (close == std::string::npos) return good_ = false, Json();
            Json value = text_.substr(at_ + 1, close - at_ - 1);
            at_ = close + 1;
            return value;
        }
        if (c == '(' || c == '[') {
            ++at_;
            Json list = Json::array();
            while (good_ && !take(c == '(' ? ")" : "]")) {
                list.push_back(operand());
                take(",");
            }
            return list;
        }
        if (take("None")) return {};
        if (take("True")) return true;
        if (take("False")) return false;
        if (take("name")) return name_;
        if (take("opts.get")) {
            if (!take("(")) return good_ = false, Json();
            Json key = operand();
            Json fallback;
            if (take(",")) fallback = operand();
            good_ = take(")") && good_;
            return good_ && key.is_string() ? options_.value(key.get<std::string>(), fallback)
                                            : fallback;
        }
        return good_ = false, Json();
    }

    std::string text_;
    const std::string& name_;
    const Json& options_;
    std::size_t at_ = 0;
    bool good_ = true;
};

}  // namespace

Zone tests_zone() { return *Zone::from_posix("CET-01CEST-02,M3.5.0,M10.5.0"); }

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::optional<std::int64_t> seconds_of(const std::string& text, const Zone& zone) {
    CivilTime civil;
    if (std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d", &civil.year, &civil.month, &civil.day,
                    &civil.hour, &civil.minute, &civil.second) != 6)
        return {};
    return zone.to_instant(civil, never).seconds();
}

std::optional<bool> is_meant(const Annotated& sample, const std::string& name,
                             const Json& options) {
    if (!sample.expected.contains("constraint")) return true;
    return Condition(text_of(sample.expected["constraint"]), name, options).value();
}

namespace {

// Reads one filter's samples, and those of the files that it names.
class Reader {
  public:
    Reader(std::string directory, const std::string& name)
        : directory_(std::move(directory)), name_(name), files_{name} {}

    AnnotatedLines read() {
        for (std::size_t i = 0; i < files_.size(); ++i) read_file(directory_ + "/" + files_[i]);
        return std::move(samples_);
    }

  private:
    void fail(const std::string& what) { samples_.faults.push_back(what); }

    void read_file(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        if (!in) return fail(name_ + ": no sample file " + path);
        skipping_ = false;
        std::string line;
        int number = 0;
        while (std::getline(in, line)) {
            ++number;
            auto colon = line.find(':');
            std::string word =
                line.starts_with('#') && colon != std::string::npos ? line.substr(0, colon) : "";
            word.erase(0, word.find_first_not_of('#'));
            if (word.starts_with(' ')) word.erase(0, 1);
            Json value;
            if (word == "failJSON" || word.ends_with("filterOptions") || word == "fileOptions" ||
                word == "addFILE")
                value = Json::parse(line.substr(colon + 1), nullptr, false);
            if (value.is_discarded()) {
                fail(path + ":" + std::to_string(number) + ": bad JSON");
                continue;
            }
            if (take_order(word, value, path)) continue;
            Annotated sample{path, number, {}, Json::object(), {}};
            if (word == "failJSON") {
                sample.expected = value;
                if (!std::getline(in, line)) break;
                sample.number = ++number;
            } else if (line.starts_with('#') ||
                       line.find_first_not_of(" \t\r") == std::string::npos) {
                continue;
            }
            if (skipping_) continue;
            while (line.ends_with('\r')) line.pop_back();
            sample.line = line;
            sample.options = options_.empty() ? std::vector<Json>{Json::object()} : options_;
            samples_.all.push_back(std::move(sample));
        }
    }

    // True: the line was an order to the reader.
    bool take_order(const std::string& word, const Json& value, const std::string& path) {
        if (word == "fileOptions") {
            common_ = value;
        } else if (word == "addFILE") {
            files_.push_back(value.get<std::string>());
        } else if (word == "filterOptions") {
            take_options(value, path);
        } else {
            return false;
        }
        return true;
    }

    void take_options(const Json& value, const std::string& path) {
        options_.clear();
        skipping_ = false;
        for (const Json& one : value.is_array() ? value : Json::array({value})) {
            Json all = common_;
            all.update(one);
            if (all.contains("test.condition")) {
                auto holds = Condition(text_of(all["test.condition"]), name_, all).value();
                if (!holds)
                    fail(path + ": condition is not understood: " + text_of(all["test.condition"]));
                skipping_ = !holds.value_or(true);
            }
            if (!skipping_) options_.push_back(all);
        }
    }

    std::string directory_;
    const std::string& name_;
    std::vector<std::string> files_;
    Json common_ = Json::object();
    std::vector<Json> options_;
    bool skipping_ = false;
    AnnotatedLines samples_;
};

}  // namespace

AnnotatedLines read_samples(const std::string& directory, const std::string& name) {
    return Reader(directory, name).read();
}

}  // namespace bandd::conformance
