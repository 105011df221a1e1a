# p2plab in fish:  p2plab completion fish > ~/.config/fish/completions/p2plab.fish
complete -c p2plab -a '(p2plab completion words (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
