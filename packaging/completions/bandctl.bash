# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for bandctl. Commands, options and words to choose from are those that --help names.
_bandctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local help all commands command= word choices
  all=$(bandctl --help 2>/dev/null)
  commands=" $(sed -n '/^Subcommands:/,/^$/s/^  \([a-z0-9-]*\) .*/\1/p' <<< "$all" | tr '\n' ' ')"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $commands == *" $word "* ]] && command=$word && break
  done
  help=$all
  [[ -n $command ]] && help=$(bandctl "$command" --help 2>/dev/null)
  case $previous in
    -c | --config | -s | --socket | --certificate | --key | --authority | --token-file | --from | --to)
      COMPREPLY=($(compgen -f -- "$current")); return ;;
    -j | --jail | status)
      choices=$(bandctl status --json 2>/dev/null | grep -o '"jail":"[^"]*"' | cut -d'"' -f4)
      COMPREPLY=($(compgen -W "$choices --json" -- "$current")); return ;;
    --*)  # an option whose words the help names: --sort TEXT:{from,until}
      choices=$(sed -n "s/^  [-a-z,]*$previous TEXT:{\([^}]*\)}.*/\1/p" <<< "$help" | tr , ' ')
      [[ -n $choices ]] && COMPREPLY=($(compgen -W "$choices" -- "$current")) && return ;;
  esac
  choices=$(sed -n 's/^  \(-[A-Za-z],\)\?\(--[a-z0-9-]*\).*/\2/p' <<< "$help"$'\n'"$all")
  if [[ -z $command ]]; then
    choices+=" $commands"
  else
    choices+=" $(sed -n 's/^  [a-z]* TEXT:{\([^}]*\)}.*/\1/p' <<< "$help" | tr , ' ')"
  fi
  case $command in
    unban | explain)
      choices+=" $(bandctl bans --json 2>/dev/null | grep -o '"ip":"[^"]*"' | cut -d'"' -f4)" ;;
    check | test | replay | state) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
  COMPREPLY+=($(compgen -W "$choices" -- "$current"))
}
complete -F _bandctl bandctl
