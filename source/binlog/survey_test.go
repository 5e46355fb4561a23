package binlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"cdc/event"
	"cdc/source/binlog"
)

// survey gives a line for each transaction with rows: its identity, and its tables with rows by operation.
func survey(raw []byte, cfg binlog.SurveyConfig, stream bool) (lines []string, prepared int, err error) {
	cfg.Txn = func(x *binlog.Surveyed) error {
		if x.Bytes <= 0 || x.Next <= x.Off || x.Began > x.Commit || x.Commit == 0 {
			return fmt.Errorf("%+v", x)
		}
		var tables []string
		for i := range x.Tables {
			t := &x.Tables[i]
			if t.Uncounted > 0 {
				return fmt.Errorf("%+v", t)
			}
			if t.Rows() > 0 {
				tables = append(tables, fmt.Sprintf("%s %d %d %d", t.Name, t.Inserts, t.Updates, t.Deletes))
			}
		}
		sort.Strings(tables)
		switch {
		case x.Prepared:
			prepared++
		case len(tables) > 0 && !x.RolledBack:
			lines = append(lines, fmt.Sprintf("%s %d: %s", x.GTID, x.Off, strings.Join(tables, ", ")))
		}
		return nil
	}
	s := binlog.NewSurvey(cfg)
	s.Seek("x.000001", 4)
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e := raw[pos : pos+int(h.Size)]
		pos += int(h.Size)
		if stream && h.Type == binlog.TransactionPayload {
			if err := s.PushStream(e[:binlog.HeaderSize], bytes.NewReader(e[binlog.HeaderSize:])); err != nil {
				return lines, prepared, err
			}
			continue
		}
		if err := s.Push(e); err != nil {
			return lines, prepared, err
		}
	}
	return lines, prepared, nil
}

// decoded gives the same lines as an Assembler sees them.
func decoded(t *testing.T, raw []byte) (lines []string, err error) {
	a := binlog.NewAssembler(binlog.Config{Spool: memSpool{}, Select: func(string, string) bool { return true }})
	a.Seek("x.000001", 4)
	rows := map[string][4]int{}
	flush := func(x *event.Txn) {
		var tables []string
		for name, n := range rows {
			tables = append(tables, fmt.Sprintf("%s %d %d %d", name, n[event.Insert], n[event.Update], n[event.Delete]))
		}
		sort.Strings(tables)
		if len(tables) > 0 {
			lines = append(lines, fmt.Sprintf("%s %d: %s", x.GTID, x.Off, strings.Join(tables, ", ")))
		}
		clear(rows)
	}
	b := (&event.Pool{}).Get()
	take := func() {
		for i := range b.Txns {
			x := &b.Txns[i]
			for j := x.First; j < x.Last; j++ {
				c := &b.Changes[j]
				if c.Op == event.Truncate {
					continue
				}
				n := rows[b.Tables[c.Table].FullName()]
				n[c.Op]++
				rows[b.Tables[c.Table].FullName()] = n
			}
			if x.End {
				flush(x)
			}
		}
		b = (&event.Pool{}).Get()
	}
	for pos := 4; pos < len(raw); {
		h, _ := binlog.ParseHeader(raw[pos:])
		e := raw[pos : pos+int(h.Size)]
		pos += int(h.Size)
		for {
			again, err := a.Push(b, e)
			if err != nil {
				return lines, err
			}
			if !again {
				break
			}
			take()
		}
	}
	take()
	return lines, nil
}

// A survey counts what an assembler decodes, in the binlogs of all servers, without a definition of any table.
func TestSurveyCountsTheSame(t *testing.T) {
	compared := 0
	for _, path := range corpus(t) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, stream := range []bool{false, true} {
			got, prepared, err := survey(raw, binlog.SurveyConfig{}, stream)
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
				continue
			}
			want, err := decoded(t, raw)
			if err != nil {
				continue // changes in statement format
			}
			if prepared > 0 { // an assembler gives their rows out at XA COMMIT
				var keep []string
				for _, l := range want {
					if strings.Contains(strings.Join(got, "\n"), l) {
						keep = append(keep, l)
					}
				}
				if len(want)-len(keep) > prepared {
					t.Errorf("%s: %d transactions are missing, %d were prepared", filepath.Base(path), len(want)-len(keep), prepared)
				}
				want = keep
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("%s: %s", filepath.Base(path), firstDifference(w, g))
			}
			compared += len(want)
		}
	}
	if compared < 500 {
		t.Errorf("only %d transactions were compared", compared)
	}
}

// The keys that a survey finds are those of the rows.
func TestSurveyKeys(t *testing.T) {
	raw, err := os.ReadFile("testdata/corpus/mysql97-full.binlog")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	_, _, err = survey(raw, binlog.SurveyConfig{Key: func(k *binlog.SurveyKey, _ event.Op, value []byte) {
		seen[k.Name.String()+" "+string(k.Text(nil, value))]++
	}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 5 {
		t.Error(seen)
	}
	for text := range seen {
		if strings.Contains(text, "?") || !strings.Contains(text, "=") {
			t.Errorf("%q", text)
		}
	}
}

func FuzzSurvey(f *testing.F) {
	for _, path := range corpus(f) {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:min(len(raw), 20_000)])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := binlog.NewSurvey(binlog.SurveyConfig{Txn: func(*binlog.Surveyed) error { return nil }, Key: func(k *binlog.SurveyKey, _ event.Op, v []byte) { k.Text(nil, v) }, MaxPayload: 1 << 20})
		s.Seek("x.000001", 4)
		for pos := 4; pos < len(raw); {
			h, ok := binlog.ParseHeader(raw[pos:])
			if !ok || int(h.Size) > len(raw)-pos {
				return
			}
			if s.Push(raw[pos:pos+int(h.Size)]) != nil {
				return
			}
			pos += int(h.Size)
		}
	})
}
