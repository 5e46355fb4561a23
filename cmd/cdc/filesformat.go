package main

import (
	"fmt"

	"cdc/format"
	"cdc/format/csv"
	"cdc/gtid"
	"cdc/internal/settings"
)

// FilesFormatConfig is of the formats that make files of a kind of their own.
type FilesFormatConfig struct {
	CSV *csv.Options `yaml:"csv" jsonschema_description:"Settings of the csv format."`
}

// formatCSV is a format that only the files sink has.
const formatCSV = "csv"

// validateFormat appends what is wrong with the format and its settings.
func (f *FilesConfig) validateFormat(out *[]settings.Problem, at string) {
	problem := func(key, format string, args ...any) {
		*out = append(*out, settings.Problem{Path: at + "." + key, Text: fmt.Sprintf(format, args...)})
	}
	if f.CSV != nil {
		f.settings(problem, formatCSV, f.CSV)
	}
	other := f.FormatConfig
	if f.Format == formatCSV {
		other.Format = "plain"
	}
	before := len(*out)
	other.validate(out, at, false) // what goes with another format
	for i := range (*out)[before:] {
		if p := &(*out)[before+i]; p.Path == at+".format" {
			p.Text += ", " + formatCSV
		}
	}
}

// makers gives what makes encoders.
func (f *FilesConfig) makers(flavor gtid.Flavor) (func() format.Encoder, error) {
	if f.Format == formatCSV {
		var o csv.Options
		if f.CSV != nil {
			o = *f.CSV
		}
		return maker(o, csv.New)
	}
	return f.encoder(flavor, false)
}
