package badger

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/checkpoint/checkpointtest"
	"cdc/fault"
	"cdc/schemas"
)

var damageStep = flag.Int("damage-step", 0, "bytes between the places that TestDamage damages; 0: a fifth of those that are 16384 bytes apart, another one each time")

const damageRecords = 60

// fillForDamage makes a folder that has tables, logs and copies.
func fillForDamage(ctx context.Context, dir string) (*Store, error) {
	var s *Store
	seq := uint64(0)
	for n := uint64(1); n <= damageRecords; n++ {
		if n%20 == 1 { // each closing makes a table
			if s != nil {
				if err := s.Close(); err != nil {
					return nil, err
				}
			}
			var err error
			if s, err = Open(ctx, dir, Options{}); err != nil {
				return nil, err
			}
		}
		var add []schemas.Entry
		for seq < seqOf(n) {
			seq++
			add = append(add, checkpointtest.Entry(seq, int(seq%40)))
		}
		if err := s.Append(ctx, "a", add); err != nil {
			return nil, err
		}
		if err := s.Save(ctx, "a", checkpointtest.Record(n, seq)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func childFill(dir string) error {
	_, err := fillForDamage(context.Background(), dir)
	fmt.Println("filled")
	return err
}

// TestDamage damages each file of a folder at many places, in copies: what is opened then is the newest record with its whole history, or a
// coded error; never another record, never none, and the process lives. Each place costs a copy of the folder and some syncs, which on a machine
// that does much else add up to minutes: that is why only a part of the places is looked at by default.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	step, stride, first := *damageStep, 1, 0
	if step == 0 {
		step, stride = 16384, 5
		first = rand.IntN(stride)
	}
	closed := t.TempDir()
	s, err := fillForDamage(ctx, closed)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	killed := t.TempDir()
	if out, err := childCommand(t, "fill", killed).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("filled")) {
		t.Fatalf("%v: %s", err, out) // it ends without closing, as a kill would
	}
	for name, dir := range map[string]string{"closed": closed, "killed": killed} {
		t.Run(name, func(t *testing.T) {
			cases, deaths := 0, 0
			codes := map[string]int{}
			work := t.TempDir()
			for start := first; ; {
				c := childCommand(t, "damage", dir, work, strconv.Itoa(start), strconv.Itoa(step), strconv.Itoa(stride))
				var said bytes.Buffer
				c.Stderr = &said
				out, err := c.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				current, done := "", false
				for in := bufio.NewScanner(out); in.Scan(); {
					line := in.Text()
					switch {
					case line == "done":
						done = true
					case strings.HasPrefix(line, "case "):
						current = line
						start += stride
						cases++
					case strings.HasPrefix(line, "ok "):
						codes[line[3:]]++
					default:
						t.Errorf("%s: %s", current, line)
					}
				}
				err = c.Wait()
				if done && err == nil {
					break
				}
				deaths++
				t.Errorf("%s: the process died: %v: %s", current, err, firstLines(said.String(), 12))
				if deaths > 5 {
					t.Fatal("too many deaths")
				}
			}
			t.Logf("%d cases, %d deaths, %v", cases, deaths, codes)
		})
	}
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}

type damage struct {
	file     string
	at       int64
	truncate bool
}

// damages lists what is done to the files of a folder: in their written part every step bytes, and a little behind it.
func damages(dir string, step int64) ([]damage, error) {
	var list []damage
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		used := int64(len(bytes.TrimRight(data, "\x00")))
		for at := int64(0); at < min(used+3*step, int64(len(data))); at += step {
			list = append(list, damage{rel, at, true}, damage{rel, at, false})
		}
		for _, at := range []int64{5, 17, used - 20, used - 1} { // headers and ends
			if at > 0 && at < int64(len(data)) {
				list = append(list, damage{rel, at, true}, damage{rel, at, false})
			}
		}
		return nil
	})
	return list, err
}

func childDamage(base, work string, numbers ...string) error {
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(numbers[i]); err != nil {
			return err
		}
	}
	first, width, stride := n[0], n[1], n[2]
	list, err := damages(base, int64(width))
	if err != nil {
		return err
	}
	for i := first; i < len(list); i += stride {
		d := list[i]
		dir := filepath.Join(work, strconv.Itoa(i))
		if err := copyTree(base, dir); err != nil {
			return err
		}
		path := filepath.Join(dir, d.file)
		fmt.Printf("case %d: %+v\n", i, d)
		if d.truncate {
			err = os.Truncate(path, d.at)
		} else {
			err = flip(path, d.at)
		}
		if err != nil {
			return err
		}
		fmt.Println(judge(dir, 1+(i+1)%4/3))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

// judge opens a damaged folder, and some a second time, to meet what the first one has repaired.
func judge(dir string, times int) string {
	ctx := context.Background()
	var verdict string
	for range times {
		s, err := Open(ctx, dir, Options{})
		if err != nil {
			return coded(err)
		}
		n, _, err := resume(ctx, s)
		repairs := slices.DeleteFunc(s.Warnings(), func(w string) bool { return strings.Contains(w, "could read the checkpoint") }) // a file that Badger made last
		warned := len(repairs) > 0
		if err := s.Close(); err != nil {
			return "close: " + err.Error()
		}
		switch {
		case err != nil:
			return coded(err)
		case n != damageRecords:
			return fmt.Sprintf("record %d", n)
		case verdict == "" && warned:
			verdict = "ok repaired"
		case verdict == "":
			verdict = "ok whole"
		case warned:
			return "the repair did not last: " + strings.Join(repairs, "; ")
		}
	}
	return verdict
}

func coded(err error) string {
	if e, ok := fault.As(err); ok && e.Code != fault.CheckpointIO {
		return "ok " + e.Code.String()
	}
	return err.Error()
}

func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 0x55
	_, err = f.WriteAt(b[:], at)
	return err
}

// copyTree copies a folder, leaving holes where files end in zeros.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dst, bytes.TrimRight(data, "\x00"), 0o600); err != nil {
			return err
		}
		return os.Truncate(dst, int64(len(data)))
	})
}
