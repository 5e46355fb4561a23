package schemas

// renameOrNot does a RENAME TABLE of MariaDB, which renames a temporary table where there is one of the name, and logs that as if it had renamed
// the table: without LOG_EVENT_THREAD_SPECIFIC_F, and in row format too, where nothing else is said of temporary tables (seen on 10.11 and 11.8,
// where a replica then renames its own table). So each table of the statement is what the statement makes of it, or what it was:
//
//	name      before  behind  then
//	to        -       from's  Known: if there is a table of this name, it is this one; FromRename remembers that there may be none
//	from      known   -       Forgotten, and Either has what it was
//	swapped   known   known   Forgotten, and Either has both; Known where both are alike, as after a swap with a copy
//
// A row under the name shows that the table is there, and mostly which of both it is. As to what binlogs really hold: a change of a schema by
// pt-online-schema-change or gh-ost ends with a swap.
func (x *interpreter) renameOrNot() {
	const doubt = "it was renamed, or a temporary table of its name was: MariaDB logs both alike"
	before := map[Name]slot{}
	times := map[Name]int{} // that something is renamed to it
	for i, n := range x.ddl.Names {
		if s, ok := x.catalog.tables[n]; ok {
			before[n] = s
		}
		times[n] += i % 2
	}
	taken := func() bool {
		present := map[Name]bool{}
		for n, s := range before {
			present[n] = s.table != nil
		}
		for i := 0; i < len(x.ddl.Names); i += 2 {
			from, to := x.ddl.Names[i], x.ddl.Names[i+1]
			if present[to] {
				return true
			}
			present[from], present[to] = false, present[from]
		}
		return false
	}()
	if !taken {
		for i := 0; i < len(x.ddl.Names); i += 2 {
			x.move(x.ddl.Names[i], x.ddl.Names[i+1], FromRename)
		}
	}
	done := map[Name]bool{}
	for _, n := range x.ddl.Names {
		was, ok := before[n]
		now, state := x.catalog.Table(n.Database, n.Table)
		switch {
		case done[n]:
		case taken && ok, times[n] > 1 && state == Known:
			x.forget(n, doubt)
		case !ok || state == Forgotten || state == Known && was.table != nil && alike(now, was.table):
		case was.table == nil || state == Known && now.Origin != FromRename:
			x.forget(n, doubt)
		default:
			x.step(Entry{Kind: ForgetTable, Name: n, Reason: doubt, Table: x.candidate(was.table)})
		}
		done[n] = true
	}
}

// candidate gives a copy of a version, for an entry of its own.
func (x *interpreter) candidate(t *Table) *Table {
	c := *t
	c.Seq = 0
	return &c
}

// alike reports whether two tables differ at most in their names.
func alike(a, b *Table) bool {
	renamed := *a
	renamed.Database, renamed.Name = b.Database, b.Name
	return sameShape(&renamed, b)
}

// createAgain does a CREATE TABLE IF NOT EXISTS of a table of which it is not known whether it was there: either it made the table, or the table
// is what it was.
func (x *interpreter) createAgain(target Name) {
	either := x.catalog.Either(target.Database, target.Table)
	if old, state := x.catalog.Table(target.Database, target.Table); state == Known {
		either = []*Table{old}
	}
	if len(either) == 0 {
		return
	}
	t, reason := x.tableToEnd(target)
	for _, was := range either {
		if reason == "" && !alike(was, t) {
			reason = "CREATE TABLE IF NOT EXISTS of a table that was renamed before, or a temporary table of its name was, which MariaDB logs alike"
		}
	}
	if reason != "" {
		x.forget(target, reason)
		return
	}
	x.step(Entry{Kind: PutTable, Table: t})
}
