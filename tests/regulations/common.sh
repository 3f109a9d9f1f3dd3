# What the scripts of this folder share: a trial cluster, steps that must be done, steps that must be refused.
#
# A script sources it with its own two arguments: the binary, and a folder for the cluster. Without a folder one is made
# and deleted at the end. However a script ends, the cluster is stopped.
#
# A step that must be refused names the reason and the rule: it fails where the refusal does not come, and where it comes
# with another reason or rule. Only bash, GNU coreutils, grep and sed are needed.

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    printf 'usage: %s path/to/strongroom [folder]\n' "$0" >&2
    exit 2
fi
binary=$(realpath "$1")
profiles=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../profiles")
if [ $# -eq 2 ]; then
    mkdir -p "$2"
    folder=$(realpath "$2") own_folder=no
else
    folder=$(mktemp -d) own_folder=yes
fi
cluster=$folder/cluster
if [ -e "$cluster" ]; then
    printf '%s holds a cluster already: choose another folder\n' "$folder" >&2
    exit 2
fi
export STRONGROOM_CONTEXT=$cluster/context.toml LANG=C
unset NO_COLOR

# No command takes this long. A view that should be refused and is not would go on for ever.
readonly PATIENCE=120
# What the last command printed.
said=''
# The player's process, while one runs.
player=''

finish() {
    local code=$?
    trap - EXIT
    if [ -n "$player" ]; then kill "$player" 2>/dev/null || true; fi
    if [ -d "$cluster" ]; then "$binary" dev down --dir "$cluster" >/dev/null 2>&1 || true; fi
    if [ "$own_folder" = yes ]; then rm -rf "$folder"; fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One plain line: what was done, by which article.
step() {
    printf '%s\n' "$*"
}

fail() {
    printf 'FAILED: %s\n%s\n' "$*" "$said" >&2
    exit 1
}

# WHO WORDS…: the command must succeed; what it prints is JSON in $said.
run() {
    local who=$1
    shift
    if ! said=$(timeout "$PATIENCE" "$binary" --as "$who" --output json "$@" 2>"$folder/stderr" </dev/null); then
        said=$(<"$folder/stderr")
        fail "$who could not: $*"
    fi
}

# WHO REASON RULE WORDS…: the command must be refused for this reason by this rule; a rule of - stands for none.
refused() {
    local who=$1 reason=$2 rule=$3 expected
    shift 3
    if said=$(timeout "$PATIENCE" "$binary" --as "$who" "$@" 2>&1 </dev/null); then
        fail "$who was not refused: $*"
    fi
    if [ "$rule" = - ]; then expected="why: $reason"; else expected="why: $reason (rule $rule)"; fi
    grep -qxF -- "$expected" <<<"$said" || fail "$who was refused otherwise than by $reason ($rule): $*"
    # Whoever is refused by an article is told what it says: in the message, or below it.
    if [[ $rule == R-* ]]; then
        grep -qE '^it says: .|^(refused|error): .*; .' <<<"$said" || fail "$who was not told what $rule says: $*"
    fi
}

# NAME: the first value of that name in what was printed.
value() {
    sed -n "/^ *\"$1\": /{s///;s/,\$//;s/^\"//;s/\"\$//;p;q}" <<<"$said"
}

# NAME VALUE: the first value of that name must be this.
shows() {
    [ "$(value "$1")" = "$2" ] || fail "$1 is $(value "$1"), not $2"
}

# TEXT: it must stand in what was printed.
says() {
    [[ $said == *"$1"* ]] || fail "nothing says: $1"
}

# TEXT: it must not stand there.
says_not() {
    [[ $said != *"$1"* ]] || fail "something says: $1"
}

# PROFILE: a cluster of three nodes in three districts, with unit U1 under the profile and device D1 in its store.
begin() {
    profile=$1
    if ! said=$("$binary" dev up --dir "$cluster" --nodes 3 --districts 3 --scheme 1+2 \
        --profile "$profiles/$profile.toml" 2>&1); then
        fail "the cluster did not come up"
    fi
}

# NAME ROLE UNIT: somebody more, of one unit only.
hire() {
    run security pki issue-client "$1" --authorities "$cluster/pki" --to "$cluster/identities"
    run security principal register "$1" --certificate "$cluster/identities/$1.pem" --role "$2" --unit "$3"
    printf '\n[identities.%s]\ncertificate = "identities/%s.pem"\nkey = "identities/%s.key"\n' "$1" "$1" "$1" \
        >>"$STRONGROOM_CONTEXT"
}

# MINUTES: so long before the script began, in Beijing time.
began=$(date +%s)
ago() {
    date -u -d "@$((began - $1 * 60 + 8 * 3600))" +%Y-%m-%dT%H:%M:%S
}

# NAME FROM TO [OPTION…]: a recording of device D1 from so many minutes ago to so many; its item is in $item, its file
# in $folder, and the receipt beside it is verified offline.
record() {
    local file=$folder/$1 from=$2 to=$3
    shift 3
    head -c 300000 /dev/urandom >"$file"
    run station ingest "$file" --device D1 --unit U1 --recorded-start "$(ago "$from")" --recorded-end "$(ago "$to")" "$@"
    item=$(value item)
    run auditor verify "$file"
    says '"trust": "trusted"'
}

# WHO FILE WORDS…: a view must begin, and the player must see the bytes of the original.
watch() {
    local who=$1 file=$2 address=''
    shift 2
    "$binary" --as "$who" --output json view "$@" >"$folder/view" 2>"$folder/stderr" &
    player=$!
    for _ in $(seq 600); do
        address=$(sed -n 's/^ *"address": "http:\/\/\(.*\)",$/\1/p' "$folder/view")
        if [ -n "$address" ] || ! kill -0 "$player" 2>/dev/null; then break; fi
        sleep 0.1
    done
    if [ -z "$address" ]; then
        said=$(<"$folder/stderr")
        fail "$who could not view $*"
    fi
    local host=${address%%/*} path=/${address#*/}
    exec 3<>"/dev/tcp/${host%:*}/${host#*:}"
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$path" "$host" >&3
    LC_ALL=C sed '1,/^\r$/d' <&3 >"$folder/seen"
    exec 3>&-
    cmp -s "$file" "$folder/seen" || fail "$who did not see the bytes of $file"
    rm "$folder/seen"
    kill -TERM "$player"
    wait "$player" || fail "the view of $who did not end well"
    player=''
}

# WHO REQUEST FOLDER FILE…: the copy must be handed out, hold these originals byte for byte, and verify offline.
hand_out() {
    local who=$1 request=$2 to=$folder/$3 file found
    shift 3
    run "$who" copy-out "$request" --to "$to"
    for file in "$@"; do
        found=$(sha256sum <"$file")
        grep -qF "${found%% *}" "$to/SHA256SUMS" || fail "the copy of $request does not hold $file"
    done
    (cd "$to" && sha256sum --quiet -c SHA256SUMS) || fail "the copy of $request is not what its list says"
    run auditor verify "$to"
    says '"trust": "trusted"'
}

# FILE: the agency's new version of its profile, by two people and a day.
new_version() {
    local version record
    run security profile preview "$1"
    run security profile propose "$1"
    version=$(value version) record=$(value record)
    refused security ROLE_NOT_ALLOWED C5 profile approve "$profile" --record "$record"
    run head profile approve "$profile" --record "$record"
    run security profile show "$profile"
    shows version "$((version - 1))"
    pass 2
    for _ in $(seq 300); do
        run security profile show "$profile"
        if [ "$(value version)" = "$version" ]; then return; fi
        sleep 0.2
    done
    fail "version $version did not take effect"
}

# DAYS: so many days pass.
pass() {
    run ops cluster advance-clock --days "$1" --reason '演练到期'
}

# WHO WHOM… : propose and the like say the same of an item each time.
propose() {
    local item
    words=(disposal propose --basis '保存期限届满，到期鉴定')
    for item in "$@"; do words+=(--item "$item"); done
}

# REASON RULE ITEM…: a proposal of disposal must be refused.
not_disposable() {
    local reason=$1 rule=$2
    shift 2
    propose "$@"
    refused archivist "$reason" "$rule" "${words[@]}"
}

# ITEM…: the only delete, refused at each step that is not yet due, done, and proved by a certificate.
dispose() {
    local batch certificate item
    propose "$@"
    run archivist "${words[@]}"
    batch=$(value batch)
    refused archivist IN_DISPOSAL C4 "${words[@]}"
    step "  proposed as $batch; it waits 7 days for objections (C4)"
    refused legal COOLING_OFF C4 disposal approve "$batch"
    pass 8
    local execute=(disposal execute "$batch" --supervisor inspector --supervisor unit-head)
    refused custodian APPROVAL_MISSING C4 "${execute[@]}"
    refused head ROLE_NOT_ALLOWED C4 disposal approve "$batch"
    run legal disposal approve "$batch"
    refused custodian APPROVAL_MISSING C4 "${execute[@]}"
    run head disposal approve "$batch"
    refused archivist SAME_PERSON G8 "${execute[@]}"
    refused custodian SAME_PERSON G8 disposal execute "$batch" --supervisor inspector --supervisor inspector
    run custodian "${execute[@]}"
    step "  legal, then the head approved; executed under two supervisors (C4)"
    for _ in $(seq 1200); do
        run legal disposal show "$batch"
        if [ "$(value disks_pending)" = 0 ] && [ "$(value replicas_pending)" = 0 ]; then break; fi
        sleep 0.2
    done
    refused archivist ROLE_NOT_ALLOWED C4 disposal sign "$batch"
    run inspector disposal sign "$batch"
    refused inspector SAME_PERSON C4 disposal sign "$batch"
    run unit-head disposal sign "$batch"
    shows state closed
    certificate=$folder/$batch.certificate
    for _ in $(seq 300); do
        if "$binary" --as archivist disposal certificate "$batch" --to "$certificate" >/dev/null 2>&1; then break; fi
        sleep 0.2
    done
    run auditor verify "$certificate"
    says '"kind": "certificate"'
    says '"trust": "trusted"'
    shows disposed "$#"
    shows replicas_clean 3
    sed 's/到期鉴定/到期未鉴定/' "$certificate" >"$folder/forged.certificate"
    if said=$("$binary" verify "$folder/forged.certificate" 2>&1); then fail "a forged certificate was taken"; fi
    for item in "$@"; do
        refused legal DISPOSED C4 item show "$item"
        refused legal DISPOSED C4 request submit --act copy --item "$item" --reason '事后'
        run auditor item history "$item"
        says '"act": "disposal.execute"'
    done
    step "  every disk erased, every replica lost the keys, both supervisors signed; the certificate verifies offline"
}
