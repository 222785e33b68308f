# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for bandctl, which knows itself what may come next.
function __bandctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for reply in ($words[1] __complete $words[2..-1] "$current" 2> /dev/null)
        if test "$reply" = :files
            __fish_complete_path "$current"
        else
            echo $reply
        end
    end
end
complete -c bandctl -f -a '(__bandctl_complete)'
