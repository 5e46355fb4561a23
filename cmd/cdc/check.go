package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"cdc/admin/check"
	"cdc/checkpoint"
	"cdc/checkpoint/badger"
	"cdc/fault"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
	"cdc/source/live"
	"cdc/source/snapshot"
)

func checkCommand() *cobra.Command {
	var asJSON bool
	var grants string
	c := &cobra.Command{
		Use:   "check FILE.yaml",
		Short: "Look at everything that a pipeline needs before it starts, and say what to mend",
		Long: `Check asks the source, the sinks and this machine for all that a run depends on, and prints a line for each: pass, hint, warn or fail, what was found, and
the statement or the setting that cures it. It changes nothing and may run beside the pipeline. ` + "`cdc run`" + ` makes the same check first.

The exit code is 0 when nothing fails, 1 when something does, 2 when the configuration itself is wrong. A warning does not stop a run; a hint is of what works and could be better.`,
		Example: `  cdc check pipeline.yaml
  cdc check pipeline.yaml --json | jq '.findings[] | select(.level != "pass")'
  cdc check pipeline.yaml --grants         # all accounts and rights, as SQL with comments
  cdc check pipeline.yaml --grants=target  # the accounts that the mysql sinks need, as SQL
  cdc check pipeline.yaml --grants=kafka   # the rights that the kafka sinks need, as commands`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			if grants != "" {
				return cfg.printGrants(c.OutOrStdout(), grants)
			}
			findings, err := cfg.checkAll(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = printFindingsJSON(c.OutOrStdout(), findings)
			} else {
				err = printFindings(c.OutOrStdout(), findings)
			}
			if err != nil {
				return err
			}
			return checkFailure(findings)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&grants, "grants", "", "print what makes accounts of least privilege, and ask nobody anything: source and target (of mysql sinks) as SQL, kafka as commands, all for all of them as SQL with comments")
	c.Flags().Lookup("grants").NoOptDefVal = grantsAll
	return c
}

// checkAll is the whole check, of the local things first: they need no answer.
func (c *Config) checkAll(ctx context.Context) ([]fault.Finding, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	dir := c.path(c.Checkpoint.Dir)
	running, ok, err := askStatus(ctx, dir)
	if err != nil {
		return nil, err
	}
	var user string
	var ours []uint32
	if ok {
		user = fmt.Sprintf("the running pipeline (pid %d)", running.PID)
		for _, s := range running.Streams {
			ours = append(ours, s.ServerID)
		}
		if running.Relay != nil {
			ours = append(ours, running.Relay.ServerID)
		}
	}
	out := append(check.Local(c.localFacts(user, !ok)), c.checkHA(ctx)...)
	if c.Source.Kafka != nil {
		findings, states := c.checkStoredTopics(ctx)
		out = append(out, findings...)
		for i := range c.Streams {
			if s := &c.Streams[i]; s.first() {
				out = append(out, c.checkStream(ctx, s, nil, states[s.Name])...)
			}
		}
		return out, nil
	}
	places, states, bad := c.storedPlaces(ctx)
	out = append(out, bad...)
	places, bad = c.relayPlaces(ctx, places)
	out = append(out, bad...)
	findings, facts := c.checkSource(ctx, places, ours, 0)
	out = append(out, findings...)
	for i := range c.Streams {
		out = append(out, c.checkStream(ctx, &c.Streams[i], facts, states[c.Streams[i].Name])...)
	}
	return out, nil
}

// storedPlaces gives where each stream would begin, as the checkpoint folder says, and what the sink of each has kept there, by its name.
func (c *Config) storedPlaces(ctx context.Context) (places []live.InspectPlace, states map[string][]byte, bad []fault.Finding) {
	dir := c.path(c.Checkpoint.Dir)
	var store checkpoint.Store
	if v := c.peeked(ctx); v != nil {
		store = v // what the owner has saved last, wherever it is
	} else if folderExists(dir) {
		s, err := badger.Open(ctx, dir, badger.Options{ReadOnly: true})
		if err != nil {
			return nil, nil, []fault.Finding{findingOf("checkpoint", err)}
		}
		defer s.Close()
		store = s
	}
	states = map[string][]byte{}
	for i := range c.Streams {
		name := c.Streams[i].Name
		p, state, err := c.storedPlace(ctx, store, name)
		if err != nil {
			bad = append(bad, findingOf("checkpoint of "+name, err))
			continue
		}
		places = append(places, p)
		states[name] = state
	}
	return places, states, bad
}

// storedPlace is where one stream would begin, and what its sink has kept. store is nil where there is no folder yet.
func (c *Config) storedPlace(ctx context.Context, store checkpoint.Store, name string) (live.InspectPlace, []byte, error) {
	p := live.InspectPlace{Stream: c.reader(name), Name: name}
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return p, nil, err
	}
	if store == nil {
		p.Start, err = parseStart(c.Source.Start, c.Source.flavor())
		return p, nil, err
	}
	rec, start, err := c.loadPlace(ctx, store, name, sel)
	p.Start = start
	return p, rec.SinkState, err
}

// checkSource asks the server and judges its answers. facts is nil where it could not be asked.
func (c *Config) checkSource(ctx context.Context, places []live.InspectPlace, ours []uint32, tablesWithin time.Duration) ([]fault.Finding, *source.Facts) {
	sel, err := schemas.ParseSelector(c.Source.Tables)
	if err != nil {
		return check.Unreachable(err), nil
	}
	key := "source." + c.Source.flavor().String()
	facts, err := live.Inspect(ctx, live.InspectOptions{
		Config: *c.Source.server(), Flavor: c.Source.flavor(), Select: sel, Places: places, Ours: ours, TablesWithin: tablesWithin, MaxRow: int64(c.MaxRow),
	})
	if err != nil {
		return check.Unreachable(err), nil
	}
	w := check.Wishes{
		Key: key, GTIDOff: c.Source.server().GTID == "off", Verified: c.Source.server().TLS.Mode == "" || c.Source.server().TLS.Mode == "verify-ca" ||
			c.Source.server().TLS.Mode == "verify-identity",
		Patterns: c.Source.Tables, Locks: c.locks(), LockTables: c.locksTables(), More: snapshot.ObjectPrivileges(c.objectGroups()), Now: time.Now().Add(facts.Clock),
	}
	if len(c.Source.AcceptUnloggedCascades) > 0 {
		if w.AcceptCascade, err = schemas.ParseSelector(c.Source.AcceptUnloggedCascades); err != nil {
			return check.Unreachable(err), nil
		}
	}
	return check.Server(facts, w), facts
}

// checkStream looks at what one stream needs beside the source: its transforms bind to the present tables, and its sink takes what leaves them.
// state is what the sink has kept in the checkpoint.
func (c *Config) checkStream(ctx context.Context, s *StreamConfig, facts *source.Facts, state []byte) []fault.Finding {
	var tables []*schemas.Table
	whole := facts != nil && facts.TablesErr == nil
	if facts != nil {
		tables = facts.Tables
	}
	out, tables := checkTransforms(s, tables, whole)
	if s.Sink.Kafka != nil {
		for _, f := range c.checkKafka(ctx, s, tables, state) {
			f.Check += " of " + s.Name
			out = append(out, f)
		}
	}
	if s.Sink.Files != nil {
		for _, f := range c.checkFiles(ctx, s) {
			f.Check += " of " + s.Name
			out = append(out, f)
		}
	}
	if s.Sink.MySQL != nil {
		for _, f := range c.checkMySQL(ctx, s, facts, tables) {
			f.Check += " of " + s.Name
			out = append(out, f)
		}
	}
	return out
}

func findingOf(name string, err error) fault.Finding {
	f := fault.Finding{Level: fault.Fail, Check: name, What: err.Error(), Cure: "see the cause"}
	if e, ok := fault.As(err); ok {
		f.What, f.Cure, f.Code = strings.TrimPrefix(e.Error(), e.Code.String()+": "), e.Next, e.Code
	}
	return f
}

// checkFailure turns findings into the error that a check or a run ends with; nil where none fails. Faults of one code keep it, so that a
// script which knows it need not know that it was found before the start.
func checkFailure(findings []fault.Finding) error {
	var bad []fault.Finding
	for _, f := range findings {
		if f.Level == fault.Fail {
			bad = append(bad, f)
		}
	}
	switch len(bad) {
	case 0:
		return nil
	case 1:
		f := bad[0]
		code := f.Code
		if code == 0 {
			code = fault.PipelineCheck
		}
		return fault.New(code, "%s: %s", f.Check, f.What).Hint("%s", f.Cure)
	}
	lines, cures, alike := make([]string, len(bad)), make([]string, 0, len(bad)), bad[0].Code != 0
	for i, f := range bad {
		lines[i] = f.Check + ": " + f.What
		if !slices.Contains(cures, f.Cure) {
			cures = append(cures, f.Cure)
		}
		alike = alike && f.Code == bad[0].Code
	}
	if alike {
		return fault.New(bad[0].Code, "%d checks fail: %s", len(bad), strings.Join(lines, "; ")).Hint("%s", strings.Join(cures, " "))
	}
	for i, f := range bad {
		if f.Code != 0 {
			lines[i] = f.Code.String() + ": " + lines[i]
		}
	}
	return fault.New(fault.PipelineCheck, "%d checks fail: %s", len(bad), strings.Join(lines, "; "))
}

// retryable gives the first fault that goes away by itself, where all that fails is of that kind: a server that is down, a disk that is full.
func retryable(findings []fault.Finding) error {
	var first error
	for _, f := range findings {
		if f.Level != fault.Fail {
			continue
		}
		d, ok := fault.Describe(f.Code)
		if !ok || d.Class != fault.Retry {
			return nil
		}
		if first == nil {
			first = fault.New(f.Code, "%s: %s", f.Check, f.What).Hint("%s", f.Cure)
		}
	}
	return first
}

func printFindings(w io.Writer, findings []fault.Finding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := map[fault.Level]int{}
	for _, f := range findings {
		n[f.Level]++
		code := ""
		if f.Code != 0 {
			code = f.Code.String() + ": "
		}
		fmt.Fprintf(t, "%s\t%s\t%s%s\n", f.Level, f.Check, code, oneLine(f.What))
		if f.Cure != "" && f.Level != fault.Pass {
			fmt.Fprintf(t, "\t\t  cure: %s\n", oneLine(f.Cure))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d pass, %d hint, %d warn, %d fail\n", n[fault.Pass], n[fault.Hint], n[fault.Warn], n[fault.Fail])
	return err
}

// oneLine keeps names with odd characters from breaking the table.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

type findingJSON struct {
	Level string `json:"level"`
	Check string `json:"check"`
	What  string `json:"what"`
	Cure  string `json:"cure,omitempty"`
	Code  string `json:"code,omitempty"`
}

func printFindingsJSON(w io.Writer, findings []fault.Finding) error {
	doc := struct {
		Worst    string        `json:"worst"`
		Findings []findingJSON `json:"findings"`
	}{Worst: check.Worst(findings).String(), Findings: []findingJSON{}}
	for _, f := range findings {
		j := findingJSON{Level: f.Level.String(), Check: f.Check, What: f.What, Cure: f.Cure}
		if f.Code != 0 {
			j.Code = f.Code.String()
		}
		doc.Findings = append(doc.Findings, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}

// Whose grants are printed.
const (
	grantsAll    = "all"
	grantsSource = "source"
	grantsKafka  = "kafka"
	grantsTarget = "target"
)

// printGrants prints SQL that the server's own client takes, comments included; or commands for a shell, of kafka alone.
func (c *Config) printGrants(w io.Writer, whose string) error {
	var lines []string
	switch whose {
	case grantsAll, grantsSource, grantsKafka, grantsTarget:
	default:
		return fault.New(fault.UsageInvalid, "--grants=%s: want source, target, kafka or all", whose)
	}
	if c.Source.Kafka != nil && whose != grantsTarget {
		comment := ""
		if whose == grantsAll {
			comment = "-- "
		}
		lines = append(lines, comment+"# for the change topics that are read")
		for _, l := range c.Source.Kafka.Grants() {
			lines = append(lines, comment+l)
		}
	}
	if c.Source.Kafka == nil && (whose == grantsAll || whose == grantsSource) {
		s := c.Source.server()
		lines = append(lines, fmt.Sprintf("-- for %s; narrow '%%' to the host that cdc connects from, and choose a password", s.Address))
		a := check.GrantFor{Flavor: c.Source.flavor(), User: s.User, TLS: s.TLS.Mode != "" && s.TLS.Mode != "disabled", Patterns: c.Source.Tables, Locks: c.locks(), LockTables: c.locksTables()}
		a.OnDatabase, a.Others = snapshot.ObjectGrants(a.Flavor, c.objectGroups(), session.Quote(s.User)+"@'%'")
		lines = append(lines, check.Grants(a)...)
	}
	if whose == grantsAll || whose == grantsTarget {
		for i := range c.Streams {
			if s := &c.Streams[i]; s.Sink.MySQL != nil && s.first() {
				lines = append(lines, fmt.Sprintf("-- for %s, the target of stream %s", s.Sink.MySQL.Address, s.Name))
				lines = append(lines, c.mysqlGrants(s)...)
			}
		}
	}
	if whose == grantsAll || whose == grantsKafka {
		comment := ""
		if whose == grantsAll {
			comment = "-- " // the rest is SQL
		}
		if c.HA != nil {
			lines = append(lines, comment+"# for ha: the election and the places")
			for _, l := range c.HA.Kafka.Grants() {
				lines = append(lines, comment+l)
			}
		}
		for i := range c.Streams {
			s := &c.Streams[i]
			if s.Sink.Kafka == nil {
				continue
			}
			lines = append(lines, comment+"# for the kafka sink of stream "+s.Name)
			for _, l := range c.kafkaGrants(s) {
				lines = append(lines, comment+l)
			}
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// preflight is the check before a stream's first run, which begins at a place with what its sink has kept in the checkpoint. A source that is down
// is waited for, as ever. Streams ask the source one after the other, and their sinks side by side: one whose target does not answer holds up no
// other.
func (s *stream) preflight(ctx context.Context, place live.InspectPlace, state []byte) error {
	a := s.app
	if a.noCheck || s.checked {
		return nil
	}
	places := []live.InspectPlace{place}
	if a.relay != nil && place.Start.Kind == live.StartCheckpoint {
		places = nil // the relay says whether it has the place
	}
	a.checkMu.Lock()
	findings, facts := a.cfg.checkSource(ctx, places, nil, checkTablesWithin)
	if places == nil {
		findings, facts = s.withoutSource(findings, facts)
	}
	if facts != nil {
		a.folds = facts.Variables["lower_case_table_names"] != "0"
	}
	a.checkMu.Unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return s.judge(ctx, findings, facts, state)
}

// judge adds what a stream's sink says to what was found at the source, and gives an error where the stream cannot run so.
func (s *stream) judge(ctx context.Context, findings []fault.Finding, facts *source.Facts, state []byte) error {
	a := s.app
	if err := retryable(findings); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, cmp.Or(a.checkSinks, checkTablesWithin))
	defer cancel()
	for _, f := range a.cfg.checkStream(within, s.cfg, facts, state) {
		// What goes away by itself the sink waits for, and says so for as long as it does.
		if d, ok := fault.Describe(f.Code); ok && d.Class == fault.Retry && f.Level == fault.Fail {
			f.Level = fault.Warn
		}
		findings = append(findings, f)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for _, f := range findings {
		level := slog.LevelWarn
		switch f.Level {
		case fault.Hint:
			level = slog.LevelInfo
		case fault.Warn:
		default:
			continue
		}
		if a.firstWarning(f.Check + "\x00" + f.What) {
			s.log.Log(ctx, level, "check", "what", f.Check, "found", f.What, "cure", f.Cure)
		}
	}
	if err := checkFailure(findings); err != nil {
		return err
	}
	s.checked = true
	return nil
}

// firstWarning reports that a warning was not given by another stream.
func (a *app) firstWarning(what string) bool {
	a.checkMu.Lock()
	defer a.checkMu.Unlock()
	first := !a.warned[what]
	a.warned[what] = true
	return first
}

// checkTablesWithin bounds what a start waits for the check of the tables: a server with very many of them is no reason to be late.
const checkTablesWithin = 10 * time.Second

// preflightLocal is the part of the check that is made before anything is opened.
func (c *Config) preflightLocal(log interface{ Warn(string, ...any) }) error {
	findings := check.Local(c.localFacts("", true))
	for _, f := range findings {
		if f.Level == fault.Warn {
			log.Warn("check", "what", f.Check, "found", f.What, "cure", f.Cure)
		}
	}
	// A full disk is waited for by those who write there.
	if retryable(findings) != nil {
		return nil //nolint:nilerr // said above
	}
	return checkFailure(findings)
}
