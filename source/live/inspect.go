package live

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/source"
	"cdc/source/binlog"
)

// InspectOptions say what Inspect is to look at.
type InspectOptions struct {
	Config Config
	Flavor gtid.Flavor // of the configuration's key
	Select *schemas.Selector
	Places []InspectPlace
	// Ours are server ids of our own running readers, which are no clash.
	Ours []uint32
	// TablesWithin bounds how long the tables may be read; 0 is no bound but that of ctx. What was not read by then is left out, with the reason.
	TablesWithin time.Duration
	MaxRow       int64
}

// InspectPlace is a place that a stream would read from.
type InspectPlace struct {
	Stream string // as Options.Stream, from which the server id is derived
	Name   string // for people
	Start  Start
}

// inspected are the variables that a preflight check judges, beside those that Open needs.
var inspected = []string{
	"binlog_row_value_options", "binlog_expire_logs_seconds", "expire_logs_days", "max_binlog_size", "max_binlog_total_size", "enforce_gtid_consistency",
	"gtid_domain_id", "innodb_native_foreign_keys", "max_allowed_packet", "sync_binlog", "log_bin_compress", "binlog_transaction_compression",
}

// Inspect asks a server for everything that a preflight check judges. It changes nothing there and introduces itself to nobody, so it may run
// beside a reader. Its error is a fault of connecting; what the account may not ask is left out of the facts.
func Inspect(ctx context.Context, opt InspectOptions) (*source.Facts, error) {
	s := &Source{
		opt: Options{Config: opt.Config, Flavor: opt.Flavor, Select: opt.Select, MaxRow: opt.MaxRow}, cfg: opt.Config.withDefaults(),
		log: slog.New(slog.DiscardHandler), domains: map[uint32]bool{},
	}
	if s.opt.MaxRow <= 0 {
		s.opt.MaxRow = binlog.DefaultMaxRow
	}
	s.limit = int(2*s.opt.MaxRow) + eventSlack
	sess, err := connect(ctx, &s.cfg)
	if err != nil {
		return nil, err
	}
	defer sess.Close()
	f, err := ask(ctx, sess)
	if err != nil {
		return nil, err
	}
	out := &source.Facts{
		Server: f.server(), Local: s.cfg.Local(), Account: f.account, Variables: f.vars, Executed: f.executed, Purged: f.purged,
	}
	if f.flavor != opt.Flavor {
		return out, fault.New(fault.SourceOtherServer, "the configuration says %s, and a %s server answers (%s)", opt.Flavor, f.flavor, f.text).
			At(fault.Where{Server: sess.Address}).Hint("write source.%s instead of source.%s, or check the address", f.flavor, opt.Flavor)
	}
	s.useGTID = f.gtids(&s.cfg)
	if err := moreVariables(ctx, sess, out); err != nil {
		return out, err
	}
	if out.Grants, err = sess.Grants(ctx); err != nil {
		return out, sess.fault(err, "SELECT")
	}
	s.measureClock(ctx, sess)
	if micros, ok := s.ClockOffset(); ok {
		out.Clock, out.ClockKnown = time.Duration(micros)*time.Microsecond, true
	}
	if f.vars["log_bin"] != "OFF" {
		s.inspectPlaces(ctx, sess, f, opt, out)
	}
	within := ctx
	if opt.TablesWithin > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, opt.TablesWithin)
		defer cancel()
	}
	// A connection of its own: running out of time closes it.
	if out.TablesErr = s.inspectTables(within, f, out); out.TablesErr != nil && ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, nil
}

func moreVariables(ctx context.Context, sess *login, out *source.Facts) error {
	err := sess.Stream(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+strings.Join(inspected, "','")+"')", func(row [][]byte) error {
		if len(row) == 2 {
			out.Variables[string(row[0])] = string(row[1])
		}
		return nil
	})
	if err != nil {
		return sess.fault(err, "SELECT")
	}
	rows, err := sess.Query(ctx, "SHOW SESSION STATUS LIKE 'Ssl_version'")
	if err == nil && len(rows) == 1 && len(rows[0]) == 2 {
		out.TLS = string(rows[0][1])
	}
	return nil
}

// inspectPlaces looks at the binlogs, and whether reading can begin where each stream wants.
func (s *Source) inspectPlaces(ctx context.Context, sess *login, f *facts, opt InspectOptions, out *source.Facts) {
	files, err := sess.binlogs(ctx)
	out.LogsErr = err
	for _, l := range files {
		out.Logs = append(out.Logs, source.LogFile{Name: l.name, Size: l.size})
	}
	for i, p := range opt.Places {
		probe := s.probe(p)
		facts := source.PlaceFacts{Stream: p.Name, New: p.Start.Kind != StartCheckpoint}
		facts.Text, facts.File, facts.Err = probe.inspectPlace(ctx, sess, f, files)
		out.Places = append(out.Places, facts)
		if i == 0 {
			id, err := probe.identify(ctx, sess, f)
			out.ServerID = id.id
			if err != nil && !slices.Contains(opt.Ours, id.id) {
				out.ServerIDErr = err
			}
		}
	}
	s.datesOf(ctx, f, out)
}

// probe is a source that only looks whether it could begin at a place.
func (s *Source) probe(p InspectPlace) *probeSource {
	return &probeSource{Source: &Source{opt: s.opt, cfg: s.cfg, log: s.log, domains: map[uint32]bool{}, useGTID: s.useGTID, limit: s.limit}, place: p}
}

type probeSource struct {
	*Source
	place InspectPlace
}

// inspectPlace does what Open would do to find and check its place, but for reading schemas and searching a file for a time or a transaction.
func (s *probeSource) inspectPlace(ctx context.Context, sess *login, f *facts, files []logFile) (text, file string, err error) {
	s.opt.Stream, s.opt.Start = s.place.Stream, s.place.Start
	st := &s.opt.Start
	switch st.Kind {
	case StartNow:
		return "now", "", nil
	case StartEarliest:
		if len(files) > 0 {
			file = files[0].name
		}
		return "the oldest binlog", file, nil
	case StartTime:
		return st.Time.UTC().Format(time.RFC3339), "", nil
	case StartFile:
		at := place{st.File, st.Offset}
		if len(files) == 0 {
			return at.String(), "", nil
		}
		return at.String(), at.file, checkFile(at, files, f.address)
	case StartCheckpoint:
		text = place{st.File, st.Offset}.String()
		if !st.GTIDs.Empty() {
			text = describe(st.GTIDs)
		}
		if err := s.carryOver(f); err != nil {
			return text, "", err
		}
		if st.Server.UUID == f.uuid && st.Server.ID == f.id && slices.ContainsFunc(files, func(l logFile) bool { return l.name == st.File }) {
			file = st.File
		}
	default:
		text = describe(st.GTIDs)
	}
	o, err := s.resolve(ctx, sess, f)
	if err != nil {
		return text, file, err
	}
	if err := s.check(ctx, sess, f, &o, 2*time.Second); err != nil {
		return text, file, err
	}
	if f.flavor == gtid.MariaDB && o.gtids != nil {
		// What MariaDB has purged it only says when it is asked to send it.
		return text, file, s.side(ctx, f, dumpRequest{gtids: o.gtids}, func(in *incoming) error {
			if in.raw != nil && binlog.EventType(in.raw[4]) != binlog.MariaGTID {
				return nil
			}
			return errEnough
		})
	}
	return text, file, nil
}

func (p place) String() string { return p.file + ":" + strconv.FormatUint(p.offset, 10) }

// datesOf finds out when the binlogs were begun that tell how long the needed ones stay: the oldest, each needed one and the one behind it.
func (s *Source) datesOf(ctx context.Context, f *facts, out *source.Facts) {
	if len(out.Logs) == 0 {
		return
	}
	want := map[int]bool{0: true}
	for _, p := range out.Places {
		if i := slices.IndexFunc(out.Logs, func(l source.LogFile) bool { return l.Name == p.File }); i >= 0 && len(want) < 8 {
			want[i] = true
			if i+1 < len(out.Logs) {
				want[i+1] = true
			}
		}
	}
	for i := range want {
		if t, err := s.begun(ctx, f, out.Logs[i].Name); err == nil {
			out.Logs[i].Begun = t
		}
	}
}
