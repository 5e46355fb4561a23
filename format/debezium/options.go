package debezium

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdc/fault"
)

// DecimalMode says how DECIMAL is written (decimal.handling.mode).
type DecimalMode string

// BigintUnsignedMode says how BIGINT UNSIGNED is written (bigint.unsigned.handling.mode).
type BigintUnsignedMode string

// TimeMode says how DATE, TIME and DATETIME are written (time.precision.mode).
type TimeMode string

// BinaryMode says how BINARY, VARBINARY and BLOBs are written (binary.handling.mode).
type BinaryMode string

// AbsentPolicy says what is written for a column that the row image does not hold.
type AbsentPolicy string

// ZeroDatePolicy says what is written for a date with a zero part, or a day that its month does not have.
type ZeroDatePolicy string

// TextPolicy says what is written for text that is not valid in its column's character set.
type TextPolicy string

// Modes. The first of each group is the default.
const (
	DecimalPrecise DecimalMode = "precise" // base64 of the unscaled value's two's complement
	DecimalString  DecimalMode = "string"
	DecimalDouble  DecimalMode = "double" // may lose digits

	BigintLong    BigintUnsignedMode = "long"    // a number; above 2^63-1 an error
	BigintPrecise BigintUnsignedMode = "precise" // as DECIMAL(20,0) in DecimalPrecise

	TimeAdaptive TimeMode = "adaptive_time_microseconds" // DATETIME in ms up to 3 digits, else us; TIME in us
	TimeConnect  TimeMode = "connect"                    // all in ms, which drops digits; TIME only within a day
	TimeISO      TimeMode = "isostring"                  // TIME only within a day
	TimeMicros   TimeMode = "microseconds"
	TimeNanos    TimeMode = "nanoseconds"

	BinaryBytes     BinaryMode = "bytes" // base64, of type bytes in the schema
	BinaryBase64    BinaryMode = "base64"
	BinaryBase64URL BinaryMode = "base64-url-safe"
	BinaryHex       BinaryMode = "hex"

	AbsentPlaceholder AbsentPolicy = "placeholder" // the placeholder for text and binary columns, others are left out (with Schemas: an error)
	AbsentOmit        AbsentPolicy = "omit"        // left out; not with Schemas
	AbsentError       AbsentPolicy = "error"

	ZeroDateError    ZeroDatePolicy = "error"
	ZeroDateNull     ZeroDatePolicy = "null"     // null, also where the column is NOT NULL; the schema then makes it optional
	ZeroDateEpoch    ZeroDatePolicy = "epoch"    // 1970-01-01
	ZeroDateDebezium ZeroDatePolicy = "debezium" // null where the column may be NULL, else the epoch; for TIMESTAMP always the epoch

	TextError   TextPolicy = "error"
	TextReplace TextPolicy = "replace" // U+FFFD for what is not valid
)

// Options are the settings of the format. The zero value is Debezium's defaults, without keys and inline schemas.
type Options struct {
	// Keys asks for record keys. It is the sink's to say: a file has no use for them.
	Keys bool `yaml:"-"`

	TopicPrefix string `yaml:"topic_prefix,omitempty" jsonschema_description:"Logical name of the source: source.name, and the prefix of schema names. Default cdc."` // logical name of the source: source.name, and the prefix of schema names; "cdc"
	Connector   string `yaml:"connector,omitempty" jsonschema:"enum=mysql,enum=mariadb" jsonschema_description:"source.connector. Default: what the source is."`
	Version     string `yaml:"version,omitempty" jsonschema_description:"source.version. Default 3.5.0.Final."` // source.version; "3.5.0.Final"

	Schemas        bool               `yaml:"schemas_enable,omitempty" jsonschema_description:"Wrap each message as schema and payload."`
	Decimal        DecimalMode        `yaml:"decimal_handling_mode,omitempty" jsonschema:"enum=precise,enum=string,enum=double" jsonschema_description:"How DECIMAL is written. Default precise: base64 of the unscaled value."`
	BigintUnsigned BigintUnsignedMode `yaml:"bigint_unsigned_handling_mode,omitempty" jsonschema:"enum=long,enum=precise" jsonschema_description:"How BIGINT UNSIGNED is written. Default long, where a value above 2^63-1 is an error."`
	Time           TimeMode           `yaml:"time_precision_mode,omitempty" jsonschema:"enum=adaptive_time_microseconds,enum=connect,enum=isostring,enum=microseconds,enum=nanoseconds" jsonschema_description:"How DATE, TIME and DATETIME are written. Default adaptive_time_microseconds."`
	Binary         BinaryMode         `yaml:"binary_handling_mode,omitempty" jsonschema:"enum=bytes,enum=base64,enum=base64-url-safe,enum=hex" jsonschema_description:"How BINARY, VARBINARY and BLOBs are written. Default bytes (base64)."`
	Tombstones     *bool              `yaml:"tombstones_on_delete,omitempty" jsonschema_description:"A tombstone behind each delete, where records have keys. Default true."` // true; there is none without Keys
	Query          bool               `yaml:"include_query,omitempty" jsonschema_description:"source.query holds the statement, where the server logs it (binlog_rows_query_log_events)."`
	// Skipped is "none" or "t": whether TRUNCATE is left out. Debezium leaves it out unless told otherwise, and some of its consumers (Flink)
	// fail on op t; here nothing is left out that nobody asked for.
	Skipped string `yaml:"skipped_operations,omitempty" jsonschema:"enum=none,enum=t" jsonschema_description:"t leaves TRUNCATE out. Default none."`
	// Unwrap flattens messages; nil for whole envelopes.
	Unwrap *Unwrap `yaml:"unwrap,omitempty" jsonschema_description:"Flatten messages as Debezium's ExtractNewRecordState does: the value is the row alone."`
	// Transaction fills the transaction block. The order numbers in it are counted by the encoder, which must then see every change of a
	// transaction, in order.
	Transaction bool   `yaml:"provide_transaction_metadata,omitempty" jsonschema_description:"Fill the transaction block."`
	Placeholder string `yaml:"unavailable_value_placeholder,omitempty" jsonschema_description:"What stands for a text or binary value that the row image does not hold. Default __debezium_unavailable_value."` // "__debezium_unavailable_value"

	Absent    AbsentPolicy   `yaml:"absent,omitempty" jsonschema:"enum=placeholder,enum=omit,enum=error" jsonschema_description:"What is written for a column that the row image does not hold. Default placeholder; columns that are neither text nor binary are then left out."`
	ZeroDates ZeroDatePolicy `yaml:"zero_dates,omitempty" jsonschema:"enum=error,enum=null,enum=epoch,enum=debezium" jsonschema_description:"What is written for a date with a zero part. Default error."`
	Text      TextPolicy     `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"What is written for text that is not valid in its character set. Default error."`
}

// WithDefaults fills in what was not said.
func (o Options) WithDefaults() Options { return o.withDefaults() }

func (o Options) withDefaults() Options {
	def(&o.TopicPrefix, "cdc")
	def(&o.Connector, "mysql")
	def(&o.Version, "3.5.0.Final")
	def(&o.Skipped, "none")
	def(&o.Decimal, DecimalPrecise)
	def(&o.BigintUnsigned, BigintLong)
	def(&o.Time, TimeAdaptive)
	def(&o.Binary, BinaryBytes)
	def(&o.Placeholder, "__debezium_unavailable_value")
	def(&o.Absent, AbsentPlaceholder)
	def(&o.ZeroDates, ZeroDateError)
	def(&o.Text, TextError)
	return o
}

func def[S ~string](s *S, v S) {
	if *s == "" {
		*s = v
	}
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	oneOf(&errs, "connector", o.Connector, "mysql", "mariadb")
	oneOf(&errs, "skipped_operations", o.Skipped, "none", "t")
	oneOf(&errs, "decimal_handling_mode", o.Decimal, DecimalPrecise, DecimalString, DecimalDouble)
	oneOf(&errs, "bigint_unsigned_handling_mode", o.BigintUnsigned, BigintLong, BigintPrecise)
	oneOf(&errs, "time_precision_mode", o.Time, TimeAdaptive, TimeConnect, TimeISO, TimeMicros, TimeNanos)
	oneOf(&errs, "binary_handling_mode", o.Binary, BinaryBytes, BinaryBase64, BinaryBase64URL, BinaryHex)
	oneOf(&errs, "absent", o.Absent, AbsentPlaceholder, AbsentOmit, AbsentError)
	oneOf(&errs, "zero_dates", o.ZeroDates, ZeroDateError, ZeroDateNull, ZeroDateEpoch, ZeroDateDebezium)
	oneOf(&errs, "invalid_text", o.Text, TextError, TextReplace)
	if o.Unwrap != nil {
		if _, err := o.Unwrap.parse(o.Transaction); err != nil {
			errs = append(errs, err)
		}
		if o.Schemas {
			errs = append(errs, errors.New("unwrap does not go with schemas_enable"))
		}
	}
	if o.Absent == AbsentOmit && o.Schemas {
		errs = append(errs, errors.New("absent: omit does not go with schemas_enable: a reader of the schema takes a missing field for null"))
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.ConfigInvalid, "format debezium: %w", errors.Join(errs...))
}

func oneOf[S ~string](errs *[]error, name string, v S, allowed ...S) {
	if slices.Contains(allowed, v) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	*errs = append(*errs, fmt.Errorf("%s: %q is none of %s", name, string(v), strings.Join(names, ", ")))
}
