package target

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/writeset"
)

// fake answers as a server would that has these rows. A row is its values with "|" between them; "-" is NULL.
type fake struct {
	t       *testing.T
	tables  map[string][]string // by table: TABLES, then COLUMNS as "name|default|nullable|type|charset|collation|extra|expression", "", STATISTICS
	columns []string            // of KEY_COLUMN_USAGE
	rules   []string            // of REFERENTIAL_CONSTRAINTS
	asked   []string
	fail    string // a statement with this in it is an error
}

func split(row string) (out [][]byte) {
	for _, v := range strings.Split(row, "|") {
		if v == "-" {
			out = append(out, nil)
		} else {
			out = append(out, []byte(v))
		}
	}
	return out
}

func (f *fake) query(_ context.Context, text string) (rows [][][]byte, err error) {
	f.asked = append(f.asked, text)
	if f.fail != "" && strings.Contains(text, f.fail) {
		return nil, errors.New("the server said no")
	}
	for name, lines := range f.tables {
		if !strings.Contains(text, "0x"+hex.EncodeToString([]byte(name))) || strings.Contains(text, "KEY_COLUMN_USAGE") || strings.Contains(text, "REFERENTIAL") {
			continue
		}
		part := 0
		for i, line := range lines {
			switch {
			case i == 0:
				if strings.Contains(text, "information_schema.TABLES") {
					return [][][]byte{split("d|" + name + "|" + line)}, nil
				}
			case line == "":
				part = 1
			case part == 0 && strings.Contains(text, "information_schema.COLUMNS"), part == 1 && strings.Contains(text, "information_schema.STATISTICS"):
				rows = append(rows, split("d|"+name+"|"+line))
			}
		}
		return rows, nil
	}
	child := func(row string) bool {
		if strings.Contains(text, "NOT IN") {
			return true
		}
		return strings.Contains(text, "0x"+hex.EncodeToString([]byte(strings.Split(row, "|")[1])))
	}
	list := f.rules
	if strings.Contains(text, "KEY_COLUMN_USAGE") {
		list = f.columns
	} else if !strings.Contains(text, "REFERENTIAL") {
		return nil, nil
	}
	for _, row := range list {
		if child(row) {
			rows = append(rows, split(row))
		}
	}
	return rows, nil
}

func newFake(t *testing.T) *fake {
	return &fake{
		t: t, tables: map[string][]string{
			"parent": {"BASE TABLE|utf8mb4_bin|InnoDB", "id|-|NO|int|-|-||", "code|-|NO|varchar(9)|utf8mb4|utf8mb4_0900_ai_ci||", "", "PRIMARY|0|id|-|BTREE|YES", "code|0|code|3|BTREE|YES"},
			"child": {
				"BASE TABLE|utf8mb4_bin|InnoDB", "id|-|NO|int|-|-|auto_increment|", "pid|-|YES|int|-|-||", "odd|-|YES|frobnicator|-|-||", "at|CURRENT_TIMESTAMP|NO|timestamp|-|-|DEFAULT_GENERATED on update CURRENT_TIMESTAMP|",
				"", "PRIMARY|0|id|-|BTREE|YES", "a|1|pid|-|BTREE|YES", "ä|0|pid|-|BTREE|NO", "a|1|id|-|BTREE|YES",
			},
		},
		columns: []string{"d|child|fk|pid|d|parent|id"},
		rules:   []string{"d|child|fk|NO ACTION|CASCADE"},
	}
}

func version(name string, columns ...schemas.Column) *schemas.Table {
	return &schemas.Table{Database: "d", Name: name, PrimaryKey: []int{0}, Columns: columns, Unique: []schemas.Key{{Name: "PRIMARY", Parts: []schemas.KeyPart{{Column: 0}}}}}
}

var (
	parentVersion = version("parent", schemas.Column{Name: "id", Type: schemas.Int}, schemas.Column{Name: "code", Type: schemas.VarChar, Length: 9, Charset: "utf8mb4"})
	childVersion  = version("child", schemas.Column{Name: "id", Type: schemas.Int}, schemas.Column{Name: "pid", Type: schemas.Int, Nullable: true})
)

func TestPlan(t *testing.T) {
	f := newFake(t)
	c := New(&Server{Flavor: gtid.MySQL, Version: 90700})
	plan := func(v *schemas.Table) *Plan {
		t.Helper()
		p, err := c.Plan(t.Context(), f.query, v)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got, want := describe(c, plan(parentVersion)), "unique parent.PRIMARY id:bytes\nunique parent.code code:folded(3)\ncascade child\n"; got != want {
		t.Errorf("%s, wanted %s", got, want)
	}
	p := plan(childVersion)
	if got, want := describe(c, p), "unique child.PRIMARY id:bytes\nunique child.ä pid:bytes\nparent parent.PRIMARY pid:bytes\n"; got != want {
		t.Errorf("%s, wanted %s", got, want)
	}
	if at := p.Target; len(at.Keys) != 3 || at.Keys[1].Name != "a" || len(at.Keys[1].Parts) != 2 || at.Keys[2].Search || at.Columns[2].Type != schemas.TypeUnknown || !at.Columns[3].OnUpdate || !at.Columns[3].Filled {
		t.Errorf("%+v", at)
	}
	// All is known; then only what DDL has touched is asked for.
	f.asked = nil
	if plan(childVersion) != p || len(f.asked) != 0 {
		t.Errorf("asked again: %q", f.asked)
	}
	f.rules[0] = "d|child|fk|NO ACTION|NO ACTION"
	c.Forget(schemas.Name{Database: "d", Table: "child"})
	if got := describe(c, plan(parentVersion)); strings.Contains(got, "cascade") {
		t.Errorf("the foreign key is the old one: %s", got)
	}
	for _, q := range f.asked {
		if strings.Contains(q, "0x"+hex.EncodeToString([]byte("parent"))) {
			t.Errorf("asked for a table that was not touched: %s", q)
		}
	}
	// A rule that is not shown acts.
	f.rules = nil
	c.Forget()
	if got := describe(c, plan(parentVersion)); !strings.Contains(got, "cascade child") {
		t.Errorf("a foreign key without a rule: %s", got)
	}
	// Nothing half read stays.
	for _, part := range []string{"KEY_COLUMN_USAGE", "REFERENTIAL", "TABLES", "COLUMNS", "STATISTICS", "TRIGGERS"} {
		c.Forget()
		f.fail = part
		if _, err := c.Plan(t.Context(), f.query, childVersion); err == nil {
			t.Errorf("no error where %s cannot be read", part)
		}
		f.fail = ""
		if got := describe(c, plan(childVersion)); !strings.Contains(got, "parent parent.PRIMARY") {
			t.Errorf("behind an error of %s: %s", part, got)
		}
	}
}

func TestPlanFolds(t *testing.T) {
	f := newFake(t)
	f.columns[0] = "d|child|fk|pid|D|PARENT|id"
	c := New(&Server{Flavor: gtid.MySQL, Version: 90700, LowerCaseTableNames: 2})
	v := *childVersion
	v.Database, v.Name = "D", "Child"
	p, err := c.Plan(t.Context(), f.query, &v)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(c, p), "unique child.PRIMARY id:bytes\nunique child.ä pid:bytes\nparent parent.PRIMARY pid:bytes\n"; got != want {
		t.Errorf("%s, wanted %s", got, want)
	}
	// Where case counts, a table of another case is not there.
	c = New(&Server{Flavor: gtid.MySQL, Version: 90700})
	v.Database = "d"
	f.tables["Child"] = nil
	if _, err := c.Plan(t.Context(), f.query, &v); !errors.Is(err, fault.New(fault.TargetTableMissing, "")) {
		t.Errorf("%v", err)
	}
}

func TestFaithful(t *testing.T) {
	col := func(typ schemas.Type, change ...func(*schemas.Column)) *schemas.Column {
		c := &schemas.Column{Type: typ}
		for _, f := range change {
			f(c)
		}
		return c
	}
	fsp := func(n uint8) func(*schemas.Column) { return func(c *schemas.Column) { c.Fsp = n } }
	scale := func(n uint8) func(*schemas.Column) {
		return func(c *schemas.Column) { c.Precision, c.Scale = 10, n }
	}
	length := func(n uint32) func(*schemas.Column) { return func(c *schemas.Column) { c.Length = n } }
	members := func(m ...string) func(*schemas.Column) { return func(c *schemas.Column) { c.Members = m } }
	in := func(cs string) func(*schemas.Column) { return func(c *schemas.Column) { c.Charset = cs } }
	for _, c := range []struct {
		own, to  *schemas.Column
		faithful bool
		loses    bool
	}{
		{col(schemas.Int), col(schemas.BigInt), true, false},
		{col(schemas.BigInt), col(schemas.TinyInt), true, false}, // or an error
		{col(schemas.BigInt), col(schemas.Double), false, true},
		{col(schemas.Int), col(schemas.VarChar), false, false},
		{col(schemas.Double), col(schemas.Int), false, true},
		{col(schemas.Double), col(schemas.Double), true, false},
		{col(schemas.Double), col(schemas.Double, scale(2)), false, true},
		{col(schemas.Double), col(schemas.Float), false, true},
		{col(schemas.Decimal, scale(2)), col(schemas.Decimal, scale(2)), true, false},
		{col(schemas.Decimal, scale(2)), col(schemas.Decimal, scale(1)), false, true},
		{col(schemas.Decimal, scale(0)), col(schemas.Int), false, false},
		{col(schemas.DateTime), col(schemas.DateTime, fsp(3)), true, false},
		{col(schemas.DateTime, fsp(3)), col(schemas.DateTime), false, true},
		{col(schemas.Timestamp), col(schemas.DateTime), false, false},
		{col(schemas.DateTime), col(schemas.Date), false, true},
		{col(schemas.Date), col(schemas.DateTime), false, false},
		{col(schemas.Year), col(schemas.Year), true, false},
		{col(schemas.Enum, members("a")), col(schemas.Enum, members("a")), true, false},
		{col(schemas.Enum, members("a", "b")), col(schemas.Enum, members("b", "a")), false, false},
		{col(schemas.VarChar), col(schemas.Text), true, false},
		{col(schemas.VarChar), col(schemas.VarBinary), true, false},
		{col(schemas.VarBinary, length(4)), col(schemas.Binary, length(4)), false, false},
		{col(schemas.Binary, length(4)), col(schemas.Binary, length(4)), true, false},
		{col(schemas.Binary, length(4)), col(schemas.Binary, length(8)), false, false},
		{col(schemas.VarChar, in("utf8mb4")), col(schemas.VarChar, in("sjis")), false, false},
		{col(schemas.VarChar, in("sjis")), col(schemas.VarChar, in("utf8mb4")), true, false},
		{col(schemas.UUID), col(schemas.UUID), true, false},
		{col(schemas.UUID), col(schemas.Char), false, false},
		{col(schemas.JSON), col(schemas.JSON), false, false},
		{col(schemas.Geometry), col(schemas.Geometry), false, false},
	} {
		if got := faithful(c.own, c.to); got != c.faithful {
			t.Errorf("%s in %s: faithful is %v", c.own.ColumnType(), c.to.ColumnType(), got)
		}
		if got := loses(c.own, c.to); got != c.loses {
			t.Errorf("%s in %s: loses is %v", c.own.ColumnType(), c.to.ColumnType(), got)
		}
	}
	if class(col(schemas.TypeUnknown)) != writeset.Unknown || class(col(schemas.Enum)) != writeset.Bytes {
		t.Error("the class of a type")
	}
}

func TestAskRefuses(t *testing.T) {
	answer := func(rows ...string) Query {
		return func(_ context.Context, text string) ([][][]byte, error) {
			if strings.HasPrefix(text, "SELECT VERSION") {
				return [][][]byte{split("8.0.36")}, nil
			}
			var out [][][]byte
			for _, r := range rows {
				out = append(out, split(r))
			}
			return out, nil
		}
	}
	for _, row := range []string{"server_id|x", "max_allowed_packet|-1", "server_uuid|zz", "only"} {
		if _, err := Ask(t.Context(), answer(row)); !errors.Is(err, fault.New(fault.TargetProtocol, "")) {
			t.Errorf("%s: %v", row, err)
		}
	}
	// A connection that is lost in a trial is no refusal.
	tried := false
	_, err := Ask(t.Context(), func(_ context.Context, text string) ([][][]byte, error) {
		switch {
		case strings.HasPrefix(text, "SELECT VERSION"):
			return [][][]byte{split("8.0.36")}, nil
		case strings.HasPrefix(text, "SHOW"):
			return nil, nil
		case strings.HasPrefix(text, "SELECT @@GLOBAL"):
			return [][][]byte{split("")}, nil
		}
		tried = true
		return nil, errors.New("gone")
	})
	if err == nil || !tried {
		t.Errorf("%v", err)
	}
}
