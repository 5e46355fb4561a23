package kafka_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"cdc/fault"
	"cdc/schemas"
	"cdc/sinks/kafka"
)

// remove deletes a topic, and makes it anew with so many partitions, or not at all with 0.
func (f *fake) remove(t *testing.T, topic string, partitions int32) {
	t.Helper()
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TopicNames = []string{topic}
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &topic
	del.Topics = append(del.Topics, one)
	f.request(t, del)
	if partitions > 0 {
		create := kmsg.NewPtrCreateTopicsRequest()
		top := kmsg.NewCreateTopicsRequestTopic()
		top.Topic, top.NumPartitions, top.ReplicationFactor = topic, partitions, 1
		create.Topics = append(create.Topics, top)
		f.request(t, create)
	}
}

// TestTopicGoneWhileStopped has a topic lose what was acknowledged between two runs. Neither the check nor the sink takes that for a topic which
// never was; and what is lost stays named for as long as nobody has said that the topics are to be taken as they are.
func TestTopicGoneWhileStopped(t *testing.T) {
	tables := []*schemas.Table{tableOf("shop", "orders")}
	for _, c := range []struct {
		name       string
		partitions int32 // of the topic that is made anew, 0 for none
		checked    bool  // the check sees it without a write
		says       string
	}{
		{"deleted", 0, true, "does not exist any more"},
		{"fewer partitions", 1, true, "was made anew: records were written to partition 1"},
		{"made anew", 2, false, "had been written before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			o := kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows"}, Gone: 300 * time.Millisecond}
			run := func() (state []byte, err error) {
				l := newLoad(t, o, "orders")
				defer l.s.Close()
				if err = l.write(50); err == nil { // a partition may be read back, and found short, before the batch is taken
					err = l.flush()
				}
				state, serr := l.s.State(1)
				if serr != nil {
					t.Fatal(serr)
				}
				return state, err
			}
			var err error
			if o.State, err = run(); err != nil {
				t.Fatal(err)
			}
			if o.State, err = run(); err != nil { // all is as it was
				t.Fatal(err)
			}
			if got := worstOf(kafka.Check(t.Context(), o, tables)); got.Level == fault.Fail {
				t.Fatalf("before: %+v", got)
			}
			f.remove(t, "rows", c.partitions)
			for range 2 { // the second time the state is that of the first failure
				f := worstOf(kafka.Check(t.Context(), o, tables))
				if got := f.Code == fault.SinkTopicGone && strings.Contains(f.What, strings.TrimPrefix(c.says, "was ")); got != c.checked {
					t.Errorf("the check finds %+v", f)
				}
				if c.checked && !strings.Contains(f.Cure, "--accept-target") {
					t.Errorf("the cure is %q", f.Cure)
				}
				o.State, err = run()
				if !fault.Has(err, fault.SinkTopicGone) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%v, want %s saying %q", err, fault.SinkTopicGone, c.says)
				}
			}
			o.State = nil
			if _, err = run(); err != nil {
				t.Errorf("with the topics as they are: %v", err)
			}
		})
	}
}

// TestStateKeeps has topics that a run does not write to stay in the state, and refuses what it does not know.
func TestStateKeeps(t *testing.T) {
	f := newFake(t)
	o := kafka.Options{Config: kafka.Config{Brokers: f.ListenAddrs(), Topic: "rows"}, State: []byte(`{"version":1,"topics":{"other":[5,0,7]}}`)}
	l := newLoad(t, o, "orders")
	l.mustWrite(50)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	b, err := l.s.State(1)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Topics map[string]struct{ Acked []int64 }
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if rows, other := s.Topics["rows"].Acked, s.Topics["other"].Acked; len(other) != 3 || other[2] != 7 || len(rows) != 2 || rows[0]+rows[1] != 50 {
		t.Errorf("the state is %s", b)
	}
	for text, want := range map[string]fault.Code{`{"version":3}`: fault.CheckpointVersion, "x": fault.CheckpointCorrupt} {
		o.State = []byte(text)
		if _, err := kafka.Open(o); !fault.Has(err, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func worstOf(list []fault.Finding) (worst fault.Finding) {
	for _, f := range list {
		if f.Level > worst.Level {
			worst = f
		}
	}
	return worst
}
