package maxwell

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/fault"
)

// Values of options. The first of each group is the default.
const (
	KeyHash  = "hash"
	KeyArray = "array"

	PKSplit  = "split"  // a delete and an insert
	PKUpdate = "update" // one update under the new key

	TruncateMessage = "message"
	TruncateSkip    = "skip"

	TextError   = "error"
	TextReplace = "replace" // U+FFFD for what is not valid

	XIDCommit = "commit" // of the engine's commit
	XIDGTID   = "gtid"   // the number in the GTID
)

// Options are the settings of the format. The zero value is Maxwell's defaults, without keys.
type Options struct {
	// Keys asks for record keys. It is the sink's to say: a file has no use for them.
	Keys bool `yaml:"-"`

	CommitInfo   *bool  `yaml:"output_commit_info,omitempty" jsonschema_description:"Records have xid, and commit on the last row of a transaction. Default true."`
	XOffset      bool   `yaml:"output_xoffset,omitempty" jsonschema_description:"Records have xoffset, the number of the row in its transaction, but for the last one."`
	Position     bool   `yaml:"output_binlog_position,omitempty" jsonschema_description:"Records have position, FILE:OFFSET of the rows event."`
	GTID         bool   `yaml:"output_gtid_position,omitempty" jsonschema_description:"Records have gtid."`
	ServerID     bool   `yaml:"output_server_id,omitempty" jsonschema_description:"Records have server_id."`
	ThreadID     bool   `yaml:"output_thread_id,omitempty" jsonschema_description:"Records have thread_id, where the server logs it."`
	Nulls        *bool  `yaml:"output_nulls,omitempty" jsonschema_description:"data and old have fields that are NULL. Default true; without, NULL and a column that the row image leaves out look alike."`
	Query        bool   `yaml:"output_row_query,omitempty" jsonschema_description:"Records have query, the statement, where the server logs it (binlog_rows_query_log_events)."`
	PrimaryKeys  bool   `yaml:"output_primary_keys,omitempty" jsonschema_description:"Records have primary_key, the list of its values."`
	PrimaryNames bool   `yaml:"output_primary_key_columns,omitempty" jsonschema_description:"Records have primary_key_columns, the list of its columns."`
	NullZero     bool   `yaml:"output_null_zerodates,omitempty" jsonschema_description:"Dates that are no day of the calendar are null. Default: written as they are."`
	DDL          bool   `yaml:"output_ddl,omitempty" jsonschema_description:"Write DDL messages (table-create, table-alter and so on)."`
	KeyFormat    string `yaml:"kafka_key_format,omitempty" jsonschema:"enum=hash,enum=array" jsonschema_description:"Form of keys. Default hash."`

	XID        string `yaml:"xid,omitempty" jsonschema:"enum=commit,enum=gtid" jsonschema_description:"What xid is: commit (of the engine's commit; absent in all but the last batch of a very large transaction) or gtid (the number in the GTID). Default commit."`
	PKChange   string `yaml:"primary_key_change,omitempty" jsonschema:"enum=split,enum=update" jsonschema_description:"What a change of the primary key becomes where records have keys: split (a delete of the old key and an insert of the new one) or update (one record under the new key, as Maxwell does). Default split."`
	Truncate   string `yaml:"truncate,omitempty" jsonschema:"enum=message,enum=skip" jsonschema_description:"What TRUNCATE becomes: message (of the type table-truncate) or skip. Default message."`
	Tombstones bool   `yaml:"tombstones,omitempty" jsonschema_description:"A tombstone behind each delete, where records have keys."`
	Heartbeats bool   `yaml:"heartbeats,omitempty" jsonschema_description:"Write heartbeats, as updates of maxwell.heartbeats."`
	Text       string `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"What is written for text that is not valid in its character set. Default error."`
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		s *string
		v string
	}{{&o.KeyFormat, KeyHash}, {&o.XID, XIDCommit}, {&o.PKChange, PKSplit}, {&o.Truncate, TruncateMessage}, {&o.Text, TextError}} {
		if *d.s == "" {
			*d.s = d.v
		}
	}
	yes := true
	if o.CommitInfo == nil {
		o.CommitInfo = &yes
	}
	if o.Nulls == nil {
		o.Nulls = &yes
	}
	return o
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	oneOf := func(name, v string, allowed ...string) {
		if !slices.Contains(allowed, v) {
			errs = append(errs, fmt.Errorf("%s: %q is none of %s", name, v, strings.Join(allowed, ", ")))
		}
	}
	oneOf("kafka_key_format", o.KeyFormat, KeyHash, KeyArray)
	oneOf("xid", o.XID, XIDCommit, XIDGTID)
	oneOf("primary_key_change", o.PKChange, PKSplit, PKUpdate)
	oneOf("truncate", o.Truncate, TruncateMessage, TruncateSkip)
	oneOf("invalid_text", o.Text, TextError, TextReplace)
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.ConfigInvalid, "format maxwell: %w", errors.Join(errs...))
}
