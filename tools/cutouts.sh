#!/usr/bin/env bash
# Fetches the pictures of the cut-outs and unpacks them; nothing is installed. Prints the folder that holds them.
#
#   tools/cutouts.sh DIR
#
# They are the stamps of Tux Paint (GPL-2), PNGs with transparency in Debian's package `tuxpaint-stamps-default` (160 MB). They
# stay out of this repository; a model that was trained on them says so on its card. Needs a Debian or Ubuntu with apt.
set -euo pipefail

package=tuxpaint-stamps-default
folder=${1:?say where to: tools/cutouts.sh DIR}
stamps=$folder/usr/share/tuxpaint/stamps

if [[ ! -d $stamps ]]; then
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get download "$package" >&2)
    # Unpacked beside its place and then renamed, so that a broken run leaves no half of a folder behind.
    dpkg -x "$work/$package"_*.deb "$work/unpacked"
    mv "$work/unpacked/usr" "$folder/usr"
fi
echo "$stamps"
