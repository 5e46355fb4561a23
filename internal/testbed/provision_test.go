package testbed

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDeb822(t *testing.T) {
	suites := []string{"bookworm"}
	for _, c := range []struct {
		name, text string
		want       aptSource
		ok         bool
	}{
		{"plain", "Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n", aptSource{"http://m/debian", "/k.gpg"}, true},
		{"case, comment, continuation", "# x\ntypes: deb deb-src\nURIS:\n http://m/debian\n# y\n http://n\nSuites: bookworm\nComponents: contrib main\n", aptSource{"http://m/debian", ""}, true},
		{"second stanza", "Types: deb\nURIs: http://s\nSuites: bookworm-security\nComponents: main\n\nTypes: deb\nURIs: http://m\nSuites: bookworm\nComponents: main\n", aptSource{"http://m", ""}, true},
		{"key in place", "Types: deb\nURIs: http://m\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP\n .\n abc\n", aptSource{"http://m", ""}, true},
		{"disabled", "Enabled: no\nTypes: deb\nURIs: http://m\nSuites: bookworm\nComponents: main\n", aptSource{}, false},
		{"sources only", "Types: deb-src\nURIs: http://m\nSuites: bookworm\nComponents: main\n", aptSource{}, false},
		{"other suite", "Types: deb\nURIs: http://m\nSuites: nodistro\nComponents: main\n", aptSource{}, false},
		{"empty", "", aptSource{}, false},
	} {
		if got, ok := parseDeb822(c.text, suites); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v %t, want %+v %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestOneLine(t *testing.T) {
	suites := []string{"bookworm", "stable"}
	for _, c := range []struct {
		name, text string
		want       aptSource
		ok         bool
	}{
		{"plain", "deb http://m/debian bookworm main contrib\n", aptSource{"http://m/debian", ""}, true},
		{"options", "deb [ arch=amd64 signed-by=/k.gpg ] http://m stable main\n", aptSource{"http://m", "/k.gpg"}, true},
		{"after others", "# deb http://x bookworm main\ndeb-src http://y bookworm main\ndeb http://z bookworm-security main\n\tdeb\thttp://m bookworm non-free main # c\n", aptSource{"http://m", ""}, true},
		{"other", "deb http://m nodistro main\n", aptSource{}, false},
		{"no main", "deb http://m bookworm contrib\n", aptSource{}, false},
		{"flat", "deb http://m ./\n", aptSource{}, false},
	} {
		if got, ok := parseOneLine(c.text, suites); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v %t, want %+v %t", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestManifest(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a file", "abc")
	if err := os.Symlink("target", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	head := manifestHead(MySQL97, recipe{Suite: "x"})
	if err := writeManifest(root, head, []string{"package p 1.2-3"}); err != nil {
		t.Fatal(err)
	}
	packages, err := checkManifest(root, head, true)
	if err != nil || len(packages) != 1 || packageVersion(packages, "p") != "1.2-3" {
		t.Fatalf("%v, %v", packages, err)
	}
	if _, err := checkManifest(root, manifestHead(MySQL97, recipe{Suite: "y"}), false); !errors.Is(err, errStale) {
		t.Errorf("another recipe: %v", err)
	}
	write("a file", "abd") // the same size
	if _, err := checkManifest(root, head, false); err != nil {
		t.Errorf("the cheap check read the file: %v", err)
	}
	if _, err := checkManifest(root, head, true); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a changed byte: %v", err)
	}
	write("a file", "abcd")
	if _, err := checkManifest(root, head, false); err == nil {
		t.Error("a changed size was not seen")
	}
	if err := os.Remove(filepath.Join(root, "a file")); err != nil {
		t.Fatal(err)
	}
	if _, err := checkManifest(root, head, false); err == nil {
		t.Error("a missing file was not seen")
	}
}

// A port is given to one only, and a taken one to none.
func TestReservePort(t *testing.T) {
	cache := t.TempDir()
	seen := map[int]bool{}
	for range 50 {
		p, release, err := reservePort(cache)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if seen[p] || p < firstPort || p > lastPort {
			t.Errorf("port %d", p)
		}
		seen[p] = true
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}

// The lock lets one in, tells the other that it waits, and obeys the context.
func TestLockFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sub", "lock")
	unlock, err := lockFile(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockFile(ctx, name, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a second lock: %v", err)
	}
	again, err := lockFile(t.Context(), name, unlock) // the first goes as the second begins to wait
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		if got, err := ParseKind(k.String()); got != k || err != nil {
			t.Errorf("%s: %s, %v", k, got, err)
		}
		r, err := recipeOf(k)
		if err != nil || r.Mysqld == "" || r.Suite == "" || (r.Artifact == "") != (r.SHA256 == "") {
			t.Errorf("%s: %+v, %v", k, r, err)
		}
	}
	if _, err := ParseKind("oracle"); err == nil {
		t.Error("an unknown kind was taken")
	}
}
