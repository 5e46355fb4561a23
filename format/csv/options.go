package csv

import (
	"errors"
	"fmt"
	"strings"

	"cdc/fault"
)

// Options are the settings of the format.
type Options struct {
	Delimiter string `yaml:"delimiter,omitempty" jsonschema_description:"Of csv: what stands between two values: one of , ; | or a tab. Default ,."`
	LineEnd   string `yaml:"line_end,omitempty" jsonschema:"enum=crlf,enum=lf" jsonschema_description:"Of csv: what ends a line. Default crlf, as RFC 4180 has it."`
	Null      string `yaml:"null,omitempty" jsonschema_description:"Of csv: what stands for NULL, such as \\N. Default nothing, where an empty text is two quotes."`
	Binary    string `yaml:"binary,omitempty" jsonschema:"enum=base64,enum=hex" jsonschema_description:"Of csv: how bytes are written. Default base64."`
	Text      string `yaml:"invalid_text,omitempty" jsonschema:"enum=error,enum=replace" jsonschema_description:"Of csv: what is written for text that is not valid in its character set. Default error."`
}

// Values of the settings.
const (
	LineEndCRLF  = "crlf"
	LineEndLF    = "lf"
	BinaryBase64 = "base64"
	BinaryHex    = "hex"
	TextError    = "error"
	TextReplace  = "replace"
)

func (o Options) withDefaults() Options {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.Delimiter, ",")
	def(&o.LineEnd, LineEndCRLF)
	def(&o.Binary, BinaryBase64)
	def(&o.Text, TextError)
	return o
}

// Validate lists every setting that cannot work, as a fault.ConfigInvalid.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	oneOf := func(name, v string, allowed ...string) {
		for _, a := range allowed {
			if v == a {
				return
			}
		}
		errs = append(errs, fmt.Errorf("%s: %q is none of %q", name, v, allowed))
	}
	oneOf("delimiter", o.Delimiter, ",", ";", "|", "\t")
	oneOf("line_end", o.LineEnd, LineEndCRLF, LineEndLF)
	oneOf("binary", o.Binary, BinaryBase64, BinaryHex)
	oneOf("invalid_text", o.Text, TextError, TextReplace)
	if strings.ContainsAny(o.Null, "\"\r\n"+o.Delimiter) || len(o.Null) > 32 {
		errs = append(errs, fmt.Errorf("null: %q has a quote, a delimiter or a line end in it, or is longer than 32 bytes", o.Null))
	}
	if len(errs) > 0 {
		return fault.New(fault.ConfigInvalid, "format csv: %w", errors.Join(errs...))
	}
	return nil
}
