#!/usr/bin/env bash
# check-deps.sh go|cc|apt|maven|python... says which of the prerequisites are missing, and the cure.
set -euo pipefail

missing=()
want() { # tool, cure
	command -v "$1" >/dev/null 2>&1 || missing+=("$1: $2")
}

for group in "$@"; do
	case $group in
	go)
		if ! command -v go >/dev/null 2>&1; then
			missing+=("go: install Go 1.26 or later")
		elif v=$(go env GOVERSION 2>&1) && [[ $v =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] < 26)); then
			missing+=("go: this is $v, Go 1.26 or later is needed")
		elif [[ ! $v =~ ^(go|devel) ]]; then
			missing+=("go: go env fails: $v")
		fi
		want git "install git"
		;;
	cc)
		want gcc "the race detector needs a C compiler (Debian: gcc libc6-dev)"
		;;
	apt)
		if [[ $(uname -sm) != "Linux x86_64" ]]; then
			missing+=("Linux on amd64: this is $(uname -sm); make demo MYSQL=mysql://user@host/ works with a server of yours on any system")
			continue
		fi
		for tool in apt-get dpkg dpkg-deb; do
			want "$tool" "the servers are unpacked from Debian packages (tested on Debian 12; nothing is installed)"
		done
		[[ -d /usr/share/keyrings ]] && [[ -n $(find /usr/share/keyrings -name 'debian-archive-keyring.*' -print -quit) ]] ||
			missing+=("the keys of the Debian archive: install debian-archive-keyring")
		;;
	maven)
		if ! command -v java >/dev/null 2>&1; then
			missing+=("java: Kafka runs on it, and Maven (Debian: openjdk-17-jre-headless)")
		elif v=$(java -version 2>&1) && [[ $v =~ version\ \"([0-9]+) ]] && ((BASH_REMATCH[1] < 17)); then
			missing+=("java: this is version ${BASH_REMATCH[1]}, Kafka needs 17 or later (Debian: openjdk-17-jre-headless)")
		fi
		want mvn "Kafka, MySQL 8.0 and 5.7 come from Maven Central (Debian: maven)"
		want tar "install tar"
		;;
	python)
		if ! command -v python3 >/dev/null 2>&1 || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
			missing+=("python3 with venv: the simulated S3 and the readers of files run on it (Debian: python3-venv)")
		fi
		;;
	*)
		echo "check-deps: unknown group $group" >&2
		exit 2
		;;
	esac
done

if ((${#missing[@]})); then
	echo "missing on this machine:" >&2
	printf '  %s\n' "${missing[@]}" | sort -u >&2
	exit 1
fi
