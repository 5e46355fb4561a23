package topic

import (
	"fmt"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/fault"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		replicas int
		values   string
		want     string
	}{
		{3, "cleanup.policy=compact min.insync.replicas=2 max.message.bytes=1048588", "pass"},
		{3, "", "pass"}, // the account may not see them
		{3, "cleanup.policy=delete min.insync.replicas=2", "fail"},
		{3, "cleanup.policy=compact,delete min.insync.replicas=2", "fail"},
		{3, "cleanup.policy=compact min.insync.replicas=1", "warn"},
		{1, "cleanup.policy=compact min.insync.replicas=1", "warn"},
		{2, "cleanup.policy=compact min.insync.replicas=2 max.message.bytes=100000", "fail"},
	} {
		values := map[string]string{}
		for _, kv := range strings.Fields(c.values) {
			k, v, _ := strings.Cut(kv, "=")
			values[k] = v
		}
		var out fault.Findings
		judge(&out, "state", c.replicas, values)
		if len(out) != 1 || fmt.Sprint(out[0].Level) != c.want {
			t.Errorf("%d replicas, %s: %+v", c.replicas, c.values, out)
		}
	}
}

// Check makes no topic, takes it from nobody, and says what is wrong with one.
func TestCheck(t *testing.T) {
	c := newCluster(t)
	o := ElectOptions{Options: options(c.ListenAddrs(), "checked"), Group: "checked"}
	list := Check(t.Context(), o)
	if len(list) != 1 || !strings.Contains(list[0].What, "does not exist") {
		t.Fatalf("%+v", list)
	}
	s := open(t, o.Options)
	if list = Check(t.Context(), o); len(list) != 1 || !strings.Contains(list[0].What, "replica") {
		t.Errorf("%+v", list)
	}
	must(t, s.Save(t.Context(), "s", checkpoint.Record{}))
	o.Brokers, o.Patience = []string{"127.0.0.1:1"}, 1
	if list = Check(t.Context(), o); len(list) != 1 || list[0].Code != fault.StateUnreachable {
		t.Errorf("%+v", list)
	}
}
