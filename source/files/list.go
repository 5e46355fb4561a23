package files

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cdc/fault"
)

// Expand gives the files that arguments stand for. An argument is a file, or a folder: one with an index as a relay has (relay.index) stands for the files in it, in
// their order; one with folders as a relay and its archive have (000001.UUID) for what is in those; any other for the binlogs in it, in the order of their numbers.
// A binlog that is there both compressed and not counts once.
func Expand(args []string) ([]string, error) {
	out := make([]string, 0, len(args))
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			out = append(out, arg) // what is not there is an error to whoever opens it
			continue
		}
		list, err := inFolder(arg)
		if err != nil {
			return nil, fault.New(fault.BinlogNotABinlog, "look for binlogs in a folder: %w", err).At(fault.Where{File: arg})
		}
		if len(list) == 0 {
			return nil, fault.New(fault.BinlogNotABinlog, "the folder has no binlogs").At(fault.Where{File: arg})
		}
		out = append(out, list...)
	}
	return out, nil
}

var (
	serverFolder = regexp.MustCompile(`^[0-9]{6}\.[0-9A-Za-z-]+$`)
	binlogFile   = regexp.MustCompile(`^[^.].*\.[0-9]{6,}(\.zst)?$`)
)

func inFolder(dir string) ([]string, error) {
	if list, err := byIndex(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return list, err
	}
	entries, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return nil, err
	}
	var list, below []string
	for _, e := range entries {
		switch {
		case e.IsDir() && serverFolder.MatchString(e.Name()):
			of, err := inFolder(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			below = append(below, of...) // in the order of the folders' numbers
		case !e.IsDir() && binlogFile.MatchString(e.Name()) && !serverFolder.MatchString(e.Name()):
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		base, n, _ := split(a)
		base2, n2, _ := split(b)
		return cmp.Or(cmp.Compare(base, base2), cmp.Compare(n, n2), cmp.Compare(len(a), len(b)))
	})
	list = slices.CompactFunc(list, func(a, b string) bool { return Name(a) == Name(b) })
	return append(list, below...), nil
}

// byIndex reads relay.index.
func byIndex(dir string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, "relay.index"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); text != "" {
			list = append(list, filepath.Join(dir, filepath.FromSlash(text)))
		}
	}
	return list, lines.Err()
}

// follows is what a relay or its archive has noted of a file beside it: the file before it, as FOLDER/FILE; "" where nothing says.
func follows(path string) (string, error) {
	dir, name := filepath.Dir(path), Name(path)
	beside := filepath.Join(dir, "."+name+".json")
	if isPacked(path) {
		beside = filepath.Join(dir, name+".json")
	}
	text, err := os.ReadFile(beside)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var d struct {
		After string `json:"after"`
	}
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return "", fault.New(fault.UsageInvalid, "read what is noted of a file: %w", err).At(fault.Where{File: beside})
	}
	return d.After, nil
}

// noted names a file as follows does.
func noted(path string) string { return filepath.Base(filepath.Dir(absolute(path))) + "/" + Name(path) }

func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// consecutive refuses files of one server between which some are missing, or that are out of order: their rows would be gone, or come in the
// wrong order, without a word. Numbers that are left out are not missing where a relay or its archive has noted that the one file follows the other: a server sends
// no file that has nothing for the reader.
func consecutive(paths []string) error {
	for i := 1; i < len(paths); i++ {
		before, err := follows(paths[i])
		if err != nil {
			return err
		}
		base, n, ok := split(paths[i-1])
		base2, n2, ok2 := split(paths[i])
		switch {
		case before != "" && before == noted(paths[i-1]):
		case before != "" && serverFolder.MatchString(filepath.Base(filepath.Dir(absolute(paths[i-1])))):
			return fault.New(fault.UsageInvalid, "%s follows %s, and %s is before it: give the files in order, without a gap", paths[i], before, paths[i-1])
		case ok && ok2 && base == base2 && n2 != n+1:
			return fault.New(fault.UsageInvalid, "%s does not follow %s: give the files in order, without a gap", paths[i], paths[i-1])
		}
	}
	return nil
}
