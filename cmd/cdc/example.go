package main

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cdc/fault"
	"cdc/internal/settings"
)

func exampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "example [SINK]",
		Short: "Print a configuration with every setting of a sink, or list the sinks",
		Long: `Example prints a whole configuration for one sink, with a description of each setting. Those that a pipeline needs are set; the others stand
behind a # with their defaults. With the addresses changed it passes ` + "`cdc config check`" + ` as it is.`,
		Example: `  cdc config example                      # the sinks
  cdc config example files > pipeline.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				for _, s := range sinkNames() {
					if _, err := fmt.Fprintf(c.OutOrStdout(), "%-8s %s\n", s.name, s.what); err != nil {
						return err
					}
				}
				return nil
			case 1:
				text, err := exampleConfig(args[0])
				if err != nil {
					return err
				}
				_, err = io.WriteString(c.OutOrStdout(), text)
				return err
			}
			return fault.New(fault.UsageInvalid, "want one sink, found %d arguments", len(args)).Hint("`cdc config example` lists the sinks")
		},
	}
}

type sinkName struct{ name, what string }

// sinkNames gives the sinks that a stream may have, in the order of the configuration.
func sinkNames() []sinkName {
	var out []sinkName
	for _, f := range settings.Fields(reflect.TypeFor[SinkConfig]()) {
		out = append(out, sinkName{settingName(f), f.Tag.Get("jsonschema_description")})
	}
	return out
}

func settingName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// exampleConfig is a whole configuration whose stream has the sink of this name. It is made of the structs that configurations are read into, as
// docs/configuration.md is.
func exampleConfig(sink string) (string, error) {
	var names []string
	for _, s := range sinkNames() {
		names = append(names, s.name)
	}
	live, ok := exampleValues()[sink]
	if !ok {
		return "", fault.New(fault.UsageInvalid, "there is no sink %q", sink).Hint("there are %s", strings.Join(names, ", "))
	}
	e := example{live: map[string]string{}, whole: "streams.sink." + sink}
	for _, set := range []map[string]string{exampleValues()[""], live} {
		for k, v := range set {
			e.live[k] = v
		}
	}
	e.note("", "A pipeline to the sink "+sink+". A line that begins with # and no space behind it is a setting with its default: take the # away to set it. "+
		"docs/configuration.md has the settings that are not named here: of transforms, and all of the source's.")
	e.section(reflect.TypeFor[Config](), "", "", false)
	return e.out.String(), nil
}

// exampleValues gives the settings that stand in an example without a #, by their path: those of all pipelines under "", and those of each sink.
// A section stands there when a setting in it does.
func exampleValues() map[string]map[string]string {
	return map[string]map[string]string{
		"": {
			"source.mysql.address": "db1:3306", "source.mysql.user": "cdc", "source.mysql.password": "{env: CDC_PASSWORD}", "source.mysql.tls.mode": "verify-identity",
			"source.tables": `["shop.%", "!shop.tmp_%"]`, "source.start": "now", "streams.name": "orders", "checkpoint.dir": "./state",
		},
		"files":  {"streams.sink.files.dir": "./out", "streams.sink.files.format": "plain"},
		"stdout": {"streams.sink.stdout.format": "plain"},
		"kafka":  {"streams.sink.kafka.brokers": `["k1:9092", "k2:9092"]`, "streams.sink.kafka.format": "debezium"},
		"mysql":  {"streams.sink.mysql.address": "db2:3306", "streams.sink.mysql.user": "cdc", "streams.sink.mysql.password": "{env: CDC_TARGET_PASSWORD}"},
		"null":   {"streams.sink.null.format": "none"},
	}
}

// example writes a configuration.
type example struct {
	out   strings.Builder
	live  map[string]string
	whole string // the section of which every setting is written
}

// section writes the settings of a struct at a path, such as streams.sink, indented so far. off says that they all stand behind a #.
func (e *example) section(t reflect.Type, path, indent string, off bool) {
	fields := settings.Fields(t)
	if path == e.whole {
		slices.SortStableFunc(fields, func(a, b reflect.StructField) int { return cmp.Compare(e.rank(a, path), e.rank(b, path)) })
	}
	for _, f := range fields {
		name := settingName(f)
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		live, set := e.live[at]
		within := e.within(at)
		if !set && !within && !e.wanted(at, f.Type) {
			continue
		}
		hash := ""
		if off || !set && !within {
			hash = "#"
		}
		e.note(indent, describeSetting(f))
		inner, list := f.Type, false
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			inner, list = inner.Elem(), true
		}
		switch {
		case set:
			fmt.Fprintf(&e.out, "%s%s: %s\n", indent, name, live)
		case list && hash != "": // docs/configuration.md has what an item may have
			fmt.Fprintf(&e.out, "%s%s%s: []\n", indent, hash, name)
		case !isSection(inner):
			fmt.Fprintf(&e.out, "%s%s%s: %s\n", indent, hash, name, defaultOf(f, inner))
		case list:
			fmt.Fprintf(&e.out, "%s%s%s:\n", indent, hash, name)
			var item example
			item.live, item.whole = e.live, e.whole
			item.section(inner, at, indent+"    ", hash != "")
			e.out.WriteString(asItem(item.out.String(), indent+"  "))
		default:
			fmt.Fprintf(&e.out, "%s%s%s:\n", indent, hash, name)
			e.section(inner, at, indent+"  ", hash != "")
		}
	}
}

// rank puts the settings of a sink that are set before the others.
func (e *example) rank(f reflect.StructField, path string) int {
	if _, set := e.live[path+"."+settingName(f)]; set {
		return 0
	}
	return 1
}

// within reports a section that holds a setting without a #.
func (e *example) within(at string) bool {
	for k := range e.live {
		if strings.HasPrefix(k, at+".") {
			return true
		}
	}
	return false
}

// wanted reports a setting that is written behind a #: all of the sink, and the single ones of the file, of a stream and of the checkpoint.
func (e *example) wanted(at string, t reflect.Type) bool {
	if strings.HasPrefix(at, e.whole+".") {
		return true
	}
	top, _, deep := strings.Cut(at, ".")
	switch top {
	case "source":
		return false
	case "streams":
		return at == "streams.on_error"
	case "checkpoint":
		return true
	}
	return deep || !isSection(t) || top == "admin"
}

// isSection reports a struct that is written as a section; secrets and what is read from text are values.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[settings.Secret]()
}

// asItem makes the settings of a struct an item of a list: the first setting has the dash.
func asItem(text, indent string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if rest := strings.TrimPrefix(l, indent+"  "); rest != l && !strings.HasPrefix(rest, "#") {
			lines[i] = indent + "- " + rest
			break
		}
	}
	return strings.Join(lines, "\n")
}

// note writes a comment, wrapped.
func (e *example) note(indent, text string) {
	const width = 118
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent+"#" {
			e.out.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	e.out.WriteString(line + "\n")
}

// describeSetting is the description of a setting, with the values that it may have where the description does not name them.
func describeSetting(f reflect.StructField) string {
	text := f.Tag.Get("jsonschema_description")
	values := strings.ReplaceAll(enumOf(f.Tag.Get("jsonschema")), "`", "")
	for v := range strings.SplitSeq(values, ", ") {
		if !strings.Contains(text, v) {
			return text + " One of " + values + "."
		}
	}
	return text
}

var defaultText = regexp.MustCompile(`Default:? (\S+?)[.,;:](?:\s|$)`)

// defaultOf gives the default of a setting as it is written, as its description names it; else nothing of its type.
func defaultOf(f reflect.StructField, t reflect.Type) string {
	enum := strings.ReplaceAll(enumOf(f.Tag.Get("jsonschema")), "`", "")
	def := ""
	if m := defaultText.FindStringSubmatch(f.Tag.Get("jsonschema_description")); m != nil {
		def = m[1]
	}
	switch {
	case enum != "" && t.Kind() == reflect.Slice: // all of them
		return "[" + enum + "]"
	case enum != "":
		values := strings.Split(enum, ", ")
		for _, v := range values {
			if v == def {
				return v
			}
		}
		return values[0]
	case t == reflect.TypeFor[settings.Secret]():
		return "{env: NAME}"
	case t == reflect.TypeFor[time.Duration]():
		if _, err := time.ParseDuration(def); err != nil {
			return "0s"
		}
		return def
	case reflect.Zero(t).CanInt(), reflect.Zero(t).CanUint(), reflect.Zero(t).CanFloat():
		if def == "" || def[0] < '0' || def[0] > '9' {
			return "0"
		}
		return def
	case t.Kind() == reflect.Bool:
		if def == "true" {
			return def
		}
		return "false"
	case t.Kind() == reflect.Slice:
		return "[]"
	case t.Kind() == reflect.Map:
		return "{}"
	case def == "none":
		return `""`
	}
	return fmt.Sprintf("%q", def)
}
