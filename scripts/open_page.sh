# shellcheck shell=bash
# Sourced by the demo: open_page FILE shows a page in the browser where somebody sits before a screen, and
# otherwise does nothing.

open_page() {
    if [ -t 1 ] && [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then
        xdg-open "$1" >/dev/null 2>&1 & # it may stay as long as the browser does
    fi
}
