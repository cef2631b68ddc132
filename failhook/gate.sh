#!/bin/sh -p
# The gate: a clean stop that nobody waits for leaves here, before Python exists. -p: no functions from the environment.
case "${SERVICE_RESULT-}:$#:${1-}" in success:0:|success:1:*.*|success:[12]:--wait*) [ -e /run/failhook/open ] || [ -e "${XDG_RUNTIME_DIR-}/failhook/open" ] || exit 0 ;; esac
self=$(/usr/bin/readlink -f -- "$0"); python=${self%/*}/python3; [ -x "$python" ] || python=/usr/bin/python3
[ -x "$python" ] && exec "$python" -I -m failhook "$@"
echo "<3>failhook: $python is missing, nothing was recorded; reinstall failhook" >&2; [ -n "${SERVICE_RESULT-}" ] || exit 127
