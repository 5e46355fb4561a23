package testbed

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// manifestName is the file that marks an unpacked server as whole. Its lines:
//
//	testbed 1 KIND RECIPE          format, kind, hash of the recipe it was made by
//	package NAME VERSION           what was unpacked
//	file SHA256 SIZE PATH          every regular file
//	link TARGET PATH               every symbolic link
//
// Provisioning writes it last, and a folder is renamed into place after that.
const manifestName = "MANIFEST"

func manifestHead(k Kind, r recipe) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%#v", r))
	return fmt.Sprintf("testbed 1 %s %s", k, hex.EncodeToString(h[:8]))
}

func writeManifest(root, head string, packages []string) error {
	var b strings.Builder
	fmt.Fprintln(&b, head)
	for _, p := range packages {
		fmt.Fprintln(&b, p)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "link %s %s\n", target, rel)
		case d.Type().IsRegular():
			sum, size, err := hashFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "file %s %d %s\n", sum, size, rel)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", root, err)
	}
	return os.WriteFile(filepath.Join(root, manifestName), []byte(b.String()), 0o644)
}

var errStale = errors.New("made by another recipe")

// checkManifest verifies an unpacked server: that every file is there with its
// size, which takes milliseconds, and with deep its checksum too. It returns
// the lines that name packages.
func checkManifest(root, head string, deep bool) (packages []string, err error) {
	f, err := os.Open(filepath.Join(root, manifestName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	if !lines.Scan() || lines.Text() != head {
		return nil, errStale
	}
	for lines.Scan() {
		what, rest, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "package":
			packages = append(packages, lines.Text())
		case "link":
			target, rel, _ := strings.Cut(rest, " ")
			if got, err := os.Readlink(filepath.Join(root, rel)); err != nil || got != target {
				return nil, fmt.Errorf("the link %s is damaged", rel)
			}
		case "file":
			f := strings.SplitN(rest, " ", 3)
			if len(f) != 3 {
				return nil, fmt.Errorf("malformed line %q", lines.Text())
			}
			path := filepath.Join(root, f[2])
			info, err := os.Lstat(path)
			if err != nil {
				return nil, err
			}
			if strconv.FormatInt(info.Size(), 10) != f[1] {
				return nil, fmt.Errorf("%s has %d bytes, not %s", f[2], info.Size(), f[1])
			}
			if deep {
				if sum, _, err := hashFile(path); err != nil || sum != f[0] {
					return nil, fmt.Errorf("%s is not the file that was unpacked (checksum)", f[2])
				}
			}
		default:
			return nil, fmt.Errorf("malformed line %q", lines.Text())
		}
	}
	return packages, lines.Err()
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}
