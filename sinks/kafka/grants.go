package kafka

import (
	"fmt"
	"slices"
	"strings"
)

// Grants gives the kafka-acls commands that let the account of o write what it will, and no more. tables are patterns of the tables' names as they
// leave the transforms, in MySQL's wild syntax; topics are patterns of topics that transforms name. What cannot be known without asking is covered
// by a prefix. The last line is a comment.
func Grants(o Options, tables, topics []string) []string {
	o = o.withDefaults()
	k := &cluster{dialer: dialer{opt: &o}}
	var list []resource
	if tmpl, err := parseTemplate(o.Topic); err == nil {
		for _, p := range tables {
			if !strings.HasPrefix(p, "!") {
				db, name, _ := strings.Cut(p, ".")
				list = append(list, tmpl.resource(db, name))
			}
		}
	}
	for _, p := range topics {
		list = append(list, resourceOf(p))
	}
	for _, t := range [...]string{o.SchemaTopic, o.TransactionTopic, o.HeartbeatTopic, o.DeadLetter.Topic} {
		if t != "" {
			list = append(list, resource{t, true})
		}
	}
	operations := []string{"Write", "DescribeConfigs"}
	if on(o.Create) {
		operations = append(operations, "Create")
	}
	if o.guards() {
		operations = append(operations, "Read")
	}
	var out []string
	for i, r := range list {
		covered := false
		for j, other := range list {
			covered = covered || other == r && j < i || other != r && !other.whole && strings.HasPrefix(r.name, other.name)
		}
		switch {
		case covered:
		case r.whole:
			out = append(out, k.allow(r.name, operations...))
		case r.name == "":
			out = append(out, k.allow("'*'", operations...))
		default:
			out = append(out, k.allow(r.name, operations...)+" --resource-pattern-type prefixed")
		}
	}
	slices.Sort(out)
	if o.guards() && o.TransactionalID != "" {
		out = append(out, (&coordinator{s: &sender{opt: &o, cluster: k}, id: o.TransactionalID}).allow())
	}
	return append(out, fmt.Sprintf("# brokers older than Kafka 2.8 need this too: kafka-acls --bootstrap-server %s --add --allow-principal %s --operation IdempotentWrite --cluster",
		o.Brokers[0], quoted("User:"+k.principal())))
}

// resource is a topic, or all whose names begin so.
type resource struct {
	name  string
	whole bool
}

// resource gives the topics of the tables that a pattern fits.
func (t template) resource(db, name string) resource {
	var b strings.Builder
	for _, p := range t {
		r := resource{p.text, true}
		switch p.kind {
		case database:
			r = resourceOf(db)
		case table:
			r = resourceOf(name)
		}
		b.WriteString(safe(r.name))
		if !r.whole {
			return resource{b.String(), false}
		}
	}
	return resource{b.String(), true}
}

// resourceOf gives what stands in a pattern before its first wildcard.
func resourceOf(pattern string) resource {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%' || c == '_':
			return resource{b.String(), false}
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
		default:
			b.WriteByte(c)
		}
	}
	return resource{b.String(), true}
}
