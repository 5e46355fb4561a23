package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/checkpoint"
	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
)

func schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Show what the tables looked like, or say what one looks like",
		Long: `Each stream keeps the history of its tables: every version with the transaction from which it holds, so that old changes are read with the columns
of their time.`,
	}
	c.AddCommand(schemaShow(), schemaSet())
	return c
}

func schemaShow() *cobra.Command {
	var at string
	var asJSON, history bool
	c := &cobra.Command{
		Use:     "show FILE.yaml STREAM [DATABASE.TABLE]",
		Short:   "Print tables as of the checkpoint, or as of a transaction",
		Example: "  cdc schema show pipeline.yaml orders\n  cdc schema show pipeline.yaml orders shop.orders --history",
		Args:    fileAnd(1, 2, "STREAM [TABLE]"),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c.Context(), args[0], true, func(cfg *Config, store placeStore) error {
				doc, err := cfg.export(c.Context(), store, args)
				if err != nil {
					return err
				}
				upTo, err := entriesAt(doc, at, cfg.Source.flavor())
				if err != nil {
					return err
				}
				catalog := schemas.NewCatalog(cfg.Source.flavor(), doc.Record.Server.Number())
				found := false
				for _, e := range doc.History[:upTo] {
					catalog.Replay(e)
					if history && (len(args) < 3 || e.Name.String() == args[2]) {
						printEntry(c.OutOrStdout(), e)
						found = true
					}
				}
				if history {
					if len(args) == 3 && !found {
						return unknownTable(args[2])
					}
					return nil
				}
				for _, n := range catalog.Names() {
					if len(args) == 3 && n.String() != args[2] {
						continue
					}
					found = true
					if t, state := catalog.Table(n.Database, n.Table); state != schemas.Known {
						fmt.Fprintf(c.OutOrStdout(), "%s: not known since: %s\n", n, catalog.Why(n.Database, n.Table).Statement)
					} else if err := printTable(c.OutOrStdout(), t, asJSON); err != nil {
						return err
					}
				}
				if len(args) == 3 && !found {
					return unknownTable(args[2])
				}
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&at, "at", "", "as of this transaction (a GTID), instead of the checkpoint")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&history, "history", false, "print every step, with what caused it")
	return c
}

func unknownTable(name string) error {
	return fault.New(fault.UsageInvalid, "the history knows no table %s", name).Hint("`cdc schema show FILE STREAM` lists the tables")
}

// entriesAt counts the entries that hold at a transaction: up to the last of the newest transaction of its server that is not behind it.
func entriesAt(doc *checkpoint.Document, at string, flavor gtid.Flavor) (int, error) {
	if at == "" {
		return len(doc.History), nil
	}
	g, err := gtid.ParseGTID(flavor, at)
	if err != nil {
		return 0, fault.New(fault.UsageInvalid, "--at: %w", err)
	}
	if !doc.Record.GTIDs.Contains(g) {
		return 0, fault.New(fault.UsageInvalid, "--at: the stream has not come to %s", g)
	}
	for i, e := range doc.History {
		same := e.GTID.UUID == g.UUID && e.GTID.Tag == g.Tag && e.GTID.Domain == g.Domain
		if !e.GTID.IsZero() && same && e.GTID.Seq > g.Seq {
			return i, nil
		}
	}
	return len(doc.History), nil
}

// changedSince gives the first entry that is about a table, nil where none is.
func changedSince(entries []*schemas.Entry, name schemas.Name) *schemas.Entry {
	for _, e := range entries {
		if e.Name == name || e.Kind == schemas.DropDatabase && e.Name.Database == name.Database {
			return e
		}
	}
	return nil
}

func printEntry(w io.Writer, e *schemas.Entry) {
	what := map[schemas.EntryKind]string{
		schemas.PutTable: "is", schemas.DropTable: "dropped", schemas.ForgetTable: "no longer known", schemas.PutDatabase: "database", schemas.DropDatabase: "database dropped",
		schemas.FoldNames: "names are compared without case",
	}[e.Kind]
	when := "at the start"
	if e.Time != 0 {
		when = time.UnixMicro(e.Time).UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(w, "%d  %s  %s  %s  %s:%d  %s\n", e.Seq, e.Name, what, when, e.File, e.Offset, e.GTID)
	if e.Statement != "" {
		fmt.Fprintf(w, "      %s\n", strings.Join(strings.Fields(e.Statement), " "))
	}
	if e.Table != nil && e.Kind == schemas.PutTable {
		fmt.Fprintf(w, "      by %s: %s\n", e.Table.Origin, columnList(e.Table))
	}
}

func columnList(t *schemas.Table) string {
	var cols []string
	for i := range t.Columns {
		cols = append(cols, t.Columns[i].Name+" "+t.Columns[i].ColumnType())
	}
	return strings.Join(cols, ", ")
}

func printTable(w io.Writer, t *schemas.Table, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(t)
	}
	fmt.Fprintf(w, "%s (by %s, entry %d)\n", t.FullName(), t.Origin, t.Seq)
	for i := range t.Columns {
		col := &t.Columns[i]
		fmt.Fprintf(w, "  %-32s %s", col.Name, col.ColumnType())
		if !col.Nullable {
			fmt.Fprint(w, " not null")
		}
		if col.Collation != "" {
			fmt.Fprintf(w, " %s", col.Collation)
		}
		for k, p := range t.PrimaryKey {
			if p == i {
				fmt.Fprintf(w, " key %d", k+1)
			}
		}
		fmt.Fprintln(w)
	}
	return nil
}

func schemaSet() *cobra.Command {
	var ddl, file, at string
	c := &cobra.Command{
		Use:   "set FILE.yaml STREAM DATABASE.TABLE (--ddl 'CREATE TABLE ...' | --file FILE.sql) [--at GTID]",
		Short: "Say what a table looks like from the checkpoint on",
		Long: `Set is the cure where a stream stopped because it does not know a table's columns: give the table as it is at the checkpoint, as SHOW CREATE TABLE
prints it. --at names the transaction behind which the table looks so: it is refused where the stream has not come to it, or has seen another
change of the table behind it. Works while no pipeline runs.`,
		Example: `  cdc schema set pipeline.yaml orders shop.orders --file orders.sql --at 3E11FA47-71CA-11E1-9E33-C80AA9429562:78`,
		Args:    fileAnd(2, 2, "STREAM DATABASE.TABLE"),
		RunE: func(c *cobra.Command, args []string) error {
			if (ddl == "") == (file == "") {
				return fault.New(fault.UsageInvalid, "want --ddl or --file")
			}
			if file != "" {
				b, err := os.ReadFile(file)
				if err != nil {
					return fault.New(fault.UsageInvalid, "--file: %w", err)
				}
				ddl = string(b)
			}
			db, table, ok := strings.Cut(args[2], ".")
			if !ok {
				return fault.New(fault.UsageInvalid, "%q is not DATABASE.TABLE", args[2])
			}
			return withStore(c.Context(), args[0], false, func(cfg *Config, store placeStore) error {
				doc, err := cfg.export(c.Context(), store, args)
				if err != nil {
					return err
				}
				n, err := entriesAt(doc, at, cfg.Source.flavor())
				if err != nil {
					return err
				}
				if e := changedSince(doc.History[n:], schemas.Name{Database: db, Table: table}); e != nil {
					return fault.New(fault.UsageInvalid, "--at: behind %s, and up to the checkpoint, the table was changed at %s: %s", at, e.GTID, e.Statement).
						Hint("give the table as it is at the checkpoint, without --at")
				}
				t, err := tableFromDDL(doc, cfg.Source.flavor(), schemas.Name{Database: db, Table: table}, ddl)
				if err != nil {
					return err
				}
				r := &doc.Record
				t.Seq = r.SchemaSeq + 1
				doc.History = append(doc.History, &schemas.Entry{
					Seq: t.Seq, Kind: schemas.PutTable, Name: schemas.Name{Database: db, Table: table}, Table: t, File: r.File, Offset: r.Offset, Time: r.Time,
				})
				r.SchemaSeq = t.Seq
				if err := store.Import(c.Context(), doc); err != nil {
					return err
				}
				return printTable(c.OutOrStdout(), t, false)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&ddl, "ddl", "", "CREATE TABLE statement")
	f.StringVar(&file, "file", "", "file that holds the CREATE TABLE statement")
	f.StringVar(&at, "at", "", "the GTID behind which the table looks so")
	return c
}

// tableFromDDL interprets a CREATE TABLE as the source's server would, among the databases that the history knows.
func tableFromDDL(doc *checkpoint.Document, flavor gtid.Flavor, name schemas.Name, ddl string) (*schemas.Table, error) {
	catalog := schemas.NewCatalog(flavor, doc.Record.Server.Number())
	for _, e := range doc.History {
		catalog.Replay(e)
	}
	catalog.Replay(&schemas.Entry{Kind: schemas.DropTable, Name: name})
	ddl = strings.TrimSuffix(strings.TrimSpace(ddl), ";")
	d, err := catalog.Apply(&schemas.Statement{Text: ddl, Database: name.Database, Flavor: flavor, Version: doc.Record.Server.Number()})
	if err != nil {
		return nil, err
	}
	for i := range d.Entries {
		if e := &d.Entries[i]; e.Kind == schemas.PutTable && e.Name == name {
			t := *e.Table
			t.Origin = schemas.FromUser
			return &t, nil
		}
	}
	return nil, fault.New(fault.SchemaDDL, "the statement does not create %s", name).Hint("give the output of SHOW CREATE TABLE for this table")
}
