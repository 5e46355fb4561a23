package ddl

import (
	"fmt"
	"strings"

	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// server gives kind and version of the target.
func (t *translation) server() (gtid.Flavor, uint32) {
	if t.o.Server == nil {
		return t.src.Flavor, t.src.Version
	}
	return t.o.Server.Flavor, t.o.Server.Version
}

// session says how the target's session is prepared, and put back.
func (t *translation) session() error {
	flavor, version := t.server()
	st := &t.src.Statement
	modes, err := t.modes()
	if err != nil {
		return err
	}
	set := []string{"foreign_key_checks = 0"}
	back := []string{"foreign_key_checks = DEFAULT"}
	add := func(variable, value string) {
		set = append(set, variable+" = "+value)
		back = append(back, variable+" = DEFAULT")
	}
	client := "utf8mb4"
	if c, ok := charset.CollationByID(st.Flavor, st.ClientCollation); ok && c.Charset == "utf8mb3" {
		client = charset.ServerName(flavor, version, c.Charset)
	}
	set = append(set, "character_set_client = "+literal(client))
	if c, ok := t.collation(st.ConnectionCollation); ok {
		set = append(set, "collation_connection = "+literal(c))
	} else if c, ok := charset.CollationByID(st.Flavor, st.ConnectionCollation); ok {
		set = append(set, "character_set_connection = "+literal(charset.ServerName(flavor, version, c.Charset)))
	}
	if t.out.Kind == schemas.CreateDatabase || t.out.Kind == schemas.AlterDatabase {
		if c, ok := t.collation(st.ServerCollation); ok {
			add("collation_server", literal(c))
		} else if c, ok := charset.CollationByID(st.Flavor, st.ServerCollation); ok {
			t.plan.Notes = append(t.plan.Notes, "the target does not know the collation "+c.Name+": the database gets the default of the target where the statement names none")
		}
	}
	if v, value := t.defaultCollation(); v != "" {
		add(v, value)
	}
	if st.TimeZone != "" {
		set = append(set, "time_zone = "+literal(st.TimeZone))
	}
	if st.Time > 0 {
		add("timestamp", fmt.Sprintf("%d.%06d", st.Time/1e6, st.Time%1e6))
	}
	if t.out.Timestamps {
		t.explicitTimestamp(add)
	}
	if s := t.o.Server; s != nil && s.RequirePrimaryKey {
		add("sql_require_primary_key", "0")
	}
	if s := t.o.Server; s != nil && s.InvisibleKey {
		add("sql_generate_invisible_primary_key", "0")
	}
	// The mode comes last, since it says how what follows is read.
	t.plan.Before = append(t.plan.Before, "SET SESSION "+strings.Join(set, ", "), "SET SESSION sql_mode = "+literal(modes))
	t.plan.After = append(statement.Session(), "SET SESSION "+strings.Join(back, ", "))
	return nil
}

// literal writes a name or mode, in which there is nothing to escape; anything else would be an error at the target.
func literal(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}

// collation gives the target's spelling of a collation of the source.
func (t *translation) collation(id uint16) (string, bool) {
	flavor, version := t.server()
	c, ok := charset.CollationByID(t.src.Flavor, id)
	if !ok {
		return "", false
	}
	if !knows(flavor, version, c.Name) {
		return "", false
	}
	return charset.ServerName(flavor, version, c.Name), true
}

// Knows reports whether a target has a collation of MySQL or MariaDB.
func Knows(s *target.Server, collation string) bool { return knows(s.Flavor, s.Version, collation) }

// knows reports whether a server has a collation. MariaDB takes MySQL's names of version 9.0 of the algorithm since 11.4.5.
func knows(flavor gtid.Flavor, version uint32, name string) bool {
	if _, ok := charset.CollationByName(flavor, name); !ok {
		return false
	}
	since := uint32(0)
	switch {
	case strings.Contains(name, "_0900_") && flavor == gtid.MySQL:
		since = 80001
	case strings.Contains(name, "_0900_"):
		since = 110405
	case strings.Contains(name, "_uca1400_"):
		since = 101001
	}
	return version >= since
}

// defaultCollation gives the variable that says which collation CHARACTER SET utf8mb4 alone means, and its value; empty where the target has none, or not
// the collation.
func (t *translation) defaultCollation() (variable, value string) {
	flavor, version := t.server()
	st := &t.src.Statement
	own, ok := charset.DefaultCollation(st.Flavor, st.Version, "utf8mb4")
	if c, said := charset.CollationByID(st.Flavor, st.DefaultUTF8MB4); said && st.DefaultUTF8MB4 != 0 {
		own = c.Name
	}
	if !ok {
		return "", ""
	}
	switch {
	case flavor == gtid.MySQL && version >= 80011 && (own == "utf8mb4_general_ci" || own == "utf8mb4_0900_ai_ci"):
		return "default_collation_for_utf8mb4", literal(own)
	case flavor == gtid.MariaDB && version >= 110201:
		var pairs []string
		if st.Flavor == gtid.MariaDB {
			for _, p := range st.CharsetCollations {
				a, okA := charset.CollationByID(st.Flavor, p[0])
				b, okB := charset.CollationByID(st.Flavor, p[1])
				if okA && okB {
					pairs = append(pairs, a.Charset+"="+b.Name)
				}
			}
			if st.Version < 110201 { // which knows no such pairs
				pairs = append(pairs, "utf8mb4="+own)
			}
		} else if knows(flavor, version, own) {
			pairs = append(pairs, "utf8mb4="+own)
		}
		return "character_set_collations", literal(strings.Join(pairs, ","))
	}
	if theirs, _ := charset.DefaultCollation(flavor, version, "utf8mb4"); theirs != own && strings.Contains(strings.ToLower(t.out.Text), "utf8mb4") {
		t.plan.Notes = append(t.plan.Notes, "CHARACTER SET utf8mb4 without COLLATE is "+own+" at the source and "+theirs+" at the target")
	}
	return "", ""
}

// explicitTimestamp sets explicit_defaults_for_timestamp where the target has another.
func (t *translation) explicitTimestamp(add func(variable, value string)) {
	flavor, version := t.server()
	st := &t.src.Statement
	want := st.ExplicitTimestamp
	if want == 0 {
		want = t.o.ExplicitTimestamp
	}
	if want == 0 {
		want = defaultExplicit(st.Flavor, st.Version)
	}
	have := defaultExplicit(flavor, version)
	if t.o.Server != nil {
		have = 1
		if t.o.Server.ExplicitTimestamp {
			have = 2
		}
	}
	if want != have {
		add("explicit_defaults_for_timestamp", fmt.Sprint(want-1))
	}
}

func defaultExplicit(flavor gtid.Flavor, version uint32) uint8 {
	if flavor == gtid.MariaDB && version < 101000 || flavor == gtid.MySQL && version < 80002 {
		return 1
	}
	return 2
}
