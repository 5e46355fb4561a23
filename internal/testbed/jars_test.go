package testbed

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJarSetPOM(t *testing.T) {
	pom, err := jarSet{
		name:        "x",
		coordinates: []string{"g.h:a_2.13:1.0", "g:b:tar.gz:all:2"},
		exclusions:  []string{"out:*"},
	}.pom()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<groupId>g.h</groupId>", "<artifactId>a_2.13</artifactId>", "<version>1.0</version>",
		"<type>tar.gz</type>", "<classifier>all</classifier>", "<groupId>out</groupId>", "<artifactId>*</artifactId>",
	} {
		if !strings.Contains(string(pom), want) {
			t.Errorf("no %s in\n%s", want, pom)
		}
	}
	for _, bad := range []jarSet{
		{name: "x"},
		{name: "../x", coordinates: []string{"g:a:1"}},
		{name: "x", coordinates: []string{"g:a"}},
		{name: "x", coordinates: []string{"g::1"}},
		{name: "x", coordinates: []string{"g:a:1"}, exclusions: []string{"g"}},
		{name: "x", coordinates: []string{"g:a:1"}, exclusions: []string{"g:a:1"}},
	} {
		if _, err := bad.fetch(t.Context(), io.Discard); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// A set that is there is found by its coordinates without Maven, and one with other
// coordinates or a damaged file is not.
func TestJarSetCached(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(CacheEnv, cache)
	t.Setenv("PATH", t.TempDir()) // no mvn
	s := jarSet{name: "x", coordinates: []string{"g:a:1"}}
	dir, head, err := s.place(cache)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	jar := filepath.Join(dir, "a-1.jar")
	if err := os.WriteFile(jar, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeManifest(dir, head, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := Jars(t.Context(), "x", s.coordinates); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
	other := jarSet{name: "x", coordinates: s.coordinates, exclusions: []string{"g:b"}}
	if _, err := other.fetch(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "mvn is missing") {
		t.Errorf("other exclusions, nothing to fetch with: %v", err)
	}
	if err := os.WriteFile(jar, []byte("abcd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.fetch(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "mvn is missing") {
		t.Errorf("a damaged jar: %v", err)
	}
}
