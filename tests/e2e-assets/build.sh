#!/usr/bin/env bash
# Finds or builds etcd, kube-apiserver and kubectl for the end-to-end suites, in envtest's layout:
# one folder with the three programs. Prints that folder on stdout and everything else on stderr.
#
# KUBEBUILDER_ASSETS, when set, is used as it is. Otherwise the programs are built once from the Go
# modules pinned in this folder and kept under ${XDG_CACHE_HOME:-~/.cache}; a changed go.mod is a new folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=(etcd kube-apiserver kubectl)

say() { printf 'e2e-assets: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

absent_from() {
    local program
    for program in "${programs[@]}"; do
        [ -x "$1/$program" ] || printf '%s ' "$program"
    done
}

build() { # PROGRAM PACKAGE LDFLAGS
    local started=$SECONDS
    say "building $1 from $2"
    (cd "$here" && CGO_ENABLED=0 GOFLAGS='' nice go build -trimpath -buildvcs=false -ldflags "-s -w $3" -o "$staging/$1" "$2") ||
        fail "$1 did not build"
    say "built $1 in $((SECONDS - started)) s"
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    absent=$(absent_from "$KUBEBUILDER_ASSETS")
    [ -z "$absent" ] || fail "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks: $absent"
    say "using KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS"
    printf '%s\n' "$KUBEBUILDER_ASSETS"
    exit 0
fi

kubernetes=$(sed -n 's|.*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$here/go.mod" | head -n 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cloud-provider-equinix-metal/kubebuilder
assets=$cache/${kubernetes#v}-$(sha256sum "$here/go.mod" | cut -c 1-8)

if [ -z "$(absent_from "$assets")" ]; then
    say "found $kubernetes in $assets"
    printf '%s\n' "$assets"
    exit 0
fi

wanted=$(sed -n 's/^go //p' "$here/go.mod")
command -v go >/dev/null ||
    fail "needs Go $wanted or later on PATH to build kube-apiserver $kubernetes, or KUBEBUILDER_ASSETS naming a folder with: ${programs[*]}"

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ -n "$(absent_from "$assets")" ]; then
    staging=$(mktemp -d "$cache/.building.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    say "building etcd, kube-apiserver and kubectl $kubernetes into $assets with $(go env GOVERSION) (once; several minutes)"
    started=$SECONDS
    major=${kubernetes#v}; minor=${major#*.}; minor=${minor%%.*}; major=${major%%.*}
    base=k8s.io/component-base/version
    stamp="-X $base.gitVersion=$kubernetes -X $base.gitMajor=$major -X $base.gitMinor=$minor -X $base.gitTreeState=clean"
    build etcd go.etcd.io/etcd/server/v3 ""
    build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "$stamp"
    build kubectl k8s.io/kubernetes/cmd/kubectl "$stamp"
    rm -rf "$assets"
    mv "$staging" "$assets"
    chmod 755 "$assets"
    trap - EXIT
    say "built all three in $((SECONDS - started)) s"
fi
printf '%s\n' "$assets"
