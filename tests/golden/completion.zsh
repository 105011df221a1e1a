#compdef p2plab
# p2plab in zsh: put this into ~/.zshrc, after compinit:  source <(p2plab completion zsh)
_p2plab() {
  local -a found
  found=("${(@f)$(p2plab completion words "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _p2plab p2plab
