//go:build servers

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// leak says in which form a text holds one of the secrets, and "" where it holds none.
func leak(text string, secrets []string) string {
	for _, s := range secrets {
		for _, form := range []string{s, strings.ToLower(hex.EncodeToString([]byte(s))), strings.ToUpper(hex.EncodeToString([]byte(s)))} {
			if strings.Contains(text, form) {
				return form
			}
		}
		// Base64 looks different behind each number of bytes; what depends on the neighbours is left out.
		for shift := range 3 {
			b := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("-", shift) + s))
			if shift > 0 {
				b = b[4:]
			}
			if b = b[:len(b)-2]; strings.Contains(text, b) {
				return b
			}
		}
	}
	return ""
}

// The values of masked columns, keys too, come out nowhere: not in a topic, a key, a header, a dead letter, the log, the status, an error, or
// the folder of the pipeline.
func TestKafkaMaskCanary(t *testing.T) {
	t.Parallel()
	const mark = "c4n4ry"
	number, day := "748159263", "1937-11-23"
	secrets := []string{mark, number, day}
	s := testbed.Shared(t, testbed.MySQL97)
	k := testbed.SharedKafka(t, testbed.Kafka43)
	for _, format := range []string{"debezium", "plain", "maxwell", "canal"} {
		t.Run(format, func(t *testing.T) {
			db := testbed.FreshDB(t, s)
			at, err := s.ExecutedGTIDs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			value := func(i int) string { return fmt.Sprintf("%s-%d@example.com", mark, i) }
			testbed.MustExec(t, s, "USE "+db, "SET binlog_rows_query_log_events = ON",
				"CREATE TABLE t (email VARCHAR(100) CHARACTER SET utf8mb4 PRIMARY KEY, n BIGINT, born DATE, note TEXT CHARACTER SET utf8mb4, doc JSON, bin VARBINARY(100), amount INT, big MEDIUMTEXT CHARACTER SET utf8mb4)",
				fmt.Sprintf("INSERT INTO t VALUES ('%s', %s, '%s', '%s', '{\"a\": \"%s\"}', '%s', 1, NULL)", value(1), number, day, value(1), value(1), value(1)),
				fmt.Sprintf("INSERT INTO t VALUES ('%s', %s, '%s', '%s', '{\"a\": \"%s\"}', '%s', 2, NULL)", value(2), number, day, value(2), value(2), value(2)),
				"UPDATE t SET amount = 3 WHERE amount = 1",
				fmt.Sprintf("UPDATE t SET email = '%s', note = '%s' WHERE amount = 2", value(3), value(3)),
				// What a step makes of this one does not fit its column.
				fmt.Sprintf("INSERT INTO t VALUES ('%s', %s, '%s', '%s', NULL, NULL, 4, NULL)", value(4), number, day, value(4)+" "+value(4)),
				// This one is too large.
				fmt.Sprintf("INSERT INTO t VALUES ('%s', %s, '%s', '%s', NULL, NULL, 5, REPEAT('%s ', 30000))", value(5), number, day, value(5), "large"),
				"DELETE FROM t WHERE amount = 3")
			o := settings{tables: only(db), start: at}
			p := newTopicPipe(t, s, k, o, "")
			more := map[string]string{
				"debezium": ", debezium: {include_query: true, provide_transaction_metadata: true}, transaction_topic: " + p.prefix + "-txn",
				"maxwell":  ", maxwell: {output_row_query: true, output_ddl: true}",
			}[format]
			sink := func(oversize string) string {
				return p.sink(k.Brokers(), "compression: none, max_record: 20KiB, oversize: "+oversize+", format: "+format+more+", schema_topic: "+p.prefix+"-ddl, dead_letter: {topic: "+p.prefix+"-dead}")
			}
			steps := `
    transforms:
      - compute: {column: copy, type: varchar(30), value: 'row.note'}
      - mask: {columns: ["%.t.email"], hmac: {key: {env: CDC_MASK_KEY}}}
      - mask: {columns: ["%.t.note", "%.t.copy"], constant: hidden}
      - mask: {columns: ["%.t.n", "%.t.born", "%.t.doc", "%.t.bin"], "null": true}
    on_error: `
			key := env("CDC_MASK_KEY=0123456789abcdef")
			var said []string
			note := func(r result) result {
				said = append(said, r.out, r.err)
				return r
			}
			// First it stops at the row at which a step fails, then at the one that is too large, then both are set aside.
			for _, c := range []struct{ oversize, onError, code string }{{"fail", "stop", "CDC8002"}, {"fail", "dead_letter", "CDC5108"}, {"dead_letter", "dead_letter", ""}} {
				o.sink = sink(c.oversize) + steps + c.onError
				p.write(t, o)
				r := note(runWith(t, []string{"run", p.yaml, "--until", "now", "--log-level", "debug"}, key))
				if (r.code == 0) != (c.code == "") || !strings.Contains(r.err, c.code) {
					t.Fatalf("exit code %d, want %q:\n%s", r.code, c.code, tailOf(r.err, 12))
				}
				note(runWith(t, []string{"status", p.yaml}, key))
				note(runWith(t, []string{"check", p.yaml}, key))
			}
			for _, text := range said {
				if form := leak(text, secrets); form != "" {
					at := strings.Index(text, form)
					t.Errorf("%s was printed: %s", form, text[max(0, at-200):min(len(text), at+100)])
				}
			}
			all := messages(t, k, p.prefix)
			topics := map[string]int{}
			for i := range all {
				m := &all[i]
				topics[strings.TrimPrefix(m.Topic, p.prefix)]++
				text := fmt.Sprintf("%s %s %s", m.Topic, m.Key, m.Value)
				for _, h := range m.Headers {
					text += fmt.Sprintf(" %s=%s", h.Key, h.Value)
				}
				if form := leak(text, secrets); form != "" {
					t.Errorf("%s is in a record: %.1000s", form, text)
				}
			}
			if topics["."+db+".t"] < 5 || topics["-dead"] < 2 {
				t.Errorf("records by topic: %v", topics)
			}
			if err := filepath.WalkDir(p.dir, func(path string, e os.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if form := leak(string(b), secrets); form != "" {
					t.Errorf("%s is in %s", form, path)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
