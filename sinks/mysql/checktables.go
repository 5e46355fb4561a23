package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/schemas/charset"
	"cdc/session"
	"cdc/sinks/mysql/ddl"
	"cdc/sinks/mysql/statement"
	"cdc/sinks/mysql/target"
)

// names judges lower_case_table_names, which decides whether two names are one table.
func (c *checker) names(context.Context) error {
	const check = "lower_case_table_names"
	own, known := c.opt.SourceVariables[check]
	to := c.server.LowerCaseTableNames
	if known && own == fmt.Sprint(to) {
		c.Pass(check, "%s at both", own)
		return nil
	}
	seen := map[string]string{}
	for _, t := range c.tables {
		folded := c.server.Fold(t.FullName())
		if other, ok := seen[folded]; ok && other != t.FullName() {
			c.Fail(fault.TargetRefused, check, "give one of them another name by a route transform", "%s and %s are one table at the target, where it is %d", other, t.FullName(), to)
			return nil
		}
		seen[folded] = t.FullName()
	}
	if known {
		c.Hint(check, "give names that differ in case alone another one by a route transform; the variable is fixed when a server is made",
			"%s at the source and %d at the target: names are compared in other ways", own, to)
	}
	return nil
}

// events looks for scheduled events that would change what is applied.
func (c *checker) events(ctx context.Context) error {
	if !c.server.EventScheduler {
		c.Pass("events", "the target's event_scheduler is not ON")
		return nil
	}
	databases := c.databases()
	rows, err := c.s.Query(ctx, "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' ORDER BY EVENT_SCHEMA, EVENT_NAME")
	if err != nil {
		return err
	}
	disable := "DISABLE ON SLAVE"
	if c.server.Flavor == gtid.MySQL && c.server.Version >= 80200 {
		disable = "DISABLE ON REPLICA"
	}
	var names, cures []string
	for _, r := range rows {
		if slices.ContainsFunc(databases, func(db string) bool { return c.server.Fold(db) == c.server.Fold(string(r[0])) }) {
			name := sqltext.Name(string(r[0])) + "." + sqltext.Name(string(r[1]))
			names = append(names, name)
			cures = append(cures, "ALTER EVENT "+name+" "+disable+";")
		}
	}
	if len(names) > 0 {
		c.Warn("events", strings.Join(cures, " "), "the target runs events of its own on databases that are applied to: %s", strings.Join(names, ", "))
	} else {
		c.Pass("events", "none that the account can see runs on databases that are applied to")
	}
	return nil
}

// mostTables is how many tables are named for one kind of finding.
const mostTables = 8

// known compares the tables with those of the target.
func (c *checker) known(ctx context.Context) error {
	if len(c.tables) == 0 {
		return nil
	}
	there := map[string]bool{}
	rows, err := c.s.Query(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return err
	}
	for _, r := range rows {
		there[c.server.Fold(string(r[0]))] = true
	}
	catalog := target.New(c.server)
	before, fitting := len(c.Findings), 0
	var making []string
	kinds := map[string]int{}
	// add counts a finding of a kind, and drops it where there are enough.
	add := func(kind string, f fault.Finding) {
		if kinds[kind]++; kinds[kind] <= mostTables {
			c.Findings = append(c.Findings, f)
		}
	}
	for _, t := range c.tables {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		check := "table " + t.FullName()
		p, err := catalog.Plan(ctx, c.s.Query, t)
		if err != nil {
			f, ok := fault.As(err)
			if !ok || f.Class() == fault.Retry {
				return err
			}
			if c.opt.Makes && c.opt.DDL == ddlApply && f.Code == fault.TargetTableMissing && !strings.Contains(f.Text, "view") {
				making = append(making, t.FullName())
				continue
			}
			found := fault.Finding{Level: fault.Fail, Check: check, What: f.Text, Cure: f.Next, Code: f.Code}
			switch f.Code {
			case fault.TargetTableMissing:
				if strings.Contains(f.Text, "view") {
					break
				}
				found.Cure = c.create(t)
				if !there[c.server.Fold(t.Database)] {
					found.Cure = "CREATE DATABASE " + sqltext.Name(t.Database) + "; " + found.Cure
				}
			case fault.TargetColumn:
				if cure, err := c.addColumns(ctx, catalog, t); err != nil {
					return err
				} else if cure != "" {
					found.Cure = cure
				}
			}
			if c.opt.Behind && c.opt.DDL == ddlApply && (f.Code == fault.TargetTableMissing || f.Code == fault.TargetColumn) {
				found.Level, found.Code = fault.Warn, 0
				found.What += " (a statement that the stream has not reached yet may change that)"
			}
			add(f.Code.String(), found)
			continue
		}
		fitting++
		for _, w := range p.Warnings {
			add("warnings", w)
		}
		if len(t.PrimaryKey) == 0 && statement.KeyOf(t) == nil {
			add("keys", fault.Finding{
				Level: fault.Warn, Check: check, Cure: fmt.Sprintf("ALTER TABLE %s.%s ADD PRIMARY KEY (...); at the source", sqltext.Name(t.Database), sqltext.Name(t.Name)),
				What: "no key tells its rows apart: each update and delete looks for the whole row, and changes of the table are applied one after the other",
			})
		}
		c.triggers(check, t, p.Triggers, add)
	}
	left := 0
	for _, n := range kinds {
		left += max(0, n-mostTables)
	}
	if left > 0 {
		c.Warn("target tables", "as above", "%d findings more of the same kinds", left)
	}
	if len(making) > 0 {
		more := ""
		if n := len(making) - mostTables; n > 0 {
			making, more = making[:mostTables], fmt.Sprintf(" and %d more", n)
		}
		c.Pass("target tables", "made by the snapshot: %s%s", strings.Join(making, ", "), more)
	}
	if len(c.Findings) == before || fitting > 0 {
		c.Pass("target tables", "%d of %d are there with the columns that they need", fitting, len(c.tables))
	}
	return nil
}

// triggers judges those of a table.
func (c *checker) triggers(check string, t *schemas.Table, triggers []string, add func(string, fault.Finding)) {
	if len(triggers) == 0 {
		return
	}
	if c.opt.Triggers == triggersAccept {
		add("triggers", fault.Finding{
			Level: fault.Hint, Check: check, Cure: "none, if they do something else than the source's triggers do",
			What: "it has triggers, which run for each change that is applied (triggers: accept): " + strings.Join(triggers, ", "),
		})
		return
	}
	var drops []string
	for _, trigger := range triggers { // "name (BEFORE INSERT)"
		drops = append(drops, "DROP TRIGGER "+sqltext.Name(t.Database)+"."+sqltext.Name(trigger[:strings.LastIndex(trigger, " (")])+";")
	}
	add("triggers", fault.Finding{
		Level: fault.Fail, Check: check, Code: fault.TargetTrigger, Cure: strings.Join(drops, " ") + " Or set triggers: accept, where they do something else than the source's triggers do",
		What: "it has triggers, which would carry out again what the source's triggers did: " + strings.Join(triggers, ", "),
	})
}

// define writes a column as CREATE TABLE and ALTER TABLE take it. Collations have names of their own in each family of servers.
func (c *checker) define(col *schemas.Column) string {
	var b strings.Builder
	b.WriteString(sqltext.Name(col.Name) + " " + col.ColumnType())
	if col.Type.IsText() && col.Charset != "" {
		b.WriteString(" CHARACTER SET " + charset.ServerName(c.server.Flavor, c.server.Version, col.Charset))
		if col.Collation != "" && ddl.Knows(c.server, col.Collation) {
			b.WriteString(" COLLATE " + charset.ServerName(c.server.Flavor, c.server.Version, col.Collation))
		}
	}
	if col.Nullable {
		b.WriteString(" NULL")
	} else {
		b.WriteString(" NOT NULL")
	}
	return b.String()
}

// create writes a statement that makes a table that changes can be applied to: its columns and its keys, as far as the source's stream tells them.
func (c *checker) create(t *schemas.Table) string {
	var parts []string
	for i := range t.Columns {
		if !t.Columns[i].Hidden {
			parts = append(parts, c.define(&t.Columns[i]))
		}
	}
	list := func(columns []int) string {
		names := make([]string, len(columns))
		for i, at := range columns {
			names[i] = sqltext.Name(t.Columns[at].Name)
		}
		return strings.Join(names, ", ")
	}
	if len(t.PrimaryKey) > 0 {
		parts = append(parts, "PRIMARY KEY ("+list(t.PrimaryKey)+")")
	} else if key := statement.KeyOf(t); key != nil {
		parts = append(parts, "UNIQUE KEY ("+list(key)+")")
	}
	return "CREATE TABLE " + sqltext.Name(t.Database) + "." + sqltext.Name(t.Name) + " (" + strings.Join(parts, ", ") + ");"
}

// addColumns writes the statement that adds the columns that the target's table lacks; "" where it lacks none.
func (c *checker) addColumns(ctx context.Context, catalog *target.Catalog, t *schemas.Table) (string, error) {
	at, err := catalog.Table(ctx, c.s.Query, schemas.Name{Database: t.Database, Table: t.Name})
	if err != nil || at == nil {
		return "", err
	}
	var parts []string
	for i := range t.Columns {
		col := &t.Columns[i]
		if !col.Hidden && !slices.ContainsFunc(at.Columns, func(to target.Column) bool { return strings.EqualFold(to.Name, col.Name) }) {
			parts = append(parts, "ADD COLUMN "+c.define(col))
		}
	}
	if parts == nil {
		return "", nil
	}
	return "ALTER TABLE " + sqltext.Name(t.Database) + "." + sqltext.Name(t.Name) + " " + strings.Join(parts, ", ") + ";", nil
}

// cascades looks for foreign keys by which the target itself would change rows that the source leaves alone.
func (c *checker) cascades(ctx context.Context) error {
	if c.opt.Cascades == nil || len(c.tables) == 0 {
		return nil
	}
	rows, err := c.s.Query(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME, UPDATE_RULE, DELETE_RULE, UNIQUE_CONSTRAINT_SCHEMA "+
		"FROM information_schema.REFERENTIAL_CONSTRAINTS ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME")
	if session.Number(err) == session.ErSpecificAccessDenied {
		return nil // what cannot be seen is not judged
	}
	if err != nil {
		return err
	}
	applied := map[string]bool{}
	for _, t := range c.tables {
		applied[c.server.Fold(t.FullName())] = true
	}
	found, acting := 0, len(c.opt.Cascades) > 0
	for _, r := range rows {
		parent := c.server.Fold(string(r[6]) + "." + string(r[3]))
		child := string(r[1])
		acts := func(rule []byte) bool { return string(rule) == "CASCADE" || strings.HasPrefix(string(rule), "SET ") }
		if !applied[parent] || !acts(r[4]) && !acts(r[5]) {
			continue
		}
		acting = true
		// A route may have changed the database, and seldom the table.
		if slices.ContainsFunc(c.opt.Cascades, func(n schemas.Name) bool { return c.server.Fold(n.Table) == c.server.Fold(child) }) {
			continue
		}
		var rules []string
		if acts(r[4]) {
			rules = append(rules, "ON UPDATE "+string(r[4]))
		}
		if acts(r[5]) {
			rules = append(rules, "ON DELETE "+string(r[5]))
		}
		if found++; found > mostTables {
			continue
		}
		name := string(r[0]) + "." + child
		c.Warn("target foreign keys", fmt.Sprintf("ALTER TABLE %s.%s DROP FOREIGN KEY %s;", sqltext.Name(string(r[0])), sqltext.Name(child), sqltext.Name(string(r[2]))),
			"the target changes rows of %s by itself along with %s (%s, %s), and the source does not", name, string(r[6])+"."+string(r[3]), r[2], strings.Join(rules, ", "))
	}
	if found > mostTables {
		c.Warn("target foreign keys", "as above", "%d more", found-mostTables)
	}
	if found == 0 {
		c.Pass("target foreign keys", "none changes rows that the source leaves alone")
	}
	if !acting {
		return nil
	}
	return c.native()
}

// native finds foreign keys that MySQL 9.6 and later handle above the storage engine, at the target of a source that does not log what its own do: the stream
// would stop at the first change that they are for. See target.Cascade.
func (c *checker) native() error {
	const name = "innodb_native_foreign_keys"
	if len(c.opt.SourceVariables) == 0 || c.opt.SourceVariables[name] == "OFF" || !c.server.SQLForeignKeys {
		return nil
	}
	c.Fail(fault.TargetCascade, "target foreign keys", name+"=ON in the target's option file, and a restart",
		"the source does not log rows that its foreign keys change, so the target's have to change the same ones, and with %s=OFF they were seen to leave some of them as they were", name)
	return nil
}
