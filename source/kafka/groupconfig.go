package kafka

import (
	"fmt"
	"strings"
	"time"
)

// GroupConfig is the `group:` part of a source: processes that share the partitions through a consumer group. A zero field means its default.
type GroupConfig struct {
	Name           string        `yaml:"name" jsonschema_description:"Consumer group that all processes join which share the work."`
	Shares         int           `yaml:"shares" jsonschema_description:"Into how many parts the partitions are divided, by their numbers. Each part moves as a whole, with a place of its own at the sink, so that as many processes can have work. The same for all processes, and for good. Default 8."`
	SessionTimeout time.Duration `yaml:"session_timeout" jsonschema_description:"A process that has been silent for so long is taken for gone, and others get its shares. Default 15s."`
}

const (
	defaultShares  = 8
	mostShares     = 1000
	defaultSession = 15 * time.Second
	leastSession   = 6 * time.Second // what brokers take by default
	mostSession    = 30 * time.Minute
)

// WithDefaults fills in what was left out.
func (g GroupConfig) WithDefaults() GroupConfig {
	def(&g.Shares, defaultShares)
	def(&g.SessionTimeout, defaultSession)
	return g
}

// patience is how long a process may take to give up its shares: it is silent meanwhile.
func (g GroupConfig) patience() time.Duration { return g.SessionTimeout * 2 / 3 }

func (g *GroupConfig) validate(problem func(path, format string, args ...any)) {
	if g.Name == "" || strings.TrimSpace(g.Name) != g.Name {
		problem("group.name", "is missing")
	}
	if g.Shares < 0 || g.Shares > mostShares {
		problem("group.shares", "%d is not between 1 and %d", g.Shares, mostShares)
	}
	if t := g.SessionTimeout; t != 0 && (t < leastSession || t > mostSession) {
		problem("group.session_timeout", "%s is not between %s and %s", t, leastSession, mostSession)
	}
}

// Grants gives the kafka-acls command that lets a user join the group.
func (g *GroupConfig) grant(broker, user string) string {
	return fmt.Sprintf("kafka-acls --bootstrap-server %s --add --allow-principal User:%s --operation Read --group %s", broker, user, g.Name)
}
