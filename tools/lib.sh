# shellcheck shell=bash
# What ./dev and its parts share. Sourced, with the root of the tree as working directory.

fail() {
    echo "dev: $*" >&2
    exit 1
}

say() {
    echo "dev: $*"
}

# The names in build/packages.txt.
package_names() {
    sed 's/#.*//' build/packages.txt | tr -s ' ' '\n' | sed '/^$/d'
}

# What building and testing need.
install_needed() {
    local names
    mapfile -t names < <(package_names)
    install_packages "${names[@]}"
}

# install_packages NAME...: those that are missing, saying which; nothing when all are there.
install_packages() {
    local wanted missing installed sudo=()
    wanted=$(printf '%s\n' "$@")
    if ! command -v dpkg-query >/dev/null; then
        fail "this is no Debian: install what build/packages.txt names, then use bazel itself"
    fi
    # It fails when it does not know one of the names, and still tells of the others.
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p' || true)
    missing=$(comm -23 <(sort -u <<<"$wanted") <(sort -u <<<"$installed"))
    [[ -n $missing ]] || return 0

    # shellcheck source=/dev/null
    if [[ $(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}") != "debian 12" ]]; then
        fail "missing packages, and this is not Debian 12 (bookworm): ${missing//$'\n'/ }"
    fi
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            fail "not root, and there is no sudo; as root: apt-get install ${missing//$'\n'/ }"
        sudo=(sudo)
    fi
    say "installing ${missing//$'\n'/ }"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    local log
    log=$(mktemp)
    # Words on purpose: one argument for each name.
    # shellcheck disable=SC2086
    if ! { "${sudo[@]}" "${apt[@]}" update &&
        "${sudo[@]}" "${apt[@]}" install --yes --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        fail "apt-get failed (above)"
    fi
    rm -f "$log"
}

# bazel_build "PATTERN...": quiet when all is well.
bazel_build() {
    local started=$SECONDS patterns
    read -ra patterns <<<"$1"
    say "building"
    bazel build --noshow_progress --ui_event_filters=-info --jobs="$(nproc)" -- "${patterns[@]}" ||
        fail "the build failed (above)"
    say "built in $((SECONDS - started)) s"
}
