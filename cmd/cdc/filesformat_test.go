package main

import (
	"strings"
	"testing"

	"cdc/format"
	"cdc/format/avro"
	"cdc/format/csv"
	"cdc/format/debezium"
	"cdc/format/parquet"
	"cdc/gtid"
	"cdc/internal/settings"
)

// Each format of files takes its own settings, and no others'.
func TestFilesFormats(t *testing.T) {
	d := &debezium.Options{TopicPrefix: "p"}
	for _, c := range []struct {
		f         FilesConfig
		extension string // "" for JSON lines
		problem   string
	}{
		{f: FilesConfig{}},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "csv"}, FilesFormatConfig: FilesFormatConfig{CSV: &csv.Options{Null: `\N`}}}, extension: ".csv"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "parquet"}}, extension: ".parquet"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "avro"}, FilesFormatConfig: FilesFormatConfig{Avro: &AvroFilesConfig{Codec: "zstandard"}}}, extension: ".avro"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "debezium-avro", Debezium: d}}, extension: ".avro"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "orc"}}, problem: "csv, parquet, avro, debezium-avro"},
		{f: FilesConfig{FilesFormatConfig: FilesFormatConfig{CSV: &csv.Options{}}}, problem: "goes with format: csv"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "csv"}, FilesFormatConfig: FilesFormatConfig{Parquet: &parquet.Options{}}}, problem: "goes with format: parquet"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "csv"}, FilesFormatConfig: FilesFormatConfig{Avro: &AvroFilesConfig{}}}, problem: "goes with format: avro"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "avro", Debezium: d}}, problem: "goes with format: debezium"},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "avro"}, FilesFormatConfig: FilesFormatConfig{Avro: &AvroFilesConfig{Codec: "lzo"}}}, problem: "codec"},
		{
			f:       FilesConfig{FormatConfig: FormatConfig{Format: "avro"}, FilesFormatConfig: FilesFormatConfig{Avro: &AvroFilesConfig{Options: avro.Options{Optional: "all"}}}},
			problem: "debezium-avro",
		},
		{f: FilesConfig{FormatConfig: FormatConfig{Format: "parquet"}, FilesFormatConfig: FilesFormatConfig{Parquet: &parquet.Options{Codec: "lzo"}}}, problem: "codec"},
	} {
		var got []settings.Problem
		c.f.validateFormat(&got, "x")
		if c.problem != "" {
			if len(got) == 0 || !strings.Contains(got[0].Text, c.problem) {
				t.Errorf("%s: %v, want %q", c.f.Format, got, c.problem)
			}
			continue
		}
		if len(got) > 0 {
			t.Errorf("%s: %v", c.f.Format, got)
			continue
		}
		maker, err := c.f.makers(gtid.MySQL)
		if err != nil {
			t.Errorf("%s: %v", c.f.Format, err)
			continue
		}
		extension := ""
		if k, ok := maker().(format.Container); ok {
			extension = k.Extension()
		}
		if extension != c.extension {
			t.Errorf("%s: files end in %q, want %q", c.f.Format, extension, c.extension)
		}
	}
}
