# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for bandctl, which knows itself what may come next.
_bandctl() {
  local words current reply head
  # Bash splits words at colons, which IPv6 addresses have.
  read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
  current=${words[-1]}
  COMPREPLY=()
  while IFS= read -r reply; do
    if [[ $reply == :files ]]; then
      compopt -o filenames 2> /dev/null
      while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(compgen -f -- "${current##*=}")
    else
      COMPREPLY+=("${reply%%$'\t'*}")
    fi
  done < <("${words[0]}" __complete "${words[@]:1}" 2> /dev/null)
  # And it replaces what comes after the last one only.
  head=${current%"${current##*[:=]}"}
  COMPREPLY=("${COMPREPLY[@]#"$head"}")
}
complete -F _bandctl bandctl
