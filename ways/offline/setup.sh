#!/bin/sh
# Sets p2plab up from this folder, without a network. Arguments: as for install.py.
set -e
here=$(dirname "$0")
for python in python3.13 python3.12 python3.11 python3; do
  if command -v "$python" >/dev/null && "$python" "$here/install.py" --check >/dev/null 2>&1; then
    exec "$python" "$here/install.py" "$@"
  fi
done
command -v python3 >/dev/null || { echo "p2plab needs Python 3.11 or newer; there is no python3 here."; exit 1; }
exec python3 "$here/install.py" "$@"
