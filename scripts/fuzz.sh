#!/usr/bin/env bash
# fuzz.sh TIME runs each fuzz target of the repository for TIME, one after the other.
set -euo pipefail

time=${1:?usage: fuzz.sh TIME}
go=${GO:-go}
count=0
while IFS=: read -r file line; do
	[[ $line =~ ^func\ (Fuzz[A-Za-z0-9_]*)\( ]] || continue
	echo "== $(dirname "$file") ${BASH_REMATCH[1]}"
	"$go" test -tags invariants -run '^$' -fuzz "^${BASH_REMATCH[1]}\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null
	count=$((count + 1))
done < <(grep -rE --include='*_test.go' --exclude-dir='.?*' '^func Fuzz' . | sed 's|^\./||' | sort)
echo "$count fuzz targets, $time each"
