package traffic

import (
	"fmt"
	"math/rand/v2"
)

// Alterer gives DDL statements, which fit the tables as its own have left them: there is one at a time.
type Alterer struct {
	o     *Options
	list  []*table
	r     *rand.Rand
	extra map[*table]int // columns that were added
	index map[*table]bool
	made  []string // tables of its own
	count int
}

// NewAlterer makes one.
func NewAlterer(o *Options) *Alterer {
	a := &Alterer{o: o, r: rand.New(rand.NewPCG(o.Seed, 1<<21)), extra: map[*table]int{}, index: map[*table]bool{}}
	for _, t := range tables(o) {
		if !t.still {
			a.list = append(a.list, t)
		}
	}
	return a
}

// Next gives the statements of the next change of a table. One that fails is passed over, with those behind it.
func (a *Alterer) Next() []string {
	a.count++
	t := a.list[a.r.IntN(len(a.list))]
	full := t.full(a.o)
	switch a.r.IntN(11) {
	case 0, 1, 2: // a column comes, or goes
		if n := a.extra[t]; n > 0 && a.r.IntN(2) == 0 {
			a.extra[t] = n - 1
			return []string{fmt.Sprintf("ALTER TABLE %s DROP COLUMN `x%d`%s", full, n, t.rebuilt())}
		}
		a.extra[t]++
		def := pick("INT NOT NULL DEFAULT 7", "VARCHAR(20) DEFAULT 'new'", "DATETIME(3) DEFAULT NULL", "JSON", "DECIMAL(8,3) DEFAULT 1.5", "TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP")(a.r)
		place := pick("", " FIRST", " AFTER `"+t.columns[a.r.IntN(len(t.columns))].name+"`")(a.r)
		return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN `x%d` %s%s%s", full, a.extra[t], def, place, t.rebuilt())}
	case 3:
		if a.index[t] {
			delete(a.index, t)
			return []string{fmt.Sprintf("DROP INDEX `xi` ON %s", full)}
		}
		c := t.columns[t.key[0]].name
		if len(t.more) > 0 && t.name == "k_prefix" {
			return []string{fmt.Sprintf("ALTER TABLE %s COMMENT = '%d'", full, a.count)}
		}
		a.index[t] = true
		return []string{fmt.Sprintf("CREATE INDEX `xi` ON %s (`%s`)", full, c)}
	case 4:
		return []string{fmt.Sprintf("ALTER TABLE %s COMMENT = 'change %d'", full, a.count)}
	case 5:
		return []string{"TRUNCATE TABLE " + full}
	case 6, 7: // a table comes, is written to and goes
		if n := len(a.made); n > 2 {
			name := a.made[0]
			a.made = a.made[1:]
			return []string{"DROP TABLE " + name}
		}
		name := fmt.Sprintf("`%s`.`made_%d`", a.o.database(a.r.IntN(2)), a.count)
		a.made = append(a.made, name)
		if a.r.IntN(3) == 0 {
			return []string{fmt.Sprintf("CREATE TABLE %s LIKE %s", name, full)}
		}
		return []string{
			fmt.Sprintf("CREATE TABLE %s (`id` INT NOT NULL PRIMARY KEY, `v` VARCHAR(30), UNIQUE KEY (`v`)) DEFAULT CHARSET=utf8mb4", name),
			fmt.Sprintf("INSERT INTO %s VALUES (1, 'one'), (2, 'two')", name), fmt.Sprintf("ALTER TABLE %s ADD COLUMN `y` INT DEFAULT 4, DROP INDEX `v`", name),
			fmt.Sprintf("INSERT INTO %s VALUES (3, 'one', 5)", name),
		}
	case 8: // as gh-ost and pt-online-schema-change end: what was written meanwhile goes with the old one
		n := a.extra[t]
		shadow, old := fmt.Sprintf("`%s`.`_%s_gho`", a.o.database(t.db), t.name), fmt.Sprintf("`%s`.`_%s_del`", a.o.database(t.db), t.name)
		a.extra[t] = n + 1
		return []string{
			fmt.Sprintf("CREATE TABLE %s LIKE %s", shadow, full), fmt.Sprintf("ALTER TABLE %s ADD COLUMN `x%d` INT DEFAULT 11%s", shadow, n+1, t.rebuilt()),
			fmt.Sprintf("RENAME TABLE %s TO %s, %s TO %s", full, old, shadow, full), "DROP TABLE " + old,
		}
	case 9:
		c := &t.columns[len(t.columns)-1]
		if c.def == "VARCHAR(20)" {
			c.def = "VARCHAR(60)"
			return []string{fmt.Sprintf("ALTER TABLE %s MODIFY `%s` %s", full, c.name, c.def)}
		}
		return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN `x%d` BIGINT DEFAULT 3, ADD INDEX `t%d` (`x%d`)", full, a.add(t), a.count, a.extra[t])}
	}
	view := fmt.Sprintf("`%s`.`v_%s`", a.o.database(t.db), t.name)
	return []string{fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT `%s` FROM %s", view, t.columns[0].name, full), "DROP VIEW " + view}
}

func (a *Alterer) add(t *table) int {
	a.extra[t]++
	return a.extra[t]
}

// rebuilt keeps MySQL from adding or dropping a column of k_prefix in an instant. MySQL 9.7 cuts a row of such a table to the prefix of its primary key when
// an update of that column is rolled back, which no binlog tells:
//
//	CREATE TABLE k (t TEXT, n INT, PRIMARY KEY (t(3)));
//	ALTER TABLE k ADD COLUMN x INT;
//	INSERT INTO k VALUES ('Wonder', 7, 1);
//	BEGIN; UPDATE k SET t = 'wonDER'; ROLLBACK;
//	SELECT t FROM k; -- Won
func (t *table) rebuilt() string {
	if t.name == "k_prefix" {
		return ", ALGORITHM=COPY"
	}
	return ""
}
