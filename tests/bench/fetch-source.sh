#!/bin/sh
# fetch-source.sh PACKAGE SHA256 FOLDER
# Unpacks the upstream archive of a Debian source package into FOLDER, after its SHA-256 was compared. Asks the
# machine's own apt sources, with deb-src enabled in private lists only; nothing of the system is changed. The lists
# stay beside FOLDER, for the next package.
set -eu
package=$1 sha256=$2 folder=$3
[ -d "$folder" ] && exit 0
state=$(dirname "$folder")/.apt
mkdir -p "$state/parts" "$state/lists/partial" "$state/cache/archives/partial" "$state/download"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$list" ] || continue
  case $list in
    *.sources) sed 's/^Types: .*/Types: deb-src/' "$list" ;;
    *) sed -n 's/^deb /deb-src /p' "$list" ;;
  esac >"$state/parts/$(basename "$list")"
done
apt() {
  apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$state/parts" \
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root "$@"
}
[ -e "$state/updated" ] || apt update
touch "$state/updated"
(cd "$state/download" && apt source --only-source --download-only --tar-only "$package")
archive=$(echo "$state/download/${package}_"*.orig.tar.*)
echo "$sha256  $archive" | sha256sum --check --quiet
mkdir -p "$folder.part"
tar -xf "$archive" -C "$folder.part" --strip-components=1
mv "$folder.part" "$folder"
