#!/bin/sh
# bootstrap_hiredis.sh PREFIX [SUITE]: builds hiredis 1.2.0 with TLS from Debian 13's source package into PREFIX.
# Needs no root and leaves the system's package lists alone: apt runs with state of its own, checks the archive's
# signature, and we check the tarball's hash. Does nothing when the stamp is there.
set -eu
prefix=$1; suite=${2:-trixie}; stamp=$prefix/.hiredis-1.2.0
sum=82ad632d31ee05da13b537c124f819eb88e18851d9cb0c30ae0552084811588c
[ -f "$stamp" ] && exit 0
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$prefix"
if [ -f /etc/apt/sources.list.d/debian.sources ]; then # deb822: the first stanza is the main archive
    awk 'BEGIN{RS="";ORS="\n\n"} NR==1' /etc/apt/sources.list.d/debian.sources |
        sed -e '/^#/d;s/^Types:.*/Types: deb-src/;s/^Components:.*/Components: main/' -e "s/^Suites:.*/Suites: $suite/" >"$work/s.sources"
    src=$work/s.sources
else # one-line format
    sed -nE "s/^deb( \[[^]]*\])? ([^ ]+) [^ ]+ .*/deb-src\1 \2 $suite main/p" /etc/apt/sources.list | head -n 1 >"$work/s.list"
    src=$work/s.list
fi
apt_own() {
    apt-get -qq -o Dir::Etc::sourcelist="$src" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}
apt_own update
cd "$work"
apt_own source --download-only hiredis >/dev/null
echo "$sum  hiredis_1.2.0.orig.tar.gz" | sha256sum -c --quiet -
mkdir s && tar xzf hiredis_1.2.0.orig.tar.gz -C s --strip-components=1
if command -v ninja >/dev/null; then CMAKE_GENERATOR=Ninja; export CMAKE_GENERATOR; fi # a bare machine has no make
cmake -S s -B b -DCMAKE_BUILD_TYPE=RelWithDebInfo -DENABLE_SSL=ON -DDISABLE_TESTS=ON -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
cmake --build b -j"$(nproc)" >/dev/null && cmake --install b >/dev/null && : >"$stamp"
