//go:build servers

package snapshot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdc/event"
	"cdc/internal/testbed"
	"cdc/source"
)

// model is a target: rows by table and key. While a snapshot runs it takes what it gets; behind it each change has to fit.
type model struct {
	rows    map[string]map[string]string
	bags    map[string]map[string]int // of tables without a key: how often each row is there
	reads   int
	strict  int // changes that had to fit
	faults  []string
	read    map[string]bool // rows that the snapshot brought
	before  int             // of them, those that the stream had brought already
	over    bool
	marker  bool // the row that says that nothing follows
	batches int
}

func newModel() *model {
	return &model{rows: map[string]map[string]string{}, bags: map[string]map[string]int{}, read: map[string]bool{}}
}

func (m *model) apply(t *testing.T, b *event.Batch) {
	m.batches++
	if m.over && b.Copying {
		m.faults = append(m.faults, "a batch behind the snapshot says that it goes on")
	}
	for i := range b.Changes {
		c := &b.Changes[i]
		table := b.Tables[c.Table]
		if table.Name == "the_end" {
			m.marker = true
			continue
		}
		if c.Op == event.Truncate {
			delete(m.rows, table.Name)
			delete(m.bags, table.Name)
			continue
		}
		key, _ := keyOf(table)
		image := func(r event.Row) (k, text string) {
			if r.IsZero() {
				return "", ""
			}
			kb, _ := appendKey(nil, r, key)
			var s strings.Builder
			for j := range table.Columns {
				s.WriteString(show(t, r, r.Cells[j], &table.Columns[j]) + "|")
			}
			return string(kb), s.String()
		}
		bk, bt := image(b.Before(i))
		ak, at := image(b.After(i))
		if key == nil {
			m.bag(table.Name, bt, at, b.Copying)
			continue
		}
		rows := m.rows[table.Name]
		if rows == nil {
			rows = map[string]string{}
			m.rows[table.Name] = rows
		}
		if !b.Copying {
			m.strict++
			if bt != "" && rows[bk] != bt {
				m.faults = append(m.faults, fmt.Sprintf("%s: %s of a row that is not there so: %q", table.Name, c.Op, rows[bk]))
			}
			if at != "" && (bt == "" || ak != bk) && rows[ak] != "" {
				m.faults = append(m.faults, fmt.Sprintf("%s: %s over a row that is there", table.Name, c.Op))
			}
		}
		if c.Op == event.Read {
			m.reads++
			if m.read[table.Name+ak] {
				m.faults = append(m.faults, table.Name+": a row was read twice: "+at)
			}
			m.read[table.Name+ak] = true
			if was, ok := rows[ak]; ok {
				m.before++
				if was != at {
					m.faults = append(m.faults, fmt.Sprintf("%s: an old row over a new one: %s over %s", table.Name, at, was))
				}
			}
		}
		if bt != "" {
			delete(rows, bk)
		}
		if at != "" {
			rows[ak] = at
		}
	}
	m.over = m.over || ended(b)
}

func (m *model) bag(table, before, after string, copying bool) {
	rows := m.bags[table]
	if rows == nil {
		rows = map[string]int{}
		m.bags[table] = rows
	}
	if before != "" {
		if rows[before]--; rows[before] == 0 {
			delete(rows, before)
		} else if rows[before] < 0 && !copying {
			m.faults = append(m.faults, table+": a row without a key that is not there")
		}
	}
	if after != "" {
		if rows[after]++; rows[after] == 0 {
			delete(rows, after)
		}
	}
}

func (m *model) compare(t *testing.T, want *model) {
	t.Helper()
	for i, f := range m.faults {
		if i < 10 {
			t.Error(f)
		}
	}
	for table, rows := range want.rows {
		if len(rows) != len(m.rows[table]) {
			t.Errorf("%s: %d rows, %d are there", table, len(m.rows[table]), len(rows))
		}
		wrong := 0
		for k, w := range rows {
			if g := m.rows[table][k]; g != w {
				if wrong++; wrong < 4 {
					t.Errorf("%s: got %q, want %q", table, g, w)
				}
			}
		}
	}
	for table, rows := range want.bags {
		for k, n := range rows {
			if m.bags[table][k] != n {
				t.Errorf("%s: %d rows %q, %d are there", table, m.bags[table][k], k, n)
				break
			}
		}
		if len(rows) != len(m.bags[table]) {
			t.Errorf("%s: %d rows, %d are there", table, len(m.bags[table]), len(rows))
		}
	}
}

// loadTables are the tables of the test under load: definition, and how to make the key of row n.
func loadTables(k testbed.Kind) []loadTable {
	ci := "utf8mb4_general_ci"
	if k == testbed.MySQL97 || k == testbed.MySQL80 {
		ci = "utf8mb4_0900_ai_ci"
	}
	word := func(n int) string {
		forms := []string{"'cafe%d'", "'CAFÉ%d'", "'straße %d'", "'Ωmega%d'", "'表%d'", "'_%d%%'", "'a''b\\\\%d'"}
		return fmt.Sprintf(forms[n%len(forms)], n)
	}
	return []loadTable{
		{"ints", "id bigint primary key", "id", func(n int) string { return fmt.Sprint(skew(n)) }},
		{"words", "id varchar(50) collate " + ci + " primary key", "id", word},
		{"latin", "id varchar(50) character set latin1 collate latin1_german2_ci primary key", "id", func(n int) string { return fmt.Sprintf("'%s%d'", []string{"ä", "ae", "Z", "ß"}[n%4], n) }},
		{"pairs", "a int, b varchar(20) collate " + ci + ", c date, primary key (a, b, c)", "a, b, c", func(n int) string {
			return fmt.Sprintf("%d, 'b%d', '2024-01-%02d'", n%7, n%50, n/350%28+1)
		}},
		{"uniques", "a int null, e enum('z','y','x') not null, d decimal(20,5) not null, unique key (a), unique key u (e, d)", "e, d", func(n int) string {
			return fmt.Sprintf("'%c', %d.%05d", 'x'+n%3, n-500, n%100000)
		}},
		{"bytes", "id varbinary(16) primary key", "id", func(n int) string { return fmt.Sprintf("x'%08x'", uint32(n)*2654435761) }},
		{"floats", "id double, t time(3), primary key (t, id)", "id, t", func(n int) string { return fmt.Sprintf("%d/7e0, '-%02d:00:00.5'", n, n%5) }},
	}
}

type loadTable struct {
	name, columns, key string
	value              func(n int) string
}

// skew crowds most numbers at one end.
func skew(n int) int64 {
	if n%10 == 0 {
		return int64(n) * 1e12
	}
	return int64(n) - 5000
}

// where finds row n by its key.
func (l *loadTable) where(n int) string { return "(" + l.key + ") = (" + l.value(n) + ")" }

// A snapshot under load from four sessions gives, with the stream, the tables as they are; and behind its end each change fits what is there.
func TestSnapshotUnderLoad(t *testing.T) {
	for _, k := range []testbed.Kind{testbed.MySQL97, testbed.MySQL57, testbed.MariaDB118} {
		t.Run(k.String(), func(t *testing.T) {
			underLoad(t, testbed.Shared(t, k), 2000, func(s *testbed.Server, pattern string) copier {
				src := begin(t, s, pattern)
				src.opt.Limits.ChunkRows = 150
				return src
			})
		})
	}
}

// copier is a source of either way.
type copier interface {
	source.Source
	Progress() Progress
}

func underLoad(t *testing.T, s *testbed.Server, rows int, open func(s *testbed.Server, pattern string) copier) {
	k := s.Kind
	db := testbed.FreshDB(t, s)
	tables := loadTables(k)
	statements := []string{"SET NAMES utf8mb4", "USE " + db}
	for _, l := range tables {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s (%s, v int, pad varchar(200))", l.name, l.columns))
		for from := 0; from < rows; from += 500 {
			var values []string
			for n := from; n < from+500; n++ {
				values = append(values, fmt.Sprintf("(%s, %d, repeat('p', %d))", l.value(n), n, n%150))
			}
			statements = append(statements, fmt.Sprintf("INSERT INTO %s (%s, v, pad) VALUES %s", l.name, l.key, strings.Join(values, ",")))
		}
	}
	statements = append(statements, "CREATE TABLE nokey (a int, b varchar(10))", "INSERT INTO nokey VALUES (1,'x'),(1,'x'),(2,NULL),(3,'y')",
		"CREATE TABLE bare (id int primary key)", "CREATE TABLE other (id int primary key)", "CREATE TABLE the_end (id int primary key)")
	testbed.MustExec(t, s, statements...)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var writes atomic.Int64
	stop := func() { cancel(); wg.Wait() }
	defer stop()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			conn, err := s.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			exec := func(format string, args ...any) {
				if _, err := testbed.QueryConn(t.Context(), conn, fmt.Sprintf(format, args...)); err != nil && !expected(err) {
					t.Errorf("%v", err)
				}
			}
			exec("USE %s", db)
			exec("SET NAMES utf8mb4")
			for ctx.Err() == nil {
				l := tables[rng.IntN(len(tables))]
				exec("BEGIN")
				for range 1 + rng.IntN(4) {
					n, m := rng.IntN(rows+200), rng.IntN(rows+200)
					switch rng.IntN(5) {
					case 0:
						exec("INSERT IGNORE INTO %s (%s, v) VALUES (%s, %d)", l.name, l.key, l.value(n), rng.Int32())
					case 1:
						exec("DELETE FROM %s WHERE %s", l.name, l.where(n))
					case 2: // moves a row
						exec("DELETE FROM %s WHERE %s", l.name, l.where(m))
						parts, from := strings.Split(l.key, ", "), strings.Split(l.value(m), ", ")
						var sets []string
						for i := range parts {
							sets = append(sets, parts[i]+"="+from[i])
						}
						exec("UPDATE IGNORE %s SET %s WHERE %s", l.name, strings.Join(sets, ","), l.where(n))
					default:
						exec("UPDATE %s SET v=%d WHERE %s", l.name, rng.Int32(), l.where(n))
					}
				}
				if rng.IntN(10) == 0 {
					exec("ROLLBACK")
				} else {
					exec("COMMIT")
				}
				if w == 0 && rng.IntN(20) == 0 {
					exec("INSERT INTO nokey VALUES (%d, 'n')", rng.IntN(5))
				}
				writes.Add(1)
			}
		})
	}
	src := open(s, db+".%")
	m := newModel()
	until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.over })
	p := src.Progress()
	// Behind the end all changes have to fit.
	after := m.batches + 200
	until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.batches > after })
	stop()
	testbed.MustExec(t, s, "INSERT INTO "+db+".the_end VALUES (1)")
	until(t, src, func(b *event.Batch) bool { m.apply(t, b); return m.marker })
	t.Logf("%d transactions, %d rows in %d chunks, %d of them newer in the stream; %d strict changes behind it", writes.Load(), p.Rows, p.Chunks, p.Dropped, m.strict)
	if m.strict == 0 {
		t.Error("nothing was written behind the snapshot")
	}
	want := newModel()
	until(t, open(s, db+".%"), func(b *event.Batch) bool { want.apply(t, b); return want.over })
	m.compare(t, want)
	for _, l := range tables {
		if n, _ := s.One(t.Context(), "SELECT COUNT(*) FROM "+db+"."+l.name); n != fmt.Sprint(len(want.rows[l.name])) {
			t.Errorf("%s: %d rows in a snapshot, %s in the table", l.name, len(want.rows[l.name]), n)
		}
	}
}

// expected errors of sessions that meet each other.
func expected(err error) bool {
	for _, s := range []string{"Deadlock", "Lock wait", "Duplicate", "Record has changed"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}
