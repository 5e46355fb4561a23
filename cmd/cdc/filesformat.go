package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cdc/format"
	"cdc/format/avro"
	"cdc/format/csv"
	"cdc/format/ocf"
	"cdc/format/parquet"
	"cdc/gtid"
	"cdc/internal/settings"
)

// FilesFormatConfig is of the formats that make files of a kind of their own.
type FilesFormatConfig struct {
	CSV     *csv.Options     `yaml:"csv" jsonschema_description:"Settings of the csv format."`
	Parquet *parquet.Options `yaml:"parquet" jsonschema_description:"Settings of the parquet format."`
	Avro    *AvroFilesConfig `yaml:"avro" jsonschema_description:"Settings of the formats avro and debezium-avro, which make object container files here."`
}

// AvroFilesConfig is of Avro's object container files.
type AvroFilesConfig struct {
	Codec        ocf.Codec `yaml:"codec,omitempty" jsonschema:"enum=deflate,enum=snappy,enum=zstandard,enum=null" jsonschema_description:"Of Avro files: how blocks are compressed. Default deflate, which every reader knows."`
	avro.Options `yaml:",inline"`
}

// Formats that only the files sink has.
const (
	formatCSV     = "csv"
	formatParquet = "parquet"
)

// containers are the formats whose files are not JSON lines.
func containers() []string { return []string{formatCSV, formatParquet, formatAvro, formatDebeziumAvro} }

// validateFormat appends what is wrong with the format and its settings.
func (f *FilesConfig) validateFormat(out *[]settings.Problem, at string) {
	problem := func(key, format string, args ...any) {
		*out = append(*out, settings.Problem{Path: at + "." + key, Text: fmt.Sprintf(format, args...)})
	}
	if f.CSV != nil {
		f.settings(problem, formatCSV, f.CSV)
	}
	if f.Parquet != nil {
		f.settings(problem, formatParquet, f.Parquet)
	}
	if f.isAvro() {
		if err := f.container(gtid.MySQL).Validate(); err != nil {
			problem("avro", "%v", err)
		}
	} else if f.Avro != nil {
		problem("avro", "goes with format: %s or %s only", formatAvro, formatDebeziumAvro)
	}
	other := f.FormatConfig
	switch {
	case f.Format == formatDebeziumAvro:
		other.Format = "debezium"
	case slices.Contains(containers(), f.Format):
		other.Format = "plain"
	}
	before := len(*out)
	other.validate(out, at, false) // what goes with another format
	for i := range (*out)[before:] {
		if p := &(*out)[before+i]; p.Path == at+".format" {
			p.Text += ", " + strings.Join(containers(), ", ")
		}
	}
}

// container gives the options of Avro's files.
func (f *FilesConfig) container(flavor gtid.Flavor) ocf.Options {
	var o ocf.Options
	if f.Avro != nil {
		o.Codec, o.Avro = f.Avro.Codec, f.Avro.Options
	}
	o.Avro.Shape = avro.Flat
	if f.Format == formatDebeziumAvro {
		o.Avro.Shape = avro.Envelope
		if f.Debezium != nil {
			o.Avro.Debezium = *f.Debezium
		}
		o.Avro.Debezium.Connector = cmp.Or(o.Avro.Debezium.Connector, flavor.String())
	}
	return o
}

// makers gives what makes encoders.
func (f *FilesConfig) makers(flavor gtid.Flavor) (func() format.Encoder, error) {
	switch f.Format {
	case formatCSV:
		return maker(orZero(f.CSV), csv.New)
	case formatParquet:
		return maker(orZero(f.Parquet), parquet.New)
	case formatAvro, formatDebeziumAvro:
		return maker(f.container(flavor), ocf.New)
	}
	return f.encoder(flavor, false)
}

// orZero gives what p points to; settings that are not there are the defaults.
func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
