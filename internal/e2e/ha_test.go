//go:build servers

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
	"cdc/sinks/files"
)

// haMember is one of the processes of a pipeline, on a machine of its own as far as it knows.
type haMember struct {
	yaml string
	run  *process // nil while it does not run
}

// haReport is what tests read of the status of such a process.
type haReport struct {
	HA struct {
		Role  string `json:"role"`
		Owner string `json:"owner"`
	} `json:"ha"`
	Streams []struct {
		Name string `json:"stream"`
		status
	} `json:"streams"`
}

func (m *haMember) status(t testing.TB) (r haReport, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "status", m.yaml, "--json")
	cmd.Env = append(os.Environ(), "CDC_PASSWORD="+testbed.Password)
	b, _ := cmd.Output()
	return r, json.Unmarshal(b, &r) == nil && len(r.Streams) > 0
}

// alive fails the test where a process has ended by itself.
func (m *haMember) alive(t testing.TB) {
	t.Helper()
	if !m.run.running() {
		t.Fatalf("cdc ended by itself; stderr:\n%s", tailOf(m.run.err.String(), 30))
	}
}

// works waits until the member is the owner and every stream of it, but for one, has carried something.
func (m *haMember) works(t testing.TB, but string) {
	t.Helper()
	var last haReport
	first := map[string]uint64{}
	defer func() {
		if t.Failed() {
			t.Logf("%s: the last status: %+v", m.yaml, last)
		}
	}()
	pollFor(t, 2*patience, "the owner carries changes", func() bool {
		m.alive(t)
		r, ok := m.status(t)
		if !ok || r.HA.Role != "owner" {
			return false
		}
		last = r
		all := true
		for i := range r.Streams {
			s := &r.Streams[i]
			if s.Name == but {
				continue
			}
			if s.State != "running" {
				all = false
				continue
			}
			if _, known := first[s.Name]; !known {
				first[s.Name] = s.Acked
			}
			all = all && s.Acked > first[s.Name]
		}
		return all
	})
}

// waits waits until the member stands by.
func (m *haMember) waits(t testing.TB) {
	t.Helper()
	pollFor(t, 2*patience, "the process stands by", func() bool {
		m.alive(t)
		r, ok := m.status(t)
		if !ok || r.HA.Role != "standby" {
			return false
		}
		for i := range r.Streams {
			if r.Streams[i].State != "standby" {
				return false
			}
		}
		return true
	})
}

// Two processes have one pipeline into another server, into topics and into S3. The owner is killed and stands still for longer than its session, under traffic: the
// other one takes over each time, one that comes back stands by, and in the end everything is there once.
func TestHATakeover(t *testing.T) {
	t.Parallel()
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 12))
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	target := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	k := testbed.SharedKafka(t, testbed.Kafka43)
	store := testbed.StartS3(t)
	if err := store.MakeBucket(t.Context(), "lake"); err != nil {
		t.Fatal(err)
	}
	p := &topicPipe{cluster: k, prefix: testbed.FreshTopic(t, k)}
	l, stop := traffic(t, s, ledger.Options{Writers: 2, Pause: 15 * time.Millisecond, Seed: n, Large: 300})
	testbed.MustExec(t, target, "SET sql_log_bin = 0", "CREATE USER "+applier+" IDENTIFIED BY '"+testbed.Password+"'", "GRANT ALL ON *.* TO "+applier)
	config := fmt.Sprintf(`source:
  mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, backoff: {first: 20ms, most: 500ms}}
  start: start
  tables: ["shop.%%"]
streams:
  - name: copy
    sink: {mysql: {address: %q, user: %s, password: {env: CDC_PASSWORD}, parallel: {workers: 2}}}
  - name: topics
    sink: {%s}
  - name: lake
    sink: {files: {dir: "s3://lake/shop", interval: 300ms, s3: {endpoint: %q, access_key: test, secret_key: {env: CDC_PASSWORD}}}}
checkpoint: {dir: state, every: 200ms}
memory: 64MiB
ha:
  kafka: {brokers: [%q], group: %s, session_timeout: 6s}
`, s.Addr(), testbed.User, target.Addr(), applier, p.sink(k.Brokers(), "partitions: 3"), store.URL, k.Brokers()[0], p.prefix)
	members := make([]*haMember, 2)
	for i := range members {
		dir := t.TempDir()
		members[i] = &haMember{yaml: filepath.Join(dir, "cdc.yaml")}
		if err := os.WriteFile(members[i].yaml, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(m *haMember) { m.run = start(t, []string{"run", m.yaml}) }
	owner, other := members[0], members[1]
	begin(owner)
	owner.works(t, "")
	begin(other)
	other.waits(t)
	run(t, "pause", other.yaml).refused(t, 1, "CDC6015", "owner")

	var kills []time.Time
	for i := range number(t, "CDC_HA_KILLS", 1) {
		pause(t.Context(), time.Duration(rng.Int64N(int64(time.Second))))
		kills = append(kills, time.Now())
		owner.run.kill()
		other.works(t, "")
		owner, other = other, owner
		begin(other)
		other.waits(t)
		if i%10 == 9 {
			t.Logf("%d kills", i+1)
		}
	}
	for range number(t, "CDC_HA_HOLDS", 1) {
		owner.run.signal(syscall.SIGSTOP)
		other.works(t, "copy") // the target gives a silent session half a minute
		owner.run.signal(syscall.SIGCONT)
		owner, other = other, owner
		other.waits(t)
		owner.works(t, "")
	}
	stop()
	owner.reaches(t, s)
	wasOwner := owner.run
	wasOwner.stop(t) // the other one takes over at once, and has nothing to do
	pollFor(t, 2*patience, "the other is the owner", func() bool {
		other.alive(t)
		r, ok := other.status(t)
		return ok && r.HA.Role == "owner"
	})
	other.reaches(t, s)
	other.run.stop(t)
	run(t, "run", owner.yaml, "--until", "now").refused(t, 2, "CDC1004", "ha")

	for _, table := range []string{"customers", "orders", "payments"} {
		if a, b := sumOf(t, s, table), sumOf(t, target, table); a != b || a == "" {
			t.Errorf("the target has other rows in %s than the source: %s, %s", table, a, b)
		}
	}
	p.once(t, l)
	dir := t.TempDir()
	if err := store.Download(t.Context(), "lake", "shop/", dir); err != nil {
		t.Fatal(err)
	}
	d := ledger.NewDelivered()
	if err := files.Read(dir, func(_ string, text []byte) error { return d.Line(text) }); err != nil {
		t.Fatal(err)
	}
	if v := l.Check(d); !v.OK() {
		t.Errorf("the files do not hold what was committed: %v", v)
	}
	printGaps(t, p, kills)
}

// reaches waits until every stream has everything that the server has committed by now.
func (m *haMember) reaches(t testing.TB, s *testbed.Server) {
	t.Helper()
	want, err := s.ExecutedGTIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{server: s}
	var last haReport
	defer func() {
		if t.Failed() {
			t.Logf("the last status: %+v", last)
		}
	}()
	pollFor(t, 3*patience, "all streams have come to "+want, func() bool {
		m.alive(t)
		r, ok := m.status(t)
		last = r
		for i := range r.Streams {
			ok = ok && r.Streams[i].State == "running" && p.contains(t, r.Streams[i].Executed, want)
		}
		return ok
	})
}

// printGaps says how long after each kill the next owner wrote its first record.
func printGaps(t *testing.T, p *topicPipe, kills []time.Time) {
	t.Helper()
	var written []time.Time
	for _, m := range messages(t, p.cluster, p.prefix+".") {
		written = append(written, m.Time)
	}
	slices.SortFunc(written, time.Time.Compare)
	var gaps []time.Duration
	for _, at := range kills {
		i, _ := slices.BinarySearchFunc(written, at.Add(time.Millisecond), time.Time.Compare) // records have milliseconds
		if i == len(written) {
			t.Error("nothing was written after a kill")
			continue
		}
		gaps = append(gaps, written[i].Sub(at))
	}
	if len(gaps) == 0 {
		return
	}
	slices.Sort(gaps)
	at := func(q float64) string {
		return gaps[min(len(gaps)-1, int(q*float64(len(gaps))))].Round(10 * time.Millisecond).String()
	}
	t.Log(strings.Join([]string{fmt.Sprintf("%d kills: from the kill to the first record of the next owner", len(gaps)), "p50 " + at(0.5), "p99 " + at(0.99), "max " + at(1)}, ", "))
}
