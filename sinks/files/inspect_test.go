package files_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cdc/event"
	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
)

// inspected makes a place with three publications of two tables and a statement.
func inspected(t *testing.T) *filestest.Bucket {
	t.Helper()
	b := filestest.NewBucket()
	s := process(t, b, "test")
	if err := s.Start(t.Context(), sinks.Place{}); err != nil {
		t.Fatal(err)
	}
	other := *shop
	other.Name = "other"
	var pool event.Pool
	write(t, s, batch(&pool, shop, 1, 2))
	flush(t, s)
	write(t, s, batch(&pool, shop, 2, 1))
	write(t, s, batch(&pool, &other, 3, 4))
	flush(t, s)
	ddl := batch(&pool, shop, 4, 0)
	ddl.DDL = &schemas.DDL{Statement: schemas.Statement{Text: "alter table orders comment 'x'"}, Names: []schemas.Name{{Database: "shop", Table: "orders"}}}
	write(t, s, ddl)
	flush(t, s)
	return b
}

// TestInspect changes one thing at a time in a place, as seen over a network and as a folder of this machine, and looks at what is said of it.
func TestInspect(t *testing.T) {
	const (
		one   = "shop/orders/shop.orders-0000000001-000001-000001.100-000001.100.jsonl"
		two   = "shop/orders/shop.orders-0000000002-000001-000001.200-000001.200.jsonl"
		newer = "shop/orders/shop.orders-0000000009-000001-000001.900-000001.900.jsonl"
		ddl   = "_ddl/ddl-0000000003-000001-000001.400-000001.400.jsonl"
	)
	good := files.Totals{Publications: 3, Files: 3, Rows: 7}
	for name, c := range map[string]struct {
		change func(get func(string) []byte, set func(string, []byte))
		want   []string
		sum    files.Totals
	}{
		"nothing": {func(func(string) []byte, func(string, []byte)) {}, nil, good},
		"a byte": {
			func(get func(string) []byte, set func(string, []byte)) {
				set(one, bytes.Replace(get(one), []byte("1"), []byte("2"), 1))
			},
			[]string{one + ": its checksum is "},
			good,
		},
		"shorter, and another longer": {
			func(get func(string) []byte, set func(string, []byte)) {
				set(one, get(one)[1:])
				set(two, append(get(two), '\n'))
			},
			[]string{one + ": it is ", two + ": it is "},
			good,
		},
		"missing":           {func(_ func(string) []byte, set func(string, []byte)) { set(two, nil) }, []string{two + ": it is missing; publication 2 has it"}, good},
		"missing statement": {func(_ func(string) []byte, set func(string, []byte)) { set(ddl, nil) }, []string{ddl + ": it is missing; publication 3 has it"}, good},
		"put there": {
			func(get func(string) []byte, set func(string, []byte)) {
				set(strings.Replace(one, "-000001-", "-000007-", 1), get(one))
				set("shop/orders/notes.txt", []byte("x"))
				set("notes", []byte("x"))
				set("shop/_SUCCESS", []byte("x"))
			},
			[]string{"notes: it was not", "shop/orders/notes.txt: it was not", strings.Replace(one, "-000001-", "-000007-", 1) + ": it is in no manifest"},
			good,
		},
		"on its way": {func(get func(string) []byte, set func(string, []byte)) { set(newer, get(one)) }, nil, files.Totals{Publications: 3, Files: 3, Rows: 7, Pending: 1}},
		"a manifest cut short": {
			func(get func(string) []byte, set func(string, []byte)) {
				m := get("_manifest/0000000002.jsonl")
				set("_manifest/0000000002.jsonl", m[:bytes.LastIndexByte(m[:len(m)-1], '\n')+1])
			},
			[]string{
				"_manifest/0000000002.jsonl: the manifest cannot be read: it names 1 files and says that there are 2",
				two + ": it is in no manifest", "shop/other/shop.other-0000000002-000001-000001.300-000001.300.jsonl: it is in no manifest",
			},
			files.Totals{Publications: 3, Files: 1, Rows: 2},
		},
		"a manifest of another name": {
			func(get func(string) []byte, set func(string, []byte)) {
				set("_manifest/0000000008.jsonl", get("_manifest/0000000001.jsonl"))
			},
			[]string{"_manifest/0000000008.jsonl: the manifest cannot be read: it says that it is of publication 1"},
			files.Totals{Publications: 4, Files: 3, Rows: 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := inspected(t)
			c.change(func(name string) []byte { return bytes.Clone(b.Files()[name].Data) }, b.Set)
			folder := t.TempDir()
			for name, f := range b.Files() {
				full := filepath.Join(folder, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			local, err := files.OpenReader(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer local.Close()
			for where, at := range map[string]files.Reader{"remote": b.Client(1), "local": local} {
				var got []string
				sum, err := files.Inspect(t.Context(), at, func(path, text string) { got = append(got, path+": "+text) })
				if err != nil {
					t.Fatalf("%s: %v", where, err)
				}
				slices.Sort(got)
				if len(got) != len(c.want) {
					t.Fatalf("%s: it said\n%s\nwant\n%s", where, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				want := slices.Clone(c.want)
				slices.Sort(want)
				for i := range want {
					if !strings.HasPrefix(got[i], want[i]) {
						t.Errorf("%s: it said %q, want %q", where, got[i], want[i])
					}
				}
				sum.Bytes = 0
				if sum != c.sum {
					t.Errorf("%s: %+v, want %+v", where, sum, c.sum)
				}
			}
			if _, err := files.Verify(t.Context(), folder); fault.Has(err, fault.SinkAltered) != (len(c.want) > 0 || c.sum.Pending > 0) {
				t.Errorf("Verify said %v", err)
			}
		})
	}
}

// TestInspectBesideSink looks at a place again and again while a sink writes there: nothing is ever wrong.
func TestInspectBesideSink(t *testing.T) {
	dir := t.TempDir()
	s := open(t, files.Options{Dir: dir, Interval: time.Hour})
	at, err := files.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var pool event.Pool
		for i := range uint64(20) {
			if err := s.Write(t.Context(), batch(&pool, shop, i+1, 1), func(error) {}); err != nil {
				return
			}
			if err := s.Flush(t.Context()); err != nil {
				return
			}
		}
	}()
	look := func() files.Totals {
		sum, err := files.Inspect(t.Context(), at, func(path, text string) { t.Errorf("%s: %s", path, text) })
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for writing := true; writing; {
		select {
		case <-done:
			writing = false
		default:
		}
		look()
	}
	if sum := look(); sum.Publications != 20 || sum.Rows != 20 || sum.Pending != 0 {
		t.Errorf("%+v", sum)
	}
}
