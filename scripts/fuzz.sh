#!/usr/bin/env bash
# fuzz.sh AMOUNT runs each fuzz target of the repository, as many side by side as there are processors, and says how many inputs it ran.
#
#   fuzz.sh 60s     for so long each, beginning with what earlier runs found (Go's cache keeps it)
#   fuzz.sh 3000x   with so many inputs each, and without what earlier runs found, so that it takes the same time always
#
# An input that fails is left in the package's testdata/fuzz, as go test -fuzz does; go test runs it from then on.
set -euo pipefail

amount=${1:?usage: fuzz.sh 60s|3000x}
go=${GO:-go}
work=$(mktemp -d)
jobs_=()
trap 'for j in "${jobs_[@]}"; do kill "$j" 2>/dev/null || :; done; wait; rm -rf "$work"' EXIT
if [[ $amount == *x ]]; then cache=$work/corpus; else cache=$("$go" env GOCACHE)/fuzz/$("$go" list -m); fi

# one PACKAGE TARGET
one() {
	local log=$work/${1//\//_}.$2 began=$SECONDS
	# Inputs are made smaller only for a moment: some targets take long for large ones.
	if (cd "$1" && "$work/${1//\//_}.test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$amount" -test.fuzzminimizetime 10x \
		-test.parallel 1 -test.fuzzcachedir "$cache/$1" </dev/null >"$log" 2>&1); then
		echo "$1 $2: $(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -1) inputs, $((SECONDS - began))s"
	else
		echo "$1 $2: FAILED"
		cat "$log"
		touch "$work/failed"
	fi
}

targets=$(grep -rE --include='*_test.go' --exclude-dir='.?*' '^func Fuzz' . | sed -E 's|^\./(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*)\(.*|\1 \2|' | sort)
while read -r package; do
	"$go" test -c -tags invariants -fuzz=Fuzz -o "$work/${package//\//_}.test" "./$package"
done < <(cut -d' ' -f1 <<<"$targets" | uniq)

free=$(getconf _NPROCESSORS_ONLN)
while read -r package target; do
	if ((free == 0)); then
		wait -n
		free=$((free + 1))
	fi
	one "$package" "$target" &
	jobs_+=($!)
	free=$((free - 1))
done <<<"$targets"
wait
jobs_=()
cat "$work"/*.Fuzz* | awk -v n="$(wc -l <<<"$targets")" -v amount="$amount" '
	match($0, /execs: [0-9]+/) { last = substr($0, RSTART + 7, RLENGTH - 7) }
	/^(PASS|FAIL|exit status)/ || /^ok/ { sum += last; last = 0 }
	END { printf "%d inputs in %d fuzz targets, %s each\n", sum, n, amount }'
[[ ! -e $work/failed ]]
