package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cdc/admin/check"
	"cdc/fault"
	"cdc/schemas"
	"cdc/transform"
)

// localFacts looks at this machine. user says who has the checkpoint folder open; own that nobody should.
func (c *Config) localFacts(user string, own bool) check.LocalFacts {
	f := check.LocalFacts{Memory: int64(c.Memory), MaxRow: int64(c.MaxRow), Streams: len(c.Streams), Machine: memoryOfMachine()}
	state := folderFacts("checkpoint folder", "checkpoint.dir", c.path(c.Checkpoint.Dir))
	state.Code, state.User, state.LeastBy = fault.CheckpointIO, user, "checkpoint.min_free"
	if state.Least = uint64(c.Checkpoint.MinFree); state.Least == 0 {
		state.Least = 64 << 20
	}
	if own && state.Err == nil && lockHeld(filepath.Join(state.Path, "lock")) {
		state.Err = fault.New(fault.CheckpointLocked, "another process uses %s", state.Path)
	}
	f.Folders = append(f.Folders, state)
	if r := c.Source.Relay; r != nil {
		d := folderFacts("relay folder", "source.relay.dir", c.relayDir())
		d.Code, d.Least, d.LeastBy = fault.RelayDiskFull, uint64(r.WithDefaults().MinFree), "source.relay.min_free"
		f.Folders = append(f.Folders, d)
	}
	for i := range c.Streams {
		switch s := &c.Streams[i]; {
		case s.Sink.Files == nil, !s.first():
		case s.Sink.Files.remote():
			f.Folders = append(f.Folders, folderFacts("spool of "+s.Name, "the sink's spool", c.spool(s)))
		default:
			dir := c.path(s.Sink.Files.Dir)
			if s.whole != "" {
				dir = filepath.Dir(dir) // of all shares
			}
			d := folderFacts("files folder of "+s.Name, "the sink's dir", dir)
			if up := filepath.Dir(d.Path); d.Err == nil && !folderExists(d.Path) && !folderExists(up) {
				d.Err = errors.New("there is no folder " + up) // the sink makes the last one only: a mount that is not there must not be filled from below
			}
			f.Folders = append(f.Folders, d)
		}
	}
	return f
}

// folderFacts finds out whether a folder can be written to, or, where it is not there yet, made.
func folderFacts(name, setting, path string) check.Folder {
	d := check.Folder{Check: name, Setting: setting, Path: path}
	at := path
	for !folderExists(at) {
		if _, err := os.Lstat(at); err == nil {
			d.Err = errors.New(at + " is not a folder")
			return d
		}
		up := filepath.Dir(at)
		if up == at {
			d.Err = errors.New("there is no folder above " + path)
			return d
		}
		at = up
	}
	if d.Err = mayWrite(at); d.Err != nil {
		return d
	}
	d.Free, d.Known = freeSpace(at)
	return d
}

func folderExists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// memoryOfMachine gives what the process may use: the least of the machine's memory and its control groups'; 0 where neither is known.
func memoryOfMachine() uint64 {
	var least uint64
	note := func(n uint64) {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	if f, err := os.Open("/proc/meminfo"); err == nil {
		s := bufio.NewScanner(f)
		for s.Scan() {
			if rest, ok := strings.CutPrefix(s.Text(), "MemTotal:"); ok {
				kb, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				note(kb << 10)
			}
		}
		f.Close()
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(path); err == nil {
			n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64) // "max" is no number
			note(n)
		}
	}
	return least
}

// checkTransforms binds the steps of a stream to the present tables: a column that is not there shows now and not at its first change. It gives
// the tables as they leave the steps too. whole says that these are all tables: then a pattern that fits none of them is worth a warning.
func checkTransforms(s *StreamConfig, tables []*schemas.Table, whole bool) ([]fault.Finding, []*schemas.Table) {
	if len(s.Transforms) == 0 {
		return nil, tables
	}
	name := "transforms of " + s.Name
	steps, err := transform.Open(s.Transforms, s.OnError)
	if err != nil {
		return []fault.Finding{findingOf(name, err)}, nil
	}
	var out []fault.Finding
	var left []*schemas.Table
	for _, t := range tables {
		made, err := bind(steps, []*schemas.Table{t})
		left = append(left, made...)
		if err != nil {
			out = append(out, findingOf(name, err))
			if len(out) == 5 {
				break // one mistake shows in every table
			}
		}
	}
	idle := false
	for _, s := range steps {
		if t, ok := s.Transform.(transform.Idler); ok && whole && (idle || len(out) == 0) && len(tables) > 0 {
			for _, p := range t.Idle() {
				idle = true
				out = append(out, fault.Finding{
					Level: fault.Warn, Check: name, What: fmt.Sprintf("%s: %s fits nothing in the captured tables", s.Name, p),
					Cure: "mend the pattern, if what it is for is there already",
				})
			}
		}
	}
	if len(out) == 0 || idle {
		out = append(out, fault.Finding{Check: name, What: fmt.Sprintf("%d step(s) fit the %d captured tables", len(steps), len(tables))})
	}
	return out, left
}

func bind(steps []transform.Step, tables []*schemas.Table) ([]*schemas.Table, error) {
	for _, step := range steps {
		var next []*schemas.Table
		for _, t := range tables {
			made, err := step.Transform.Bind(t)
			if err != nil {
				return nil, err
			}
			next = append(next, made.Tables...)
		}
		tables = next
	}
	return tables, nil
}
