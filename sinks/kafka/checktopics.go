package kafka

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeacls"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"cdc/broker"
	"cdc/fault"
)

// operation is something that an account may be allowed to do (org.apache.kafka.common.acl.AclOperation). Answers that name what is allowed have
// its bit set.
type operation int8

const (
	opAll             operation = 2
	opRead            operation = 3
	opWrite           operation = 4
	opDescribe        operation = 8
	opClusterAction   operation = 9
	opDescribeConfigs operation = 10
)

// allowed reports that bits, as brokers give them, allow o. known is false where the brokers did not say.
func allowed(bits int32, o operation) (yes, known bool) {
	return bits&(1<<o) != 0, bits != math.MinInt32
}

// chunk is how many topics are asked for at once.
const chunk = 500

// topics looks at the topics that are there, and at whether the others may be made.
func (c *checker) topics(ctx context.Context, wants []*want) {
	there := map[string]*metadata.ResponseTopic{}
	for part := range slices.Chunk(wants, chunk) {
		req := &metadata.Request{IncludeTopicAuthorizedOperations: true}
		for _, w := range part {
			req.TopicNames = append(req.TopicNames, w.name)
		}
		l, err := c.cluster.layoutOf(ctx, req)
		if err != nil {
			c.fault("topics", err)
			return
		}
		for i := range l.topics {
			there[l.topics[i].Name] = &l.topics[i]
		}
	}
	kept, err := parseState(c.opt.State)
	held := kept.Topics
	if err != nil {
		c.fault("topics", err)
		return
	}
	known, err := c.await(ctx, held, there)
	if err != nil {
		c.fault("topics", err)
		return
	}
	var seen, missing []*want
	good := 0
	for _, w := range wants {
		r := there[w.name]
		switch {
		case known && c.gone(w.name, held[w.name], r):
		case r == nil:
			c.Fail(fault.SinkUnreachable, "topic "+w.name, "try again", "the brokers say nothing about it")
		case broker.Error(r.ErrorCode) == broker.ErrUnknownTopic && !on(c.opt.Create):
			if !c.crowded("topics that do not exist") {
				c.Fail(fault.SinkTopicMissing, "topic "+w.name, c.cluster.command(w.newTopic), "it does not exist, and create is false")
			}
		case broker.Error(r.ErrorCode) == broker.ErrUnknownTopic:
			missing = append(missing, w)
		case broker.Error(r.ErrorCode) == broker.ErrTopicAuthorization:
			c.readonly = true
			if !c.crowded("topics that the account may not see") {
				c.Fail(fault.SinkGrantMissing, "topic "+w.name, c.grant(w), "the account may not see it, or whether it exists")
			}
		case r.ErrorCode != 0 && len(r.Partitions) == 0:
			c.fault("topic "+w.name, fault.New(fault.SinkUnreachable, "%w", broker.Error(r.ErrorCode)))
		default:
			if c.access(w, r) {
				seen = append(seen, w)
			}
		}
	}
	values := c.settings(ctx, seen)
	for _, w := range seen {
		n := len(c.Findings)
		if v := values[w.name]; v != nil {
			c.replicas(w, there[w.name], v)
			c.judge(w, v, true)
		}
		if n == len(c.Findings) {
			good++
		}
	}
	fit := c.creatable(ctx, missing)
	c.collisions(wants, there)
	c.once(ctx, wants, there)
	c.more()
	switch {
	case len(wants) == 0:
		c.Pass("topics", "no table is known, so there is none to look at")
	case good > 0 && fit > 0:
		c.Pass("topics", "%d exist and fit, %d may be created", good, fit)
	case good > 0:
		c.Pass("topics", "%d exist and fit", good)
	case fit > 0:
		c.Pass("topics", "%d may be created", fit)
	}
}

// grant is what gives the account all that the sink needs of a topic.
func (c *checker) grant(w *want) string {
	ops := []string{"Write", "DescribeConfigs"}
	if on(c.opt.Create) {
		ops = append(ops, "Create")
	}
	if c.opt.guards() {
		ops = append(ops, "Read")
	}
	return c.cluster.allow(w.name, ops...)
}

// access looks at the rights on a topic, and at its leaders. It reports that the topic can be written to, and that its settings can be seen.
func (c *checker) access(w *want, r *metadata.ResponseTopic) bool {
	ok := true
	if yes, known := allowed(r.TopicAuthorizedOperations, opWrite); known && !yes {
		ok, c.readonly = false, true
		if !c.crowded("topics that the account may not write to") {
			c.Fail(fault.SinkGrantMissing, "topic "+w.name, c.grant(w), "the account may not write to it")
		}
	} else {
		c.writeable = true
	}
	for _, p := range r.Partitions {
		if p.LeaderID < 0 {
			ok = false
			if !c.crowded("topics without a leader") {
				c.Fail(fault.SinkUnreachable, "topic "+w.name, "start the brokers that hold it: "+fmt.Sprint(p.ReplicaNodes), "partition %d has no leader", p.PartitionIndex)
			}
			break
		}
	}
	if yes, known := allowed(r.TopicAuthorizedOperations, opDescribeConfigs); known && !yes && ok {
		ok = false
		if !c.crowded("topics whose settings the account may not see") {
			cure := c.cluster.allow(w.name, "DescribeConfigs")
			if c.opt.MaxRecord == 0 {
				cure += ", or set max_record to the topic's max.message.bytes"
			}
			c.Warn("topic "+w.name, cure, "the account may not see its settings: they are not checked, and the largest record is taken to be %d bytes", c.assumed())
		}
	}
	return ok
}

func (c *checker) assumed() int {
	if c.opt.MaxRecord > 0 {
		return int(c.opt.MaxRecord)
	}
	return defaultLimit
}

// judged are the settings of topics that are looked at.
var judged = []string{"max.message.bytes", "cleanup.policy", "min.insync.replicas"}

// settings asks for the settings of topics.
func (c *checker) settings(ctx context.Context, list []*want) map[string]map[string]string {
	out := map[string]map[string]string{}
	for part := range slices.Chunk(list, chunk) {
		var names []string
		for _, w := range part {
			names = append(names, w.name)
		}
		got, err := c.cluster.configs(ctx, names, judged)
		if err != nil {
			c.fault("topics", err)
			return out
		}
		for name, v := range got {
			out[name] = v
		}
	}
	return out
}

// replicas looks at how many copies a topic has.
func (c *checker) replicas(w *want, r *metadata.ResponseTopic, values map[string]string) {
	need := atoi(values["min.insync.replicas"], 1)
	least := math.MaxInt
	for _, p := range r.Partitions {
		least = min(least, len(p.ReplicaNodes))
		if c.capped() {
			need = min(need, len(p.ReplicaNodes))
		}
		if len(p.IsrNodes) < need && len(p.ReplicaNodes) >= need {
			if !c.crowded("topics with too few replicas in sync") {
				c.Fail(fault.SinkUnreachable, "topic "+w.name, fmt.Sprintf("start the brokers that hold it: %v", p.ReplicaNodes),
					"partition %d has %d replica(s) in sync, and min.insync.replicas is %d: writing waits", p.PartitionIndex, len(p.IsrNodes), need)
			}
			return
		}
	}
	c.copies(w, least, need, true)
}

// capped reports brokers that are content with all replicas where there are fewer than min.insync.replicas: those of Kafka 3.7 and later
// (KAFKA-15583). Before, such a topic never takes a record with acks=all.
func (c *checker) capped() bool { return c.produce >= 10 }

// copies judges the number of replicas, and how many of them must have a record before it is acknowledged.
func (c *checker) copies(w *want, replicas, need int, exists bool) {
	switch few := len(c.brokers); {
	case need > replicas && !c.capped():
		if !c.crowded("topics with fewer replicas than min.insync.replicas") {
			c.Fail(fault.SinkUnreachable, "topic "+w.name, c.alter(w, "min.insync.replicas", max(1, replicas-1), exists),
				"it has %d replica(s), and min.insync.replicas is %d: it never takes a record", replicas, need)
		}
	case replicas == 1 && few > 1:
		cure := fmt.Sprintf("set replication_factor: %d", min(3, few))
		if exists {
			cure = "give it more replicas by kafka-reassign-partitions"
		}
		if !c.crowded("topics with one replica") {
			c.Warn("topic "+w.name, cure, "it has one replica, and there are %d brokers: what was acknowledged is gone with one disk", few)
		}
	case replicas > 1 && need == 1:
		if !c.crowded("topics with min.insync.replicas=1") {
			c.Hint("topic "+w.name, c.alter(w, "min.insync.replicas", 2, exists),
				"min.insync.replicas is 1: while its other replicas are behind, what was acknowledged is on one disk only")
		}
	case replicas > 2 && need == replicas:
		if !c.crowded("topics that need all replicas") {
			c.Warn("topic "+w.name, c.alter(w, "min.insync.replicas", replicas-1, exists), "min.insync.replicas is %d of %d: writing waits while any of its brokers is down", need, replicas)
		}
	}
}

// alter is what changes a setting of a topic.
func (c *checker) alter(w *want, setting string, value any, exists bool) string {
	if !exists {
		if w.side {
			return fmt.Sprintf("%s --config %s=%v", c.cluster.command(w.newTopic), setting, value)
		}
		return fmt.Sprintf("set topic_config: {%s: %q}", setting, fmt.Sprint(value))
	}
	return fmt.Sprintf("kafka-configs --bootstrap-server %s --alter --topic %s --add-config %s=%v", c.opt.Brokers[0], w.name, setting, value)
}

// judge compares the settings of a topic with what is written to it.
func (c *checker) judge(w *want, values map[string]string, exists bool) {
	if limit, mine := atoi(values["max.message.bytes"], defaultLimit), int(c.opt.MaxRecord); mine > limit {
		const kind = "topics with a max.message.bytes below max_record"
		switch full := min(int(c.opt.Batch), mine); {
		case c.crowded(kind):
		case full > limit && c.opt.Compression == "none":
			c.Fail(fault.SinkRecordTooLarge, "topic "+w.name, c.alter(w, "max.message.bytes", mine, exists)+", or leave max_record out",
				"it takes batches up to %d bytes, and by batch and max_record they have up to %d", limit, full)
		default:
			c.Warn("topic "+w.name, c.alter(w, "max.message.bytes", mine, exists)+", or leave max_record out",
				"it takes records up to %d bytes, and max_record is %d: one between stops the stream", limit, mine)
		}
	}
	if !strings.Contains(values["cleanup.policy"], "compact") {
		return
	}
	plain := c.alter(w, "cleanup.policy", "delete", exists)
	switch {
	case w.dead:
		c.Fail(fault.SinkRefused, "topic "+w.name, plain, "it is compacted, and dead letters have no key: the brokers refuse them")
	case w.side:
		c.Warn("topic "+w.name, plain, "it is compacted: older records of %s go away", w.what)
	case len(w.keyless) > 0:
		if !c.crowded("compacted topics of tables without a key") {
			c.Fail(fault.SinkRefused, "topic "+w.name, "give the tables a primary key, or: "+plain,
				"it is compacted, and records of %s have no key: the brokers refuse them", some(w.keyless))
		}
	case !c.opt.Tombstones:
		if !c.crowded("compacted topics without tombstones") {
			c.Warn("topic "+w.name, "turn tombstones on in the settings of the format, or: "+plain, "it is compacted, and no tombstones are written: the last record of a deleted row stays for ever")
		}
	case c.opt.PartitionBy == byTransaction:
		if !c.crowded("compacted topics by transaction") {
			c.Warn("topic "+w.name, "set partition_by: key, or: "+plain, "it is compacted, and partition_by is transaction: a row's records are in several partitions, of which each keeps one")
		}
	}
}

// creatable asks whether topics could be made, without making them, and how they would be. It gives the number of those that fit.
func (c *checker) creatable(ctx context.Context, list []*want) int {
	fit := 0
	if len(list) == 0 {
		return 0
	}
	l, err := c.cluster.layout(ctx, nil)
	if err != nil {
		c.fault("topics", err)
		return 0
	}
	acls := c.acls(ctx)
	for part := range slices.Chunk(list, chunk) {
		var ask []newTopic
		for _, w := range part {
			ask = append(ask, w.newTopic)
		}
		answers, err := c.cluster.wouldCreate(ctx, l, ask)
		if err != nil {
			c.fault("topics", err)
			return fit
		}
		for _, w := range part {
			n := len(c.Findings)
			c.would(w, answers[w.name], acls)
			if n == len(c.Findings) {
				fit++
			}
		}
	}
	return fit
}

// would judges a topic that does not exist.
func (c *checker) would(w *want, a *createtopics.ResponseTopic, acls []acl) {
	if a == nil {
		c.Fail(fault.SinkUnreachable, "topic "+w.name, "try again", "the brokers say nothing about it")
		return
	}
	switch code := broker.Error(a.ErrorCode); {
	case code == broker.ErrNone:
	case code == broker.ErrTopicExists:
		return
	case code == broker.ErrTopicAuthorization, code == broker.ErrClusterAuthorization:
		if !c.crowded("topics that the account may not create") {
			c.Fail(fault.SinkTopicMissing, "topic "+w.name, c.cluster.command(w.newTopic)+", or: "+c.grant(w), "it does not exist, and the account may not create it")
		}
		return
	default:
		if !c.crowded("topics that cannot be created: " + code.Error()) {
			f := refused(code, "it cannot be created", a.ErrorMessage)
			cure := f.Next
			if code == broker.ErrReplicationFactor && f.Code != fault.SinkUnreachable {
				cure = fmt.Sprintf("set replication_factor: %d, or start more brokers", len(c.brokers))
			}
			c.Fail(f.Code, "topic "+w.name, cure, "%s", f.Text)
		}
		return
	}
	if w.replicas > 0 {
		a.ReplicationFactor = w.replicas
	}
	values := map[string]string{}
	for _, e := range a.Configs {
		values[e.Name] = e.Value
	}
	for name, value := range w.config {
		values[name] = value
	}
	if v := values["min.insync.replicas"]; v != "" && a.ReplicationFactor > 0 {
		c.copies(w, int(a.ReplicationFactor), atoi(v, 1), false)
	}
	c.judge(w, values, false)
	switch {
	case acls == nil || permits(acls, "User:"+c.cluster.principal(), w.name):
		c.writeable = true
	default:
		c.readonly = true
		if !c.crowded("topics to create that the account may not write to") {
			c.Warn("topic "+w.name, c.grant(w), "it would be created, and no rule lets the account write to it")
		}
	}
}

// collisions finds names that differ in dots and underscores only: they name one metric, and brokers refuse to create the second.
func (c *checker) collisions(wants []*want, there map[string]*metadata.ResponseTopic) {
	first := map[string]*want{}
	for _, w := range wants {
		key := strings.ReplaceAll(w.name, ".", "_")
		f := first[key]
		if f == nil {
			first[key] = w
			continue
		}
		missing := func(w *want) bool {
			r := there[w.name]
			return r != nil && broker.Error(r.ErrorCode) == broker.ErrUnknownTopic
		}
		if missing(f) && missing(w) && !c.crowded("names that collide") {
			c.Fail(fault.SinkTopicName, "topic names", "give one of them another topic by a route transform, or change topic",
				"the topics %s (%s) and %s (%s) differ in dots and underscores only: brokers refuse to create the second", f.name, f.what, w.name, w.what)
		}
	}
}

// acl is a rule about topics.
type acl struct {
	name      string
	prefix    bool
	principal string
	host      string
	op        operation
	deny      bool
}

// Numbers of org.apache.kafka.common.acl and .resource.
const (
	anyValue       = 1
	patternPrefix  = 4
	permissionDeny = 2
)

// acls gives the rules about topics; nil where they say nothing about the account, or cannot be seen. Super users have no rules: they may do what
// only brokers may otherwise.
func (c *checker) acls(ctx context.Context) []acl {
	see, known := allowed(c.rights, opDescribe)
	super, _ := allowed(c.rights, opClusterAction)
	if !known || !see || super || c.opt.SASL.User == "" { // rules may name the owner of a certificate otherwise
		return nil
	}
	res, err := c.cluster.ask(ctx, &describeacls.Request{Filter: describeacls.ACLFilter{
		ResourceTypeFilter: resourceTopic, ResourcePatternTypeFilter: anyValue, Operation: anyValue, PermissionType: anyValue,
	}})
	m, ok := res.(*describeacls.Response)
	if err != nil || !ok || broker.Error(m.ErrorCode) != broker.ErrNone {
		return nil
	}
	out := []acl{}
	for _, r := range m.Resources {
		for _, a := range r.ACLs {
			out = append(out, acl{r.ResourceName, r.PatternType == patternPrefix, a.Principal, a.Host, operation(a.Operation), a.PermissionType == permissionDeny})
		}
	}
	return out
}

// permits reports that the rules let an account write to a topic. A rule for some hosts only counts where it allows.
func permits(acls []acl, principal, topic string) bool {
	yes := false
	for _, a := range acls {
		hit := a.name == topic || !a.prefix && a.name == "*" || a.prefix && strings.HasPrefix(topic, a.name)
		if !hit || a.principal != principal && a.principal != "User:*" || a.op != opWrite && a.op != opAll {
			continue
		}
		if a.deny && a.host == "*" {
			return false
		}
		yes = yes || !a.deny
	}
	return yes
}

// once looks at what exactly_once takes. It does not ask for a producer of the transactional id, which would shut out a process that runs.
func (c *checker) once(ctx context.Context, wants []*want, there map[string]*metadata.ResponseTopic) {
	const check = "exactly once"
	if !c.opt.guards() {
		return
	}
	miss := func(code fault.Code, cure, what string, args ...any) {
		what = fmt.Sprintf(what, args...)
		if c.opt.ExactlyOnce == onceRequired {
			c.Fail(code, check, cure, "%s", what)
			return
		}
		c.Warn(check, cure, "%s: after a crash records may be written twice", what)
	}
	good := true
	for _, w := range wants {
		r := there[w.name]
		if r == nil || r.ErrorCode != 0 {
			continue
		}
		if yes, known := allowed(r.TopicAuthorizedOperations, opRead); known && !yes {
			miss(fault.SinkGrantMissing, c.cluster.allow(w.name, "Read"), "the account may not read topic %s, to see what an earlier run has written", w.name)
			good = false
			break // one stands for all
		}
	}
	if c.opt.TransactionalID == "" {
		return
	}
	k := &coordinator{s: &sender{opt: c.opt, cluster: c.cluster}, id: c.opt.TransactionalID}
	_, err := k.find(ctx)
	for n := 1; n < 8 && fault.Has(err, fault.SinkUnreachable); n++ { // the first question makes the topic that keeps the answers
		select {
		case <-time.After(backoff(n)):
			_, err = k.find(ctx)
		case <-ctx.Done():
			n = 8
		}
	}
	switch f, _ := fault.As(err); {
	case err == nil && good:
		c.Pass(check, "under the transactional id %s", k.id)
	case err == nil:
	case f == nil:
		c.fault(check, err)
	case f.Code == fault.SinkGrantMissing:
		miss(f.Code, f.Next, "%s", short(err))
	default:
		miss(f.Code, "look at transaction.state.log.replication.factor of the brokers, which must not be more than there are", "%s", short(err))
	}
}
