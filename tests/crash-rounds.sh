#!/usr/bin/env bash
# Kills every node at once with SIGKILL while clients ingest, starts them again, and checks that every item with a
# receipt is there, reads back identical, and that its receipt verifies. Real processes, real TLS, real disks.
#
#   tests/crash-rounds.sh STRONGROOM ROUNDS SEED [FOLDER]
#
# Prints one line for each round and a last line that counts; exits 1 at the first loss and keeps the folder.
set -euo pipefail

strongroom=$1 rounds=$2 seed=$3
folder=${4:-$(mktemp -d)}
RANDOM=$seed
cluster=$folder/cluster
export STRONGROOM_CONTEXT=$cluster/context.toml
mkdir -p "$folder/files"

finish() { "$strongroom" dev down --dir "$cluster" >/dev/null 2>&1 || true; }
trap finish EXIT

fail() {
    echo "seed $seed round $round: $*; kept: $folder" >&2
    exit 1
}

# Four clients at once: small originals in a row and large ones that are cut in the middle.
ingest_some() {
    local client=$1 size file
    for size in "$((RANDOM % 900000 + 1))" "$((RANDOM % 60 + 20))M" "$((RANDOM % 9000 + 1))" "$((RANDOM % 120 + 60))M"; do
        file=$folder/files/r$round-c$client-$size
        head -c "$size" /dev/urandom >"$file"
        timeout 120 "$strongroom" ingest "$file" --device D1 --unit U1 --recorded-start 2026-11-01T09:00:00 \
            --recorded-end 2026-11-01T09:05:00 >>"$folder/client$client.log" 2>&1 || return 0
    done
}

each_node() {
    local node waiting=()
    for node in 1 2 3 4 5 6; do
        "$strongroom" dev "$1" "n$node" --dir "$cluster" >/dev/null 2>"$folder/$1-n$node.log" &
        waiting+=($!)
    done
    for node in "${waiting[@]}"; do wait "$node" || true; done
}

check_item() {
    local file=$1 item
    "$strongroom" verify "$file" --policy "$cluster/policy.tlog-policy" >/dev/null 2>"$folder/verify.log" ||
        fail "the receipt of $file does not verify: $(cat "$folder/verify.log")"
    item=$(sed -n 's/^ *"item": "\([0-9a-f]*\)".*/\1/p' "$file.receipt" | head -n 1)
    items+=("--item" "$item")
}

"$strongroom" dev up --dir "$cluster" >/dev/null 2>&1
checked=0
for ((round = 1; round <= rounds; round++)); do
    clients=()
    for client in 1 2 3 4; do
        ingest_some "$client" &
        clients+=($!)
    done
    sleep "$((RANDOM % 3)).$((RANDOM % 10))$((RANDOM % 10))"
    each_node kill
    sleep 0.5
    each_node start
    # The clients that were cut off resume by themselves.
    wait "${clients[@]}" || true
    items=()
    for receipt in "$folder"/files/*.receipt; do
        [ -e "$receipt" ] || continue
        check_item "${receipt%.receipt}"
    done
    if [ "${#items[@]}" -gt 0 ]; then
        request=$("$strongroom" --as legal request submit --act copy "${items[@]}" --reason "round $round" --output json |
            sed -n 's/^ *"request": "\([^"]*\)".*/\1/p')
        "$strongroom" --as approver request approve "$request" >/dev/null
        "$strongroom" --as archivist copy-out "$request" --to "$folder/out" >/dev/null 2>"$folder/copy.log" ||
            fail "copy-out failed: $(tail -n 3 "$folder/copy.log")"
        (cd "$folder/out" && sha256sum --quiet -c SHA256SUMS) || fail "a copy is not what its sum says"
        for receipt in "$folder"/files/*.receipt; do
            original=${receipt%.receipt}
            cmp -s "$original" "$folder"/out/*"$(basename "$original")" || fail "$original came back different"
        done
    fi
    count=$((${#items[@]} / 2))
    checked=$((checked + count))
    echo "seed $seed round $round: $count items with receipts, all identical, all receipts verify"
    rm -rf "$folder/out" "$folder/files"
    mkdir -p "$folder/files"
done
echo "$rounds rounds, $checked items checked, 0 lost"
[ -n "${4:-}" ] || { finish; rm -rf "$folder"; }
