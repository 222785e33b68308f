# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for bandctl
_bandctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands="status bans ban unban explain geo accounts account history reload watch flush version check test filters replay import state keys"
  local word command=
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ " $commands " == *" $word "* ]] && command=$word && break
  done
  case $previous in
    -c | --config | -s | --socket | --certificate | --key | --authority | --token-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --sort) COMPREPLY=($(compgen -W "from until ip jail hits countries addresses count last user" -- "$current")); return ;;
    -j | --jail | status)
      local jails
      jails=$(bandctl status --json 2>/dev/null | grep -o '"jail":"[^"]*"' | cut -d'"' -f4)
      COMPREPLY=($(compgen -W "$jails" -- "$current")); return ;;
  esac
  case $command in
    "") COMPREPLY=($(compgen -W "$commands --config --socket --json --help --version" -- "$current")) ;;
    unban | explain)
      local banned
      banned=$(bandctl bans --json 2>/dev/null | grep -o '"ip":"[^"]*"' | cut -d'"' -f4)
      COMPREPLY=($(compgen -W "$banned --jail --all --json --help" -- "$current")) ;;
    ban) COMPREPLY=($(compgen -W "--jail --for --reason --force --json --help" -- "$current")) ;;
    accounts) COMPREPLY=($(compgen -W "--sort --limit --json --help" -- "$current")) ;;
    account) COMPREPLY=($(compgen -W "clear block allow --json --help" -- "$current")) ;;
    bans) COMPREPLY=($(compgen -W "--jail --prefix --sort --limit --json --help" -- "$current")) ;;
    replay) COMPREPLY=($(compgen -f -W "--jail --json --help" -- "$current")) ;;
    import) COMPREPLY=($(compgen -f -W "fail2ban --from --to --all --force --json --help" -- "$current")) ;;
    check | test) COMPREPLY=($(compgen -f -W "--regex --line --fail2ban --mode --timezone --all --json --help" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "--json --help" -- "$current")) ;;
  esac
}
complete -F _bandctl bandctl
