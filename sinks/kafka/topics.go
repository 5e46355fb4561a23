package kafka

import (
	"fmt"
	"maps"
	"strings"

	"cdc/fault"
	"cdc/schemas"
)

// maxTopic is Kafka's limit for the name of a topic, in bytes.
const maxTopic = 249

// template makes the names of topics.
type template []piece

// piece is literal text, or a placeholder.
type piece struct {
	text string
	kind pieceKind
}

type pieceKind uint8

const (
	literal pieceKind = iota
	database
	table
)

// parseTemplate reads a template such as "{database}.{table}".
func parseTemplate(s string) (template, error) {
	var t template
	for rest := s; rest != ""; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			t = append(t, piece{text: rest})
			break
		}
		if open > 0 {
			t = append(t, piece{text: rest[:open]})
		}
		end := strings.IndexByte(rest, '}')
		if rest[open] == '}' || end < 0 {
			return nil, fmt.Errorf("%q has a brace without its other", s)
		}
		switch name := rest[open+1 : end]; name {
		case "database":
			t = append(t, piece{kind: database})
		case "table":
			t = append(t, piece{kind: table})
		default:
			return nil, fmt.Errorf("%q has the placeholder {%s}; there are {database} and {table}", s, name)
		}
		rest = rest[end+1:]
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("is empty")
	}
	for _, p := range t {
		if p.kind == literal && p.text != safe(p.text) {
			return nil, fmt.Errorf("%q: a topic may have letters, digits, '.', '_' and '-' only", p.text)
		}
	}
	return t, nil
}

// expand gives the name for a table as it is, which Kafka may not allow, and what tells its table from others: two tables with the same
// origin share a topic on purpose.
func (t template) expand(db, name string) (topic, origin string) {
	var a, b strings.Builder
	for _, p := range t {
		v := p.text
		switch p.kind {
		case database:
			v = db
		case table:
			v = name
		}
		a.WriteString(v)
		if p.kind != literal {
			fmt.Fprintf(&b, "%d:%d:%s;", p.kind, len(v), v)
		}
	}
	return a.String(), b.String()
}

// safe replaces each character that Kafka does not allow by '_', as Debezium and Maxwell do.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
}

// namer gives each table its topic, and refuses what would mix two tables that nobody asked to mix.
type namer struct {
	tmpl  template
	taken map[string]taken // by topic
}

// taken says who a topic belongs to.
type taken struct {
	origin string
	what   string // the first table, or the setting that names it
}

func newNamer(t template) *namer { return &namer{tmpl: t, taken: map[string]taken{}} }

// reserve keeps a topic for what is no table.
func (n *namer) reserve(topic, setting string) {
	if topic != "" {
		n.taken[topic] = taken{origin: "setting", what: setting}
	}
}

// called names a table so that the database a.b with the table c is told from the database a with the table b.c.
func called(t *schemas.Table) string {
	if strings.Contains(t.Database, ".") || strings.Contains(t.Name, ".") {
		return "`" + t.Database + "`.`" + t.Name + "`"
	}
	return t.FullName()
}

// topic gives the topic of a table.
func (n *namer) topic(t *schemas.Table) (string, error) {
	raw, origin := n.tmpl.expand(t.Database, t.Name)
	if t.Topic != "" {
		raw, origin = t.Topic, "route:"+t.Topic
	}
	return n.named(t, raw, origin)
}

// named gives the topic of a table that is called raw, and refuses one of another origin.
func (n *namer) named(t *schemas.Table, raw, origin string) (string, error) {
	where := fault.Where{Table: t.FullName()}
	name := safe(raw)
	if name == "" || name == "." || name == ".." {
		return "", fault.New(fault.SinkTopicName, "%q cannot be the name of a topic", raw).At(where)
	}
	if len(name) > maxTopic {
		return "", fault.New(fault.SinkTopicName, "the topic %s has %d bytes and Kafka allows %d", name, len(name), maxTopic).At(where)
	}
	first, ok := n.taken[name]
	if !ok {
		n.taken[name] = taken{origin: origin, what: "table " + called(t)}
		return name, nil
	}
	if first.origin != origin {
		return "", fault.New(fault.SinkTopicName, "the topic %s is that of %s already; table %s would be mixed with it", name, first.what, called(t)).At(where)
	}
	return name, nil
}

// tableTopic says how the topic of a table is made.
func tableTopic(o *Options, name string) newTopic {
	return o.ruled(newTopic{name: name, partitions: o.Partitions, replicas: o.ReplicationFactor, config: o.TopicConfig})
}

// sideTopic says how a topic is made that is not for rows.
func sideTopic(o *Options, name string) newTopic {
	return o.ruled(newTopic{name: name, partitions: 1, replicas: o.ReplicationFactor})
}

// ruled gives t as the first rule has it that fits its name.
func (o *Options) ruled(t newTopic) newTopic {
	for i := range o.Topics {
		r := &o.Topics[i]
		if !schemas.Wild(r.Match, t.name) {
			continue
		}
		if r.Partitions != 0 {
			t.partitions = r.Partitions
		}
		if r.ReplicationFactor != 0 {
			t.replicas = r.ReplicationFactor
		}
		if len(r.Config) > 0 {
			config := maps.Clone(t.config)
			if config == nil {
				config = map[string]string{}
			}
			for name, value := range r.Config {
				if config[name] = value; value == "" {
					delete(config, name)
				}
			}
			t.config = config
		}
		return t
	}
	return t
}
