# p2plab in bash: put this into ~/.bashrc:  source <(p2plab completion bash)
_p2plab() {
  local IFS=$'\n'
  COMPREPLY=($(p2plab completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -o bashdefault -F _p2plab p2plab
