//go:build servers

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// steps writes the configuration of a stream with transforms, and what more its entry has.
func (p *pipe) steps(t testing.TB, o settings, transforms, more string) {
	t.Helper()
	p.write(t, o)
	text, err := os.ReadFile(p.yaml)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("  - name: all\n    transforms:\n")
	for l := range strings.Lines(transforms) {
		b.WriteString("      " + l)
	}
	for l := range strings.Lines(more) {
		b.WriteString("    " + l)
	}
	out := strings.Replace(string(text), "  - name: all\n", b.String(), 1)
	if err := os.WriteFile(p.yaml, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
}

// deadLine is what tests read of a dead letter.
type deadLine struct {
	ID, GTID, File, Table, Step, Code, Reason string

	Txn    uint64
	Masked []string
	Change *line
}

func (p *pipe) dead(t testing.TB) []deadLine {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "dead", "all.jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var out []deadLine
	for l := range bytes.Lines(text) {
		var d deadLine
		if err := json.Unmarshal(l, &d); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		out = append(out, d)
	}
	return out
}

// amounts makes a table whose amounts are text, and puts rows into it, each in a transaction of its own.
func amounts(t testing.TB, s *testbed.Server) (db string, put func(id int, amount string)) {
	t.Helper()
	db = testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, amount VARCHAR(40))")
	return db, func(id int, amount string) {
		testbed.MustExec(t, s, fmt.Sprintf("INSERT INTO %s.t VALUES (%d, '%s')", db, id, amount))
	}
}

const byNumber = "- filter: {where: 'number(row.amount) >= 0'}\n"

// A row at which a step fails stops the stream before it, by its own code and without its value; mended, the stream goes on there.
func TestTransformStops(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db, put := amounts(t, s)
	p := newPipe(t, s, settings{})
	o := settings{tables: only(db), start: "start"}
	p.steps(t, o, byNumber, "")
	put(1, "1")
	put(2, "-2") // dropped by the filter
	put(3, "s3cret")
	put(4, "4")
	for range 2 { // it is no different at the second attempt
		r := run(t, "run", p.yaml, "--until", "now")
		r.refused(t, 1, "CDC8002", "transforms[0].filter", db+".t", "gtid "+s.UUID, "column 1", "dead_letter")
		if strings.Contains(r.err, "s3cret") {
			t.Errorf("the value shows:\n%s", r.err)
		}
		if got := ids(p.lines(t)); len(got) > 0 && !slices.Equal(got, []string{"1"}) { // what is in one batch with it waits too
			t.Errorf("delivered %q", got)
		}
	}
	if st, ok := p.status(t); !ok || st.State != "failed" || st.Code != "CDC8002" || strings.Contains(st.Error, "s3cret") {
		t.Errorf("%+v", st)
	}
	p.steps(t, o, `- filter: {where: 'row.amount matches "^[a-z0-9]+$"'}`+"\n", "")
	must(t, "run", p.yaml, "--until", "now")
	if got := ids(p.lines(t)); !slices.Equal(got, []string{"1", "3", "4"}) {
		t.Errorf("delivered %q", got)
	}
}

// A row at which a step fails is set aside once, whatever is killed, and the others are delivered once; a dead letter names the place where its change is found again.
func TestTransformDeadLetters(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db, put := amounts(t, s)
	p := newPipe(t, s, settings{})
	o := settings{tables: only(db), start: "start", every: "1h", sink: "files: {dir: out, interval: 1h}"} // all is behind the checkpoint
	p.steps(t, o, byNumber, "on_error: dead_letter\ndead_letter: {dir: dead}\n")
	for i := range 9 {
		put(i+1, map[bool]string{true: "bad", false: "7"}[i%3 == 2])
	}
	r := p.run(t)
	p.read(t, r, 3)
	r.kill()
	path := filepath.Join(p.dir, "dead", "all.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-17], 0o600); err != nil { // a crash cut the last line off
		t.Fatal(err)
	}
	r = p.run(t)
	p.read(t, r, 3)
	r.kill()
	must(t, "run", p.yaml, "--until", "now")
	var want []string
	for _, d := range p.dead(t) {
		want = append(want, string(d.Change.After["id"]))
		if d.Code != "CDC8002" || d.Table != db+".t" || d.Step != "transforms[0].filter" || d.GTID != d.Change.GTID || strings.Contains(d.Reason, "bad") {
			t.Errorf("%+v", d)
		}
		out := must(t, "tail", "mysql://"+testbed.User+"@"+s.Addr()+"/", "--tables", db+".%", "--from", fmt.Sprintf("%s:%d", d.File, d.Txn), "--count", "1")
		if l := printed(t, out); len(l) != 1 || l[0].GTID != d.GTID || string(l[0].After["id"]) != string(d.Change.After["id"]) {
			t.Errorf("from the place of %s: %s", d.ID, out)
		}
	}
	if !slices.Equal(want, []string{"3", "6", "9"}) {
		t.Errorf("dead letters of %q", want)
	}
	if got := ids(p.lines(t)); !slices.Equal(got, []string{"1", "2", "4", "5", "7", "8"}) {
		t.Errorf("delivered %q", got)
	}
}

// read waits until a running stream has set so many letters aside, and read to the end.
func (p *pipe) read(t testing.TB, r *process, letters int) {
	t.Helper()
	poll(t, "the letters are there", func() bool {
		if !r.running() {
			t.Fatalf("cdc ended; stderr:\n%s", tailOf(r.err.String(), 30))
		}
		text, _ := os.ReadFile(filepath.Join(p.dir, "dead", "all.jsonl"))
		return bytes.Count(text, []byte("\n")) == letters && bytes.HasSuffix(text, []byte("\n"))
	})
}

// An expression that costs more than it may for a large row stops the stream or sets the row aside, and neither time nor memory run away.
func TestRunawayExpression(t *testing.T) {
	t.Parallel()
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	testbed.MustExec(t, s, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, big LONGTEXT)", "INSERT INTO "+db+".t VALUES (1, 'tiny')",
		"INSERT INTO "+db+".t VALUES (2, REPEAT('ab', 2000000))", "INSERT INTO "+db+".t VALUES (3, 'tiny')")
	for name, where := range map[string]string{
		"nested":  "len(" + strings.Repeat("upper(", 300) + "row.big" + strings.Repeat(")", 300) + ") > 0",
		"doubles": "len(" + strings.Repeat("replace(", 40) + "row.big" + strings.Repeat(`, "a", "aa")`, 40) + ") > 0",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipe(t, s, settings{})
			o := settings{tables: only(db), start: "start", memory: "64MiB"}
			step := "- filter:\n    where: '" + where + "'\n"
			p.steps(t, o, step, "")
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC8005", "transforms[0].filter", db+".t")
			p.steps(t, o, step, "on_error: dead_letter\ndead_letter: {dir: dead}\n")
			must(t, "run", p.yaml, "--until", "now")
			if got := ids(p.lines(t)); !slices.Equal(got, []string{"1", "3"}) {
				t.Errorf("delivered %q", got)
			}
			if d := p.dead(t); len(d) != 1 || d[0].Code != "CDC8005" {
				t.Errorf("%d dead letters", len(d))
			}
		})
	}
	p := newPipe(t, s, settings{})
	for _, where := range []string{"all(1..1000000000, {# > 0})", `repeat("a", 1000000000) != ""`, "let x = 1; x > 0", strings.Repeat("(", 3000) + "true" + strings.Repeat(")", 3000)} {
		p.steps(t, settings{tables: only(db)}, "- filter:\n    where: '"+where+"'\n", "")
		if r := run(t, "config", "check", p.yaml); r.code != 2 && !strings.HasPrefix(where, "(") {
			t.Errorf("%.40s: %d %s", where, r.code, r.out)
		} else if r.code == 2 {
			r.refused(t, 2, "CDC1002", "streams[0].transforms[0].filter.where", "column")
		}
	}
}

// A value that is masked or dropped is in no file that the program writes, nothing that it prints, and no log, at its finest.
func TestMaskCanaryInFiles(t *testing.T) {
	t.Parallel()
	const canary, number = "c4n4ry-Quokka", "748159263"
	s := testbed.Shared(t, testbed.MySQL97)
	db := testbed.FreshDB(t, s)
	row := func(id int, ssn, amount string) string {
		return fmt.Sprintf("(%d, '%s', '%s@example.com', %s, '%s', '{\"note\": \"%s\"}', '%s1234', '%s')", id, ssn, canary, number, canary, canary, canary, amount)
	}
	change := func() {
		testbed.MustExec(t, s, "SET SESSION binlog_rows_query_log_events=ON", // the statements are in the binlog too
			"CREATE TABLE "+db+".patients (id INT, ssn VARCHAR(40), email VARCHAR(60), salary BIGINT, photo BLOB, notes JSON, phone VARCHAR(40), amount VARCHAR(40), PRIMARY KEY (id, ssn))",
			"CREATE TABLE "+db+".secret (id INT PRIMARY KEY, ssn VARCHAR(40))",
			"INSERT INTO "+db+".patients VALUES "+row(1, canary, "5")+", "+row(2, canary, "bad "+canary)+", "+row(3, canary, "200"),
			"UPDATE "+db+".patients SET ssn='"+canary+"-2' WHERE id=1", "UPDATE "+db+".patients SET notes=JSON_SET(notes, '$.more', '"+canary+"') WHERE id=1",
			"INSERT INTO "+db+".secret VALUES (1, '"+canary+"')", "DELETE FROM "+db+".patients WHERE id=3 /* "+canary+" */",
			"ALTER TABLE "+db+".patients COMMENT='"+canary+"'")
	}
	change()
	const transforms = `- exclude: ["%.secret"]
- filter: {where: 'number(row.amount) < 100'}
- mask: {columns: ["%.%.ssn", "%.%.notes"], hmac: {key: {env: MASK_KEY}}}
- mask: {columns: ["%.%.salary"], null: true}
- mask: {columns: ["%.%.photo"], constant: "x"}
- mask: {columns: ["%.%.phone"], keep_last: 2}
- exclude_columns: ["%.%.email", "%.%.amount"]
`
	key := env("MASK_KEY=0123456789abcdef")
	for name, sink := range map[string]string{
		"plain":    "files: {dir: out, interval: 100ms}",
		"debezium": "files: {dir: out, interval: 100ms, format: debezium, debezium: {include_query: true, schemas_enable: true, provide_transaction_metadata: true}}",
		"maxwell":  "files: {dir: out, interval: 100ms, format: maxwell, maxwell: {output_row_query: true, output_ddl: true, output_primary_keys: true}}",
		"canal":    "files: {dir: out, interval: 100ms, format: canal}",
		"stdout":   "stdout: {}",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipe(t, s, settings{})
			o := settings{tables: only(db), start: "start", sink: sink, every: "50ms"}
			p.steps(t, o, transforms, "on_error: dead_letter\ndead_letter: {dir: dead}\n")
			r := p.run(t, key)
			p.reached(t, r)
			shown := must(t, "status", p.yaml) + must(t, "status", p.yaml, "--json")
			r.kill()
			shown += r.out.String() + r.err.String()
			r2 := runWith(t, []string{"run", p.yaml, "--until", "now", "--log-level", "debug"}, key)
			if r2.code != 0 {
				t.Fatal(r2.err)
			}
			shown += r2.out + r2.err + must(t, "checkpoint", "show", p.yaml, "all", "--json")
			if n := len(p.dead(t)); n != 1 {
				t.Errorf("%d dead letters", n)
			}
			hidden(t, canary, number, p.dir, shown)
			if out := contents(t, p.out()) + r.out.String(); !strings.Contains(out, "patients") || !strings.Contains(out, "34") {
				t.Error("nothing was delivered")
			}
			// The same rows stop a stream without showing themselves.
			stops := newPipe(t, s, settings{})
			stops.steps(t, o, transforms, "")
			stop := runWith(t, []string{"run", stops.yaml, "--until", "now", "--log-level", "debug"}, key)
			if stop.code != 1 || !strings.Contains(stop.err, "CDC8002") {
				t.Errorf("%d %s", stop.code, stop.err)
			}
			state := run(t, "status", stops.yaml, "--json")
			hidden(t, canary, number, stops.dir, stop.out+stop.err+state.out+state.err)
		})
	}
	// The search finds what is there: without the steps it is.
	p := newPipe(t, s, settings{tables: only(db), start: "start"})
	must(t, "run", p.yaml, "--until", "now")
	if out := contents(t, p.out()); !strings.Contains(out, canary) || !strings.Contains(out, number) {
		t.Error("the canary is not where it must be")
	}
}

// contents is all that the files below a folder hold.
func contents(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		b.Write(text)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return b.String()
}

// hidden checks that no file below a folder and nothing that was shown holds a value, in the ways in which it could be written. The history of the
// tables is kept as the source tells it, with the literals of DDL: of those there is the comment of one statement.
func hidden(t testing.TB, canary, number, dir, shown string) {
	t.Helper()
	find := func(where, text string) {
		for _, form := range []string{canary, number, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))[:16], strings.ToUpper(canary)} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s shows %s: %q", where, form, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	find("what was printed", shown)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		find(path, strings.ReplaceAll(string(text), "COMMENT='"+canary+"'", ""))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
