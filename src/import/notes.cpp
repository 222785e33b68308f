// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/notes.h"

#include <algorithm>

namespace bandd::fail2ban {

void Notes::add(Fate fate, std::string_view jail, std::string_view what) {
    auto same = [&](const Note& note) { return note.fate == fate && note.what == what; };
    auto note = std::ranges::find_if(notes_, same);
    if (note == notes_.end()) note = notes_.insert(note, Note{fate, std::string(what), {}});
    if (!jail.empty() && std::ranges::find(note->jails, jail) == note->jails.end())
        note->jails.emplace_back(jail);
}

std::vector<Note> Notes::sorted() const {
    std::vector<Note> sorted = notes_;
    std::ranges::stable_sort(sorted, {}, &Note::fate);
    return sorted;
}

}  // namespace bandd::fail2ban
