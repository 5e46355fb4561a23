package target

import (
	"fmt"
	"slices"
	"strings"

	"cdc/event/sqltext"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/statement"
)

// planner makes one plan. It is pure.
type planner struct {
	server  *Server
	version *schemas.Table
	at      *Table
	keys    []*ForeignKey // all there are
	parents map[schemas.Name]*Table

	to       []int // for each column of the version its ordinal at the target, -1 for one that is not there
	from     []int // for each column of the target its ordinal in the version, -1
	warnings []fault.Finding
}

func (p *planner) name() schemas.Name {
	return schemas.Name{Database: p.server.Fold(p.version.Database), Table: p.server.Fold(p.version.Name)}
}

func (p *planner) plan() (*Plan, error) {
	where := fault.Where{Table: p.version.FullName()}
	if p.at == nil {
		return nil, fault.New(fault.TargetTableMissing, "the table does not exist at the target").At(where)
	}
	if strings.Contains(p.at.Kind, "VIEW") {
		return nil, fault.New(fault.TargetTableMissing, "it is a view at the target").At(where)
	}
	if err := p.match(); err != nil {
		return nil, err.At(where)
	}
	at := statement.Target{Columns: make([]statement.TargetColumn, len(p.to)), Key: p.key()}
	at.Prefix = p.prefix(at.Key)
	for i, j := range p.to {
		if j >= 0 {
			c := &p.at.Columns[j]
			at.Columns[i] = statement.TargetColumn{Write: c.Generated == schemas.NotGenerated, Touch: c.OnUpdate, JSON: c.Type == schemas.JSON}
		}
	}
	flavor := statement.MySQL
	if p.server.Flavor == gtid.MariaDB {
		flavor = statement.MariaDB
	}
	at.Merge = p.apart(at.Key)
	at.Alias = flavor == statement.MySQL && p.server.Version >= 80019
	st, err := statement.NewTargetTable(p.version, flavor, at)
	if err != nil {
		return nil, fault.New(fault.TargetColumn, "%w", err).At(where)
	}
	p.compare(at.Key)
	plan := &Plan{Table: p.version, Target: p.at, Statement: st, Schedule: p.schedule(), Cascades: p.unsafe(), Apart: at.Merge, Triggers: p.at.Triggers, Warnings: p.warnings}
	return plan, nil
}

// apart reports that rows of the table have nothing to do with each other but for the one unique key: statement.Target.Merge.
func (p *planner) apart(key []int) bool {
	if len(key) == 0 || p.at.Kind != "BASE TABLE" || p.at.Overlaps || len(p.at.Triggers) > 0 || !transactional(p.at.Engine) {
		return false
	}
	n := 0
	for i := range p.at.Keys {
		k := &p.at.Keys[i]
		if !k.Unique {
			continue
		}
		if n++; n > 1 || len(k.Parts) != len(key) {
			return false
		}
		for _, part := range k.Parts {
			if part.Column < 0 || part.Prefix > 0 || !slices.Contains(key, p.from[part.Column]) {
				return false
			}
		}
	}
	self := p.name()
	return n == 1 && !slices.ContainsFunc(p.keys, func(f *ForeignKey) bool { return f.Child == self || f.Parent == self })
}

// match pairs the columns.
func (p *planner) match() *fault.Error {
	p.to, p.from = make([]int, len(p.version.Columns)), make([]int, len(p.at.Columns))
	for j := range p.from {
		p.from[j] = -1
	}
	var missing []string
	for i := range p.version.Columns {
		c := &p.version.Columns[i]
		p.to[i] = -1
		if c.Hidden {
			continue // the source made it for itself
		}
		j := p.at.column(c.Name)
		if j < 0 {
			missing = append(missing, fmt.Sprintf("%s (%s)", c.Name, c.ColumnType()))
			continue
		}
		p.to[i], p.from[j] = j, i
	}
	if missing != nil {
		return fault.New(fault.TargetColumn, "the target's table lacks the column %s of the source", strings.Join(missing, ", "))
	}
	for j := range p.from {
		if c := &p.at.Columns[j]; p.from[j] < 0 && !c.Filled {
			return fault.New(fault.TargetColumn, "the target's column %s, which the source does not have, is NOT NULL and has no default", c.Name).
				Hint("give it a default: ALTER TABLE %s.%s ALTER COLUMN %s SET DEFAULT ...", sqltext.Name(p.at.Name.Database), sqltext.Name(p.at.Name.Table), sqltext.Name(c.Name))
		}
	}
	return nil
}

// key gives the columns that find a row, as ordinals in the version.
func (p *planner) key() []int {
	own := statement.KeyOf(p.version)
	for _, i := range own {
		if p.to[i] < 0 {
			own = nil
			break
		}
	}
	if len(p.version.PrimaryKey) == 0 || own == nil || !p.searchable(own) {
		for k := range p.at.Keys {
			if found := p.unique(&p.at.Keys[k]); found != nil {
				return found
			}
		}
	}
	if own == nil {
		return nil
	}
	if !p.searchable(own) {
		p.warn(fault.Warn, fmt.Sprintf("the target has no index that begins with %s: each update and delete reads the whole table", p.names(own)),
			fmt.Sprintf("ALTER TABLE %s.%s ADD INDEX (%s)", sqltext.Name(p.at.Name.Database), sqltext.Name(p.at.Name.Table), p.names(own)))
	} else if !p.distinct(own) {
		p.warn(fault.Warn, fmt.Sprintf("rows are found by %s, which is not unique at the target: a change that finds several rows stops the stream", p.names(own)),
			"leave only rows of this source in the table, or route the sources to tables of their own")
	}
	return own
}

// searchable reports whether some index of the target begins with columns of the key, and with all of them as far as it has as many.
func (p *planner) searchable(key []int) bool {
	return slices.ContainsFunc(p.at.Keys, func(k Key) bool {
		if !k.Search {
			return false
		}
		for _, part := range k.Parts[:min(len(key), len(k.Parts))] {
			if part.Column < 0 || p.from[part.Column] < 0 || !slices.Contains(key, p.from[part.Column]) {
				return false
			}
		}
		return true
	})
}

// distinct reports whether a unique key of the target has no other columns than these.
func (p *planner) distinct(key []int) bool {
	return slices.ContainsFunc(p.at.Keys, func(k Key) bool {
		return k.Unique && !slices.ContainsFunc(k.Parts, func(part KeyPart) bool {
			return part.Column < 0 || p.from[part.Column] < 0 || !slices.Contains(key, p.from[part.Column])
		})
	})
}

// unique gives the columns of a unique key of the target that finds rows by what images hold, nil if it is none.
func (p *planner) unique(k *Key) []int {
	if !k.Unique || !k.Search {
		return nil
	}
	var key []int
	for _, part := range k.Parts {
		if part.Column < 0 || part.Prefix > 0 || p.from[part.Column] < 0 {
			return nil
		}
		to, from := &p.at.Columns[part.Column], p.from[part.Column]
		own := &p.version.Columns[from]
		if to.Nullable || own.Nullable || !faithful(own, &to.Column) || to.Generated != schemas.NotGenerated && own.Generated == schemas.NotGenerated {
			return nil
		}
		key = append(key, from)
	}
	return key
}

// prefix gives how much of each column the target's unique key of these columns sees, nil where that is all of each.
func (p *planner) prefix(key []int) []int {
	for i := range p.at.Keys {
		k := &p.at.Keys[i]
		if !k.Unique || len(k.Parts) != len(key) {
			continue
		}
		out, some, all := make([]int, len(key)), false, true
		for _, part := range k.Parts {
			n := -1
			if part.Column >= 0 {
				n = slices.Index(key, p.from[part.Column])
			}
			if all = all && n >= 0; all {
				out[n], some = part.Prefix, some || part.Prefix > 0
			}
		}
		switch {
		case all && some:
			return out
		case all:
			return nil
		}
	}
	return nil
}

func (p *planner) names(columns []int) string {
	list := make([]string, len(columns))
	for n, i := range columns {
		list[n] = p.version.Columns[i].Name
	}
	return strings.Join(list, ", ")
}

func (p *planner) warn(level fault.Level, what, cure string) {
	p.warnings = append(p.warnings, fault.Finding{Level: level, Check: "table " + p.version.FullName(), What: what, Cure: cure})
}

// compare warns of what may come out otherwise than at the source.
func (p *planner) compare(key []int) {
	alter := fmt.Sprintf("ALTER TABLE %s.%s MODIFY COLUMN ", sqltext.Name(p.at.Name.Database), sqltext.Name(p.at.Name.Table))
	for i, j := range p.to {
		if j < 0 {
			continue
		}
		own, to := &p.version.Columns[i], &p.at.Columns[j].Column
		switch {
		case to.Generated != schemas.NotGenerated:
			if own.Generated == schemas.NotGenerated {
				p.warn(fault.Warn, fmt.Sprintf("the target generates the column %s, which is plain at the source: the source's values are not written", own.Name),
					alter+"... without GENERATED")
			}
			continue
		case loses(own, to):
			p.warn(fault.Warn, fmt.Sprintf("the target's column %s is %s, which rounds values of the source's %s in silence", own.Name, to.ColumnType(), own.ColumnType()),
				alter+sqltext.Name(own.Name)+" "+own.ColumnType())
		case own.Nullable && !to.Nullable:
			p.warn(fault.Warn, fmt.Sprintf("the target's column %s is NOT NULL, the source's may be NULL: such a row stops the stream", own.Name),
				alter+sqltext.Name(own.Name)+" "+to.ColumnType()+" NULL")
		}
		if slices.Contains(key, i) && own.Collation != "" && to.Collation != "" && own.Collation != to.Collation && !strings.HasSuffix(to.Collation, "_bin") {
			p.warn(fault.Warn, fmt.Sprintf("the key's column %s is %s at the target and %s at the source: what the source keeps apart may be one row at the target",
				own.Name, to.Collation, own.Collation), alter+sqltext.Name(own.Name)+" "+to.ColumnType()+" COLLATE "+own.Collation)
		}
	}
	if p.at.Engine != "" && !transactional(p.at.Engine) {
		p.warn(fault.Warn, "the target's engine "+p.at.Engine+" keeps no transactions: a crash may leave a change applied twice or in part",
			fmt.Sprintf("ALTER TABLE %s.%s ENGINE = InnoDB", sqltext.Name(p.at.Name.Database), sqltext.Name(p.at.Name.Table)))
	}
}

func transactional(engine string) bool {
	for _, e := range []string{"InnoDB", "RocksDB", "ndbcluster", "TokuDB", "SEQUENCE", "TIDB"} {
		if strings.EqualFold(e, engine) {
			return true
		}
	}
	return false
}
