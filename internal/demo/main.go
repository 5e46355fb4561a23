// Command demo shows the product on a real server: a small shop's traffic runs on MySQL, `cdc run` carries its changes to JSON-lines files, is killed
// once without warning and started again, and in the end what is in the files is counted against the ledger of the writers.
//
// With KAFKA=1 the changes go to topics of a real broker, in debezium format. At half time the broker is killed instead, and the topics are read by
// Kafka's own console consumer.
//
// DEMO_SECONDS is how long the traffic runs (30). MYSQL, as mysql://user@host:port/ with the password in CDC_PASSWORD, takes a server of yours
// instead of starting one; its account needs the right to make the database cdc_demo, and those of a replica.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"cdc/internal/ledger"
	"cdc/internal/testbed"
)

const (
	out      = "demo-out"
	database = "cdc_demo"
	secret   = "CDC_PASSWORD" // environment variable of the source's password
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// server is where the traffic runs.
type server struct {
	flavor, address, user string
	dial                  ledger.Dial
	gtids                 func(context.Context) (string, error)
	stop                  func()
}

func demo(ctx context.Context) error {
	seconds := 30
	if v := os.Getenv("DEMO_SECONDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 4 {
			return fmt.Errorf("DEMO_SECONDS=%s: want a number from 4", v)
		}
		seconds = n
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	say("building cdc")
	bin, err := filepath.Abs(filepath.Join(out, "cdc"))
	if err != nil {
		return err
	}
	if b, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/cdc").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, b)
	}
	s, err := start(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := prepare(ctx, s); err != nil {
		return err
	}
	to, err := openTarget(ctx)
	if err != nil {
		return err
	}
	defer to.stop()
	config := filepath.Join(out, "cdc.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(yaml, to.what(), s.flavor, s.address, s.user, password(), database, to.sink())), 0o644); err != nil {
		return err
	}

	say("cdc run %s; traffic for %d seconds; at half time %s is killed (SIGKILL) and started again", config, seconds, to.victim())
	run, err := cdc(ctx, bin, config)
	if err != nil {
		return err
	}
	defer func() { _ = run.Process.Kill() }()
	// The stream starts at "now": the traffic begins when it is there.
	if err := caughtUp(ctx, bin, config, s); err != nil {
		return err
	}
	l := ledger.New()
	half, cancelHalf := context.WithTimeout(ctx, time.Duration(seconds)*time.Second/2)
	defer cancelHalf()
	traffic, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	began := time.Now()
	done := make(chan error, 1)
	var lasted time.Duration
	go func() {
		err := l.Run(traffic, s.dial, ledger.Options{Database: database, Writers: 3, DDL: true, Pause: 2 * time.Millisecond, Seed: uint64(began.UnixNano())})
		lasted = time.Since(began)
		done <- err
	}()
	<-half.Done()
	if ctx.Err() == nil {
		again := func() (err error) {
			if err := run.Process.Kill(); err != nil {
				return err
			}
			_ = run.Wait() // killed: its exit code says so
			fmt.Fprintln(os.Stderr)
			say("killed at %.0f s; starting again from the checkpoint", time.Since(began).Seconds())
			run, err = cdc(ctx, bin, config)
			return err
		}
		if err := to.halfTime(ctx, again); err != nil {
			return err
		}
	}
	if err := <-done; err != nil {
		return fmt.Errorf("traffic: %w", err)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := caughtUp(ctx, bin, config, s); err != nil {
		return err
	}
	if err := run.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := run.Wait(); err != nil {
		return fmt.Errorf("cdc run: %w", err)
	}
	return prove(ctx, l, lasted, to)
}

func say(format string, args ...any) { fmt.Printf("demo: "+format+"\n", args...) }

// yaml is the demo's pipeline.
const yaml = `# The demo's pipeline: the shop's tables as %s.
source:
  %s: {address: "%s", user: "%s"%s}
  tables: ["%s.%%"]
streams:
  - name: shop
    sink:
      %s
checkpoint: {dir: state}
`

func password() string {
	if os.Getenv(secret) != "" {
		return ", password: {env: " + secret + "}"
	}
	return ""
}

// start gives the server of the MYSQL variable, or starts one.
func start(ctx context.Context) (*server, error) {
	if text := os.Getenv("MYSQL"); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "mysql" && u.Scheme != "mariadb" || u.Host == "" || u.User.Username() == "" {
			return nil, errors.New("MYSQL: want mysql://USER@HOST:PORT/, with the password in CDC_PASSWORD")
		}
		address := u.Host
		if u.Port() == "" {
			address += ":3306"
		}
		s := &server{flavor: u.Scheme, address: address, user: u.User.Username(), stop: func() {}}
		s.dial = func(ctx context.Context) (*client.Conn, error) {
			return client.ConnectWithContext(ctx, address, s.user, os.Getenv(secret), "", 10*time.Second)
		}
		s.gtids = func(ctx context.Context) (string, error) { return executed(ctx, s) }
		return s, nil
	}
	say("starting MySQL 9.7 (downloaded once, into .cache/servers)")
	m, err := testbed.Launch(ctx, testbed.MySQL97, testbed.Options{FullMetadata: true, Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := os.Setenv(secret, testbed.Password); err != nil { // cdc is given the account of a replica, the traffic has root's
		return nil, errors.Join(err, m.Stop())
	}
	say("MySQL %s on %s", m.Version, m.Addr())
	return &server{
		flavor: "mysql", address: m.Addr(), user: testbed.User, dial: m.Conn, gtids: m.ExecutedGTIDs, stop: func() { _ = m.Stop() },
	}, nil
}

func executed(ctx context.Context, s *server) (string, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	sql := "SELECT @@global.gtid_executed"
	if s.flavor == "mariadb" {
		sql = "SELECT @@global.gtid_binlog_pos"
	}
	r, err := conn.Execute(sql)
	if err != nil {
		return "", err
	}
	v, err := r.GetString(0, 0)
	return strings.ReplaceAll(v, "\n", ""), err
}

// prepare makes the tables anew.
func prepare(ctx context.Context, s *server) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.address, err)
	}
	defer conn.Close()
	if _, err := conn.Execute("DROP DATABASE IF EXISTS " + database); err != nil {
		return err
	}
	return ledger.Setup(ctx, s.dial, database)
}

// cdc starts a run whose status goes to our terminal.
func cdc(ctx context.Context, bin, config string) (*exec.Cmd, error) {
	c := exec.CommandContext(ctx, bin, "run", config, "--log-level", "warn", "--progress")
	c.Stderr = os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	return c, c.Start()
}

// caughtUp waits until the files hold everything that the server has committed by now. On a server of yours without GTIDs it waits for
// seconds behind to be 0.
func caughtUp(ctx context.Context, bin, config string, s *server) error {
	target, err := s.gtids(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		b, _ := exec.CommandContext(ctx, bin, "status", config, "--json").Output() // it fails until the pipeline is there
		var st struct {
			Streams []struct {
				State    string   `json:"state"`
				Executed string   `json:"executed_gtid_set"`
				Behind   *float64 `json:"seconds_behind_source"`
				Error    string   `json:"last_error"`
			} `json:"streams"`
		}
		if json.Unmarshal(b, &st) == nil && len(st.Streams) == 1 {
			t := st.Streams[0]
			if t.State == "failed" {
				return errors.New(t.Error)
			}
			if t.State == "running" && (target != "" && t.Executed == target || target == "" && t.Behind != nil && *t.Behind == 0) {
				return nil
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("cdc has not caught up with %s: %w", target, ctx.Err())
		}
	}
}

// prove counts what was delivered against the ledger.
func prove(ctx context.Context, l *ledger.Ledger, lasted time.Duration, to target) error {
	d, err := to.read(ctx)
	if err != nil {
		return err
	}
	c, v := l.Counts(), l.Check(d)
	fmt.Println()
	say("%.0f s of traffic: %d transactions, %d DDL statements, one SIGKILL of %s", lasted.Seconds(), c.Txns, c.DDL, to.victim())
	for _, t := range tables() {
		fmt.Printf("        %-10s %8d changes\n", t, c.Tables[t])
	}
	say("%s", to.place())
	say("proof, counted by %s and the ledger of the writers:", to.reader())
	fmt.Printf("        rows committed = %d\n        rows delivered = %d\n        %d lost, %d duplicated, %d invented, %d out of order\n", v.Committed, v.Delivered, v.Lost,
		v.Duplicated, v.Invented, v.OutOfOrder)
	if n := d.Tombstones(); n > 0 {
		fmt.Printf("        %d tombstones, each behind the delete of its row\n", n)
	}
	if !v.OK() {
		return fmt.Errorf("the proof failed: %s", v)
	}
	say("look at them with: %s", to.look())
	return nil
}

func tables() []string { return []string{"customers", "orders", "payments", "visits"} }
