// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/completion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "cli/call.h"
#include "cli/fail2ban_words.h"
#include "cli/filters.h"
#include "cli/output.h"

namespace bandd {
namespace {

constexpr std::size_t most_addresses = 200;
constexpr std::string_view files = ":files";

// One that takes a value which names a file or a directory.
bool names_file(std::string_view option) {
    static constexpr std::array<std::string_view, 8> all{
        "--config", "--socket", "--token-file", "--certificate",
        "--key",    "--from",   "--to",         "--authority"};
    return std::ranges::find(all, option) != all.end();
}

// "TEXT:{from,until}": the words between the braces.
std::vector<std::string> choices_of(const CLI::Option& option) {
    std::string type = option.get_type_name();
    auto begin = type.find('{'), end = type.rfind('}');
    if (begin == std::string::npos || end == std::string::npos) return {};
    return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

class Completion {
  public:
    Completion(const CLI::App& app, const std::vector<std::string>& words)
        : app_(app), current_(words.empty() ? "" : words.back()) {
        for (std::size_t i = 0; i + 1 < words.size(); ++i) take(words[i]);
    }

    void print() {
        if (waiting_ != nullptr) return print_values(*waiting_);
        if (auto equals = current_.find('='); current_.starts_with("--") && equals != current_.npos)
            if (const CLI::Option* option = find_option(current_.substr(0, equals))) {
                head_ = current_.substr(0, equals + 1);
                current_.erase(0, equals + 1);
                return print_values(*option);
            }
        if (current_.starts_with('-') && current_ != "-") return print_options();
        if (command_ == nullptr) return print_commands();
        print_words();
    }

  private:
    const CLI::Option* find_option(const std::string& name) const {
        for (const CLI::App* app : {command_, &app_})
            if (app != nullptr)
                if (const CLI::Option* option = app->get_option_no_throw(name)) return option;
        return nullptr;
    }

    // A word before the one that is to be completed.
    void take(const std::string& word) {
        if (waiting_ != nullptr) {
            take_common(*std::exchange(waiting_, nullptr), word);
        } else if (word.starts_with('-') && word != "-") {
            auto equals = word.find('=');
            const CLI::Option* option = find_option(word.substr(0, equals));
            if (option == nullptr || option->get_items_expected_max() == 0) return;
            if (equals == word.npos)
                waiting_ = option;
            else
                take_common(*option, word.substr(equals + 1));
        } else if (command_ != nullptr) {
            taken_.push_back(word);
        } else {
            auto named = [&](const CLI::App* sub) { return sub->get_name() == word; };
            if (auto found = app_.get_subcommands(named); !found.empty()) command_ = found.front();
        }
    }

    void take_common(const CLI::Option& option, const std::string& value) {
        if (option.check_name("--config")) {
            common_.config = value;
            common_.config_given = true;
        }
        if (option.check_name("--socket")) common_.socket = value;
    }

    void offer(std::string_view word, std::string_view help = {}) const {
        if (!word.starts_with(current_)) return;
        fmt::print("{}{}{}{}\n", head_, word, help.empty() ? "" : "\t", help);
    }

    void print_values(const CLI::Option& option) {
        for (const std::string& choice : choices_of(option)) offer(choice);
        std::string name = option.get_single_name();
        if (option.check_name("--jail")) offer_jails();
        if (names_file("--" + name)) fmt::print("{}\n", files);
    }

    void print_options() const {
        for (const CLI::App* app : {command_, &app_})
            if (app != nullptr)
                for (const CLI::Option* option : app->get_options())
                    for (const std::string& name : option->get_lnames())
                        offer("--" + name, option->get_description());
    }

    void print_commands() const {
        for (const CLI::App* sub : app_.get_subcommands([](const CLI::App*) { return true; }))
            offer(sub->get_name(), sub->get_description());
    }

    // What a command takes by its place.
    void print_words() {
        const std::string& command = command_->get_name();
        std::size_t place = 0;
        for (const CLI::Option* option : command_->get_options()) {
            if (!option->get_positional()) continue;
            if (place++ == taken_.size())
                for (const std::string& choice : choices_of(*option)) offer(choice);
        }
        auto is = [&](std::initializer_list<std::string_view> names) {
            return std::ranges::find(names, command) != names.end();
        };
        if (is({"status", "config", "set", "get", "stop", "start"}) && taken_.empty())
            offer_jails();
        if (is({"unban", "explain", "history"})) offer_addresses("bans", "bans");
        if (is({"help"})) print_commands();
        if (is({"test"}) && taken_.empty())
            for (const auto& [name, file] : filter_files(common_)) offer(name, file);
        if (is({"get"}) && taken_.size() == 1)
            for (std::string_view word : words_of_get) offer(word);
        if (is({"set"}) && taken_.size() > 1 && taken_[1] == "unbanip")
            offer_addresses("bans", "bans");
        bool verb_comes = is({"state"}) && taken_.empty();
        if (is({"check", "replay", "state", "test"}) && !verb_comes) fmt::print("{}\n", files);
        if (!is({"allow"})) return;
        if (taken_.empty()) {
            offer("list", "who is allowed");
            offer("remove", "allow no longer");
        } else if (taken_.front() == "remove") {
            offer_addresses("allow list", "allowed");
        }
    }

    void offer_jails() const {
        auto status = begin_call(common_, "status", Json::object());
        if (!status) return;
        for (const Json& jail : list(status->result, "jails"))
            offer(text(jail, "jail"), text(jail, "description"));
        for (const Json& jail : list(status->result, "stopped"))
            offer(jail.get<std::string>(), "stopped");
    }

    void offer_addresses(const std::string& command, const char* name) const {
        auto answer = begin_call(common_, command, {{"limit", most_addresses}});
        if (!answer) return;
        for (const Json& one : list(answer->result, name))
            offer(text(one, "ip"), text(one, "reason"));
    }

    const CLI::App& app_;
    std::string current_;
    std::string head_;  // of the word, before what is completed
    const CLI::App* command_ = nullptr;
    const CLI::Option* waiting_ = nullptr;  // its value comes next
    std::vector<std::string> taken_;        // by the command
    CommonOptions common_;
};

}  // namespace

int complete(const CLI::App& app, const std::vector<std::string>& words) {
    Completion(app, words).print();
    flush_output();
    return exit_done;
}

}  // namespace bandd
