package traffic

import (
	"fmt"
	"slices"
	"time"
)

// Options of the traffic.
type Options struct {
	Seed     uint64
	Prefix   string // of the two databases PREFIX0 and PREFIX1; "w" where empty
	Server   Server // what the source is
	Sessions int    // at a time; 4 where 0
	DDL      bool   // tables change meanwhile
	Cascades bool   // foreign keys change rows of other tables; else they only refuse
	Modes    bool   // sessions change their sql_mode, time zone, and checks of keys
	XA       bool   // some transactions are prepared and committed apart
	Rows     int    // of the largest transactions; 300 where 0
	// Pause of each session between two transactions.
	Pause time.Duration
	// Patient sessions connect again when the server is gone, until the context ends.
	Patient bool
}

func (o *Options) database(n int) string {
	if o.Prefix == "" {
		return fmt.Sprintf("w%d", n)
	}
	return fmt.Sprintf("%s%d", o.Prefix, n)
}

// Databases are the names of the databases.
func (o *Options) Databases() []string { return []string{o.database(0), o.database(1)} }

func (o *Options) cascade(what string) string {
	if !o.Cascades {
		return ""
	}
	return " " + what
}

// Schema makes the databases and tables.
func (o *Options) Schema() []string {
	var out []string
	for _, d := range o.Databases() {
		out = append(out, "CREATE DATABASE `"+d+"` DEFAULT CHARACTER SET utf8mb4")
	}
	for _, t := range tables(o) {
		out = append(out, t.create(o))
	}
	return out
}

// FirstRows puts some rows into the tables.
func (o *Options) FirstRows() []string {
	all := tables(o)
	s := newSession(o, all, 1<<20)
	var out []string
	for _, t := range all {
		for range 3 {
			out = append(out, s.insert(t, "INSERT IGNORE", 6))
		}
	}
	return out
}

// Tables are the names of the tables that are there from the beginning, as DATABASE.TABLE.
func (o *Options) Tables() []string {
	var out []string
	for _, t := range tables(o) {
		out = append(out, o.database(t.db)+"."+t.name)
	}
	slices.Sort(out)
	return out
}
