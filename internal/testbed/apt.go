package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MirrorEnv overrides the Debian mirror that is otherwise read from the
// machine's own apt sources.
const MirrorEnv = "CDC_DEBIAN_MIRROR"

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// aptSource is one archive of the machine's apt configuration.
type aptSource struct {
	uri, signedBy string
}

// debianMirror finds the archive that the machine itself installs from, so that
// whatever reaches it (a proxy, a mirror, a mirror list) serves us too.
func debianMirror() (aptSource, error) {
	if uri := os.Getenv(MirrorEnv); uri != "" {
		return aptSource{uri, debianKeyring}, nil
	}
	osRelease, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return aptSource{}, fmt.Errorf("which system is this: %w", err)
	}
	codename := ""
	for line := range strings.Lines(string(osRelease)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			codename = strings.Trim(v, `"`)
		}
	}
	var files []string
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	suites := []string{codename, "stable", "testing", "unstable", "sid"}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // an unreadable source is not one that we could use
		}
		parse := parseOneLine
		if strings.HasSuffix(name, ".sources") {
			parse = parseDeb822
		}
		if s, ok := parse(string(data), suites); ok {
			if s.signedBy == "" {
				s.signedBy = debianKeyring
			}
			return s, nil
		}
	}
	return aptSource{}, fmt.Errorf("no Debian archive with component main in %v: the servers are unpacked from Debian packages; set %s to the address of a Debian mirror", files, MirrorEnv)
}

// parseDeb822 finds the first enabled stanza of binary packages that offers
// component main of one of the suites (sources.list(5), DEB822-STYLE FORMAT).
func parseDeb822(text string, suites []string) (aptSource, bool) {
	fields := map[string]string{}
	last := ""
	flush := func() (aptSource, bool) {
		defer clear(fields)
		words := func(key string) []string { return strings.Fields(fields[key]) }
		if !slices.Contains(words("types"), "deb") || !slices.Contains(words("components"), "main") ||
			strings.EqualFold(fields["enabled"], "no") || len(words("uris")) == 0 {
			return aptSource{}, false
		}
		if !slices.ContainsFunc(words("suites"), func(s string) bool { return slices.Contains(suites, s) }) {
			return aptSource{}, false
		}
		s := aptSource{uri: words("uris")[0]}
		if by := words("signed-by"); len(by) > 0 && strings.HasPrefix(by[0], "/") { // else the key itself stands there
			s.signedBy = by[0]
		}
		return s, true
	}
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			if s, ok := flush(); ok {
				return s, true
			}
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += " " + strings.TrimSpace(line)
		default:
			key, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(key)
			fields[last] = strings.TrimSpace(value)
		}
	}
	return aptSource{}, false
}

var aptOptions = regexp.MustCompile(`\[[^]]*\]`)

// parseOneLine is parseDeb822 for the older `deb [options] URI suite main` form.
func parseOneLine(text string, suites []string) (aptSource, bool) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		options := aptOptions.FindString(line)
		f := strings.Fields(aptOptions.ReplaceAllString(line, " "))
		if len(f) < 4 || f[0] != "deb" || !slices.Contains(suites, f[2]) || !slices.Contains(f[3:], "main") {
			continue
		}
		s := aptSource{uri: f[1]}
		for o := range strings.FieldsSeq(strings.Trim(options, "[]")) {
			if by, ok := strings.CutPrefix(o, "signed-by="); ok && strings.HasPrefix(by, "/") {
				s.signedBy = by
			}
		}
		return s, true
	}
	return aptSource{}, false
}

// aptConf silences what the machine's own configuration would do around an
// update: hooks that tidy the system's cache or need root.
const aptConf = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Default-Release;
`

// apt is a private apt: own lists, own archives, an empty idea of what is
// installed, so that it resolves a whole closure down to the C library and
// leaves the machine's apt untouched. No root needed.
type apt struct {
	dir  string
	args []string
	log  *progress
}

// openApt prepares the state folder dir for suite and reads its package lists.
func openApt(ctx context.Context, dir, suite string, log *progress) (*apt, error) {
	for _, tool := range []string{"apt-get", "dpkg", "dpkg-deb"} {
		if err := need(tool, "this needs Debian or a system with apt (Debian 12 is what is tested)"); err != nil {
			return nil, err
		}
	}
	mirror, err := debianMirror()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(mirror.signedBy); err != nil {
		return nil, fmt.Errorf("the keys that sign the Debian archive are missing (install debian-archive-keyring): %w", err)
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	source := fmt.Sprintf("deb [signed-by=%s arch=amd64] %s %s main\n", mirror.signedBy, mirror.uri, suite)
	for name, text := range map[string]string{"sources.list": source, "status": "", "apt.conf": aptConf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{dir: dir, log: log, args: []string{"-c", filepath.Join(dir, "apt.conf")}}
	for _, o := range []string{
		"Dir::Etc::sourcelist=" + filepath.Join(dir, "sources.list"),
		"Dir::Etc::sourceparts=-",
		"Dir::Etc::preferences=-",
		"Dir::Etc::preferencesparts=-",
		"Dir::State=" + dir,
		"Dir::State::lists=" + filepath.Join(dir, "lists"),
		"Dir::State::status=" + filepath.Join(dir, "status"),
		"Dir::Cache=" + filepath.Join(dir, "cache"),
		"Dir::Log=" + dir,
		"APT::Architecture=amd64",
		"APT::Install-Recommends=false",
		"APT::Sandbox::User=", // the unprivileged _apt could not write here
		"APT::Update::Error-Mode=any",
		"Acquire::Languages=none",
		"Acquire::Retries=3",
		"Debug::NoLocking=1", // ours is the only user, under our own lock
	} {
		a.args = append(a.args, "-o", o)
	}
	step := log.step("reading the package lists of Debian %s", suite)
	err = retry(ctx, log, func() error { return a.run(ctx, "-qq", "update") })
	step(err, dirSize(filepath.Join(dir, "lists")))
	if err != nil {
		return nil, fmt.Errorf("read the package lists of Debian %s from %s: %w", suite, mirror.uri, err)
	}
	return a, nil
}

func (a *apt) run(ctx context.Context, args ...string) error {
	_, err := run(ctx, "apt-get", append(slices.Clone(a.args), args...)...)
	return err
}

// fetch downloads packages with all that they depend on and returns the .deb
// files. What a broken attempt has left is used.
func (a *apt) fetch(ctx context.Context, packages ...string) ([]string, error) {
	// The plan leaves out what the archives hold already, so it is made as if
	// there were none.
	none := filepath.Join(a.dir, "none")
	if err := os.MkdirAll(filepath.Join(none, "partial"), 0o755); err != nil {
		return nil, err
	}
	plan, err := run(ctx, "apt-get", append(append(slices.Clone(a.args), "-o", "Dir::Cache::archives="+none, "-qq", "-y", "--print-uris", "install"), packages...)...)
	if err != nil {
		return nil, fmt.Errorf("resolve the packages %v: %w", packages, err)
	}
	// Each line: 'URI' file size hash.
	var debs []string
	var total int64
	for line := range strings.Lines(plan) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[0], "'") {
			continue
		}
		size, _ := strconv.ParseInt(f[2], 10, 64)
		total += size
		debs = append(debs, f[1])
	}
	archives := filepath.Join(a.dir, "cache", "archives")
	step := a.log.watch(archives, total, "downloading %d packages", len(debs))
	err = retry(ctx, a.log, func() error {
		return a.run(ctx, append([]string{"-qq", "-y", "--download-only", "install"}, packages...)...)
	})
	step(err, total)
	if err != nil {
		return nil, fmt.Errorf("download %v: %w", packages, err)
	}
	for i, d := range debs {
		debs[i] = filepath.Join(archives, d)
		if _, err := os.Stat(debs[i]); err != nil {
			return nil, fmt.Errorf("apt-get reported success but a package is missing: %w", err)
		}
	}
	if len(debs) == 0 {
		return nil, errors.New("apt-get has nothing to download")
	}
	return debs, nil
}

// unpackDebs unpacks into root what a server needs of debs and returns a line
// "package NAME VERSION" for each.
func unpackDebs(ctx context.Context, debs []string, root string) ([]string, error) {
	var lines []string
	for _, deb := range debs {
		out, err := run(ctx, "dpkg-deb", "-W", "--showformat=package ${Package} ${Version}\n", deb)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(out, "package perl") {
			continue // needed by a maintenance script only
		}
		lines = append(lines, strings.TrimSpace(out))
		if _, err := run(ctx, "dpkg-deb", "-x", deb, root); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
	}
	for _, d := range []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "etc", "var"} {
		if err := os.RemoveAll(filepath.Join(root, d)); err != nil {
			return nil, err
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// packageVersion finds the version of a package in the lines of unpackDebs.
func packageVersion(lines []string, name string) string {
	for _, l := range lines {
		if f := strings.Fields(l); len(f) == 3 && f[1] == name {
			return f[2]
		}
	}
	return "?"
}
