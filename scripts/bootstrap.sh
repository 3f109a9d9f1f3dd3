#!/usr/bin/env bash
# Installs what a bare Debian with only Rust lacks: a C and C++ compiler, make, clang and libclang (RocksDB's
# bindings are generated with them). Says nothing and asks for nothing where all is there.
#
#   scripts/bootstrap.sh           for building
#   scripts/bootstrap.sh --test    also Python with venv, for the test of a client in another language, and tries to
#                                  install libfaketime, for the test of clocks, which is skipped without it
#   scripts/bootstrap.sh --demo    also tries to install ffmpeg, which makes the demo's footage; goes on without it
set -euo pipefail

say() { printf '%s\n' "bootstrap: $*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

has_libclang() {
    local folders=(/usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib /usr/lib64 /usr/local/lib)
    [ -n "${LIBCLANG_PATH:-}" ] && folders=("$LIBCLANG_PATH" "${folders[@]}")
    local folder
    for folder in "${folders[@]}"; do
        compgen -G "$folder/libclang.so*" >/dev/null && return 0
        compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null && return 0
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install() {
    if ! has apt-get || { [ "$(id -u)" -ne 0 ] && ! has sudo; }; then
        return 1
    fi
    as_root apt-get update -qq >&2 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

purpose=build
case "${1:-}" in
    '') ;;
    --demo) purpose=demo ;;
    --test) purpose=test ;;
    *)
        say "usage: scripts/bootstrap.sh [--demo | --test]"
        exit 2
        ;;
esac

missing=()
if ! has cc || ! has c++ || ! has make; then missing+=(build-essential); fi
if ! has clang; then missing+=(clang); fi
if ! has_libclang; then missing+=(libclang-dev); fi
if [ "$purpose" = test ] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi

if [ "${#missing[@]}" -gt 0 ]; then
    say "installing ${missing[*]}"
    if ! install "${missing[@]}"; then
        say "could not install ${missing[*]}."
        say "On Debian, as root: apt-get install ${missing[*]}. Elsewhere: a C++ compiler, make, clang and libclang."
        exit 1
    fi
fi

if ! has cargo; then
    say "there is no cargo. Install Rust (https://rustup.rs), then try again."
    exit 1
fi

if [ "$purpose" = demo ] && ! has ffmpeg; then
    say "installing ffmpeg for the demo's footage"
    install ffmpeg || say "could not install ffmpeg; the demo goes on without it"
fi

if [ "$purpose" = test ] && ! has faketime; then
    say "installing faketime for the test of clocks"
    install faketime || say "could not install faketime; the test of clocks is skipped"
fi
