package transform

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cdc/event"
	"cdc/event/celltext"
	"cdc/gtid"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
	"cdc/schemas"
)

var rewrite = flag.Bool("rewrite", false, "write the results of the examples in docs/transforms.md anew")

const page = "../docs/transforms.md"

var (
	tableBlock   = regexp.MustCompile("(?ms)^```sql\n(CREATE TABLE .*?)^```$")
	changeBlock  = regexp.MustCompile("(?ms)^```text\n(.*?)^```$")
	outboxBlock  = regexp.MustCompile("(?ms)^```text\n(insert shop.outbox after id=.*?)^```$")
	exampleBlock = regexp.MustCompile("(?ms)^```yaml\n(- .*?)^```\n\n```text\n(.*?)^```$")
)

// Every example of docs/transforms.md gives what the page says, of the changes that it shows.
func TestDocs(t *testing.T) {
	t.Setenv("MASK_KEY", "0123456789abcdef")
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	tables := map[string]*schemas.Table{}
	catalog := schemas.NewCatalog(gtid.MySQL, 80400)
	catalog.Replay(&schemas.Entry{Kind: schemas.PutDatabase, Name: schemas.Name{Database: "shop"}, Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"})
	for sql := range strings.SplitSeq(tableBlock.FindStringSubmatch(text)[1], ";\n") {
		if sql == "" {
			continue
		}
		d, err := catalog.Apply(&schemas.Statement{Text: sql, Flavor: gtid.MySQL, Version: 80400})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		for i := range d.Entries {
			tables[d.Entries[i].Table.FullName()] = d.Entries[i].Table
		}
	}
	input := changeBlock.FindStringSubmatch(text)[1]
	shown := map[string]bool{}
	for _, m := range exampleBlock.FindAllStringSubmatchIndex(text, -1) {
		yaml, want := text[m[2]:m[3]], text[m[4]:m[5]]
		var c struct {
			Transforms []Config `yaml:"transforms"`
		}
		doc, bad := settings.Decode("cdc.yaml", []byte("transforms:\n"+yaml), &c)
		for i := range c.Transforms {
			bad = append(bad, doc.At(c.Transforms[i].Validate(""))...)
			key, _, _ := c.Transforms[i].chosen()
			shown[key] = true
		}
		if len(bad) > 0 {
			t.Fatalf("%s: %v", yaml, bad)
		}
		of := input
		if shown["outbox"] { // the last one, which has a table of its own
			of = outboxBlock.FindStringSubmatch(text)[1]
		}
		b := changes(t, tables, of)
		steps, err := Open(c.Transforms, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if err := run(s.Transform, b); err != nil {
				t.Fatalf("%s: %v", yaml, err)
			}
		}
		got := result(b)
		if got != want && *rewrite {
			text = strings.Replace(text, text[m[0]:m[1]], "```yaml\n"+yaml+"```\n\n```text\n"+got+"```", 1)
			if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Fatal("an example was written anew: run it again until all are")
		}
		if got != want {
			t.Errorf("%s\ngives\n%s\nand the page says\n%s", yaml, got, want)
		}
	}
	for kind := range strings.SplitSeq(kinds, ", ") {
		if !shown[kind] {
			t.Errorf("%s has no example", kind)
		}
	}
	for name := range functions() {
		if !strings.Contains(text, "`"+name+"(") {
			t.Errorf("the function %s() is not on the page", name)
		}
	}
}

// changes reads changes as the page shows them: op, table, then before and after with the columns of each.
func changes(t *testing.T, tables map[string]*schemas.Table, text string) *event.Batch {
	t.Helper()
	w := batchtest.NewWriter(nil).Begin(batchtest.Txn(1))
	for l := range strings.Lines(text) {
		words := strings.Fields(l)
		table := tables[words[1]]
		if table == nil {
			t.Fatalf("no table of %s", l)
		}
		var images [2][]batchtest.Value
		at := -1
		for _, word := range words[2:] {
			if k := slices.Index([]string{"before", "after"}, word); k >= 0 {
				at = k
				images[at] = make([]batchtest.Value, len(table.Columns))
				continue
			}
			name, v, _ := strings.Cut(word, "=")
			i := table.Column(name)
			if i < 0 {
				t.Fatalf("no column of %s", word)
			}
			images[at][i] = typed(t, &table.Columns[i], v)
		}
		op := map[string]event.Op{"insert": event.Insert, "update": event.Update, "delete": event.Delete, "truncate": event.Truncate}[words[0]]
		w.Change(op, table, images[0], images[1])
	}
	return w.End().Batch()
}

// typed makes a value of its text.
func typed(t *testing.T, col *schemas.Column, s string) batchtest.Value {
	t.Helper()
	switch {
	case s == "NULL":
		return batchtest.Null()
	case col.Type.IsInteger():
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if col.Unsigned {
			return batchtest.Uint(n)
		}
		return batchtest.Int(int64(n))
	case col.Type == schemas.Decimal:
		return batchtest.Decimal(s)
	case col.Type == schemas.JSON:
		return batchtest.JSON(s)
	case col.Type == schemas.DateTime, col.Type == schemas.Date:
		v, ok := parseDate(s)
		if !ok {
			t.Fatal(s)
		}
		return batchtest.DateTime(v.civil())
	}
	return batchtest.Text(s)
}

// result writes changes as the page shows them.
func result(b *event.Batch) string {
	var s strings.Builder
	for i := range b.Changes {
		c := &b.Changes[i]
		t := b.Tables[c.Table]
		fmt.Fprintf(&s, "%s %s", c.Op, t.FullName())
		if t.Topic != "" {
			fmt.Fprintf(&s, " (topic %s)", t.Topic)
		}
		for k, r := range []event.Row{b.Before(i), b.After(i)} {
			if r.IsZero() {
				continue
			}
			s.WriteString([]string{" before", " after"}[k])
			for j, cell := range r.Cells {
				switch cell.Kind() {
				case event.Absent:
				case event.Null:
					fmt.Fprintf(&s, " %s=NULL", t.Columns[j].Name)
				default:
					v := string(celltext.Text(nil, cell, r, &t.Columns[j]))
					fmt.Fprintf(&s, " %s=%s", t.Columns[j].Name, strings.ReplaceAll(v, " ", "T")) // no value of the page has a space but dates
				}
			}
		}
		s.WriteString("\n")
	}
	return s.String()
}
