package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Jars makes sure that the artifacts of coordinates and all that they depend on
// at run time lie in one folder of the cache, and returns that folder. A
// coordinate is GROUP:ARTIFACT:VERSION, or with a type and a classifier
// GROUP:ARTIFACT:TYPE[:CLASSIFIER]:VERSION. A coordinate wins over another version
// that an artifact asks for; exclusions, GROUP:ARTIFACT each where ARTIFACT
// may be *, are left out wherever they are asked for. name is for messages and the
// folder's name; the folder is known by the hash of the rest.
//
// Maven downloads them with the user's settings (mirrors, proxies) and verifies the
// checksums of the repository. A set that is there is compared with its
// manifest by size, and fetched again where it is damaged. Any number of processes
// may ask at once. Progress goes to standard error. The folder serves as a
// class path with DIR/*.
func Jars(ctx context.Context, name string, coordinates []string, exclusions ...string) (dir string, err error) {
	s := jarSet{name: name, coordinates: coordinates, exclusions: exclusions}
	return s.fetch(ctx, os.Stderr)
}

// jarSet is a class path by its coordinates.
type jarSet struct {
	name                    string
	coordinates, exclusions []string
}

// javaDir is the folder of the cache below which jar sets lie.
const javaDir = "java"

var jarSetName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// pom returns the Maven project whose run-time dependencies are the set.
func (s jarSet) pom() ([]byte, error) {
	if !jarSetName.MatchString(s.name) || len(s.coordinates) == 0 {
		return nil, fmt.Errorf("a set of jars needs a plain name and coordinates: %q, %v", s.name, s.coordinates)
	}
	type exclusion struct {
		GroupID    string `xml:"groupId"`
		ArtifactID string `xml:"artifactId"`
	}
	type dependency struct {
		GroupID    string      `xml:"groupId"`
		ArtifactID string      `xml:"artifactId"`
		Version    string      `xml:"version"`
		Type       string      `xml:"type,omitempty"`
		Classifier string      `xml:"classifier,omitempty"`
		Exclusions []exclusion `xml:"exclusions>exclusion"`
	}
	project := struct {
		XMLName      xml.Name     `xml:"project"`
		Model        string       `xml:"modelVersion"`
		GroupID      string       `xml:"groupId"`
		ArtifactID   string       `xml:"artifactId"`
		Version      string       `xml:"version"`
		Packaging    string       `xml:"packaging"`
		Dependencies []dependency `xml:"dependencies>dependency"`
	}{Model: "4.0.0", GroupID: "cdc.testbed", ArtifactID: s.name, Version: "1", Packaging: "pom"}
	var out []exclusion
	for _, e := range s.exclusions {
		group, artifact, ok := strings.Cut(e, ":")
		if !ok || group == "" || artifact == "" || strings.Contains(artifact, ":") {
			return nil, fmt.Errorf("an exclusion is GROUP:ARTIFACT, not %q", e)
		}
		out = append(out, exclusion{group, artifact})
	}
	for _, c := range s.coordinates {
		part := strings.Split(c, ":")
		if len(part) < 3 || len(part) > 5 || slices.Contains(part, "") {
			return nil, fmt.Errorf("a coordinate is GROUP:ARTIFACT[:TYPE[:CLASSIFIER]]:VERSION, not %q", c)
		}
		d := dependency{GroupID: part[0], ArtifactID: part[1], Version: part[len(part)-1], Exclusions: out}
		if len(part) > 3 {
			d.Type = part[2]
		}
		if len(part) > 4 {
			d.Classifier = part[3]
		}
		project.Dependencies = append(project.Dependencies, d)
	}
	text, err := xml.MarshalIndent(project, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the Maven project of %s: %w", s.name, err)
	}
	return text, nil
}

// place returns the folder of the set and the first line of its manifest.
func (s jarSet) place(cache string) (dir, head string, err error) {
	pom, err := s.pom()
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(pom)
	hash := hex.EncodeToString(sum[:6])
	return filepath.Join(cache, javaDir, s.name+"-"+hash), fmt.Sprintf("testbed 1 %s %s", s.name, hash), nil
}

// fetch is Jars with progress going to w.
func (s jarSet) fetch(ctx context.Context, w io.Writer) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir, head, err := s.place(cache)
	if err != nil {
		return "", err
	}
	log := &progress{w: w, name: s.name}
	if _, err := checkManifest(dir, head, false); err == nil {
		return dir, nil
	}
	// Maven's repository is shared and takes one process at a time.
	unlock, err := lockFile(ctx, filepath.Join(cache, "lock"), func() {
		log.printf("waiting for another process that is provisioning")
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	_, err = checkManifest(dir, head, false)
	if err == nil {
		return dir, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.printf("provisioning again: %v", err)
	}
	if err := s.download(ctx, log, cache, dir, head); err != nil {
		return "", fmt.Errorf("fetch the jars of %s: %w", s.name, err)
	}
	return dir, nil
}

// download fills a folder beside dir and renames it at the end, so that a folder
// under its final name is whole whenever we are interrupted.
func (s jarSet) download(ctx context.Context, log *progress, cache, dir, head string) error {
	if err := needMaven(); err != nil {
		return err
	}
	pom, err := s.pom()
	if err != nil {
		return err
	}
	began := time.Now()
	work := dir + ".part"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	project := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(project, pom, 0o644); err != nil {
		return err
	}
	repository := filepath.Join(cache, "m2")
	step := log.watch(repository, 0, "downloading %s with Maven", strings.Join(s.coordinates, ", "))
	err = retry(ctx, log, func() error {
		_, err := run(ctx, "mvn", "-B", "-q", "--strict-checksums", "-Dstyle.color=never", "-Dmaven.repo.local="+repository, "-f", project,
			"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+work)
		return err
	})
	step(err, dirSize(work))
	if err != nil {
		return err
	}
	jars, err := filepath.Glob(filepath.Join(work, "*.jar"))
	if err != nil {
		return err
	}
	// Maven's own working folder, if it makes one, is no part of the set.
	if err := os.RemoveAll(filepath.Join(work, "target")); err != nil {
		return err
	}
	lines := make([]string, 0, len(s.coordinates))
	for _, c := range s.coordinates {
		i := strings.LastIndexByte(c, ':')
		lines = append(lines, "package "+c[:i]+" "+c[i+1:])
	}
	if err := writeManifest(work, head, lines); err != nil {
		return err
	}
	old := dir + ".old"
	if err := errors.Join(os.RemoveAll(old), ignoreNotExist(os.Rename(dir, old)), os.Rename(work, dir)); err != nil {
		return err
	}
	log.printf("ready: %d jars, %s, %.1f s in all", len(jars), megabytes(dirSize(dir)), time.Since(began).Seconds())
	return os.RemoveAll(old)
}

// needMaven reports what is missing for downloads from Maven Central.
func needMaven() error {
	return errors.Join(
		need("java", "install a Java runtime (Debian: openjdk-17-jre-headless)"),
		need("mvn", "install Maven (Debian: maven)"),
	)
}
