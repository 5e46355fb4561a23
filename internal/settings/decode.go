package settings

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"cdc/fault"
)

// Problem is something wrong at a path such as streams[0].sink.files.dir.
type Problem struct {
	Path string
	Text string
	Code fault.Code // fault.ConfigInvalid where 0
}

// Document is a decoded file that still knows where each setting stood.
type Document struct {
	File  string
	lines map[string]mark
}

type mark struct{ line, column int }

// Decode reads YAML into the struct that into points to. It reads on after a fault, so that all of them are reported at once; into then holds
// what could be read.
func Decode(file string, data []byte, into any) (*Document, []*fault.Error) {
	d := &decoder{doc: &Document{File: file, lines: map[string]mark{}}}
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return d.doc, []*fault.Error{syntaxFault(file, err)}
	}
	var body ast.Node
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.fault(doc.Body, "", "a second document: one file holds one configuration")
			return d.doc, d.faults
		}
		body = doc.Body
	}
	if body == nil {
		return d.doc, []*fault.Error{fault.New(fault.ConfigSyntax, "the file is empty").At(fault.Where{File: file, Line: 1, Column: 1})}
	}
	d.value(body, reflect.ValueOf(into).Elem(), "")
	return d.doc, d.faults
}

func syntaxFault(file string, err error) *fault.Error {
	where := fault.Where{File: file, Line: 1, Column: 1}
	text := err.Error()
	var s yaml.Error
	if errors.As(err, &s) {
		text = s.GetMessage()
		if t := s.GetToken(); t != nil && t.Position != nil {
			where.Line, where.Column = t.Position.Line, t.Position.Column
		}
	}
	return fault.New(fault.ConfigSyntax, "not YAML: %s", text).At(where)
}

// At turns problems into faults with the line of the setting, or of the nearest setting around it.
func (d *Document) At(problems []Problem) []*fault.Error {
	var out []*fault.Error
	for _, p := range problems {
		code := p.Code
		if code == 0 {
			code = fault.ConfigInvalid
		}
		where := fault.Where{File: d.File, Line: 1, Column: 1}
		for path := p.Path; ; {
			if m, ok := d.lines[path]; ok {
				where.Line, where.Column = m.line, m.column
				break
			}
			i := strings.LastIndexAny(path, ".[")
			if i < 0 {
				break
			}
			path = path[:i]
		}
		text := p.Text
		if p.Path != "" {
			text = p.Path + ": " + text
		}
		out = append(out, fault.New(code, "%s", text).At(where))
	}
	return out
}

type decoder struct {
	doc    *Document
	faults []*fault.Error
}

func (d *decoder) fault(n ast.Node, path, format string, args ...any) {
	where := fault.Where{File: d.doc.File, Line: 1, Column: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		where.Line, where.Column = t.Position.Line, t.Position.Column
	}
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	d.faults = append(d.faults, fault.New(fault.ConfigSyntax, "%s", text).At(where))
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	if t := n.GetToken(); t != nil && t.Position != nil {
		if _, ok := d.doc.lines[path]; !ok {
			d.doc.lines[path] = mark{t.Position.Line, t.Position.Column}
		}
	}
	switch x := n.(type) {
	case *ast.AnchorNode:
		d.value(x.Value, v, path)
		return
	case *ast.AliasNode, *ast.MergeKeyNode:
		d.fault(n, path, "aliases are not supported")
		return
	case *ast.TagNode:
		d.fault(n, path, "tags are not supported")
		return
	case *ast.NullNode:
		return // as if it were not there: the default holds
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path)
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(textType) {
		s, ok := scalar(n)
		if !ok {
			d.fault(n, path, "want a single value")
			return
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			d.fault(n, path, "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.names(n, v, path)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fault(n, path, "want a list")
			return
		}
		for i, e := range seq.Values {
			item := reflect.New(v.Type().Elem()).Elem()
			d.value(e, item, fmt.Sprintf("%s[%d]", path, i))
			v.Set(reflect.Append(v, item))
		}
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		if v.Type() == reflect.TypeFor[Secret]() {
			d.fault(n, path, "a secret is not written here: use {file: PATH} or {env: NAME}")
			return
		}
		d.fault(n, path, "want settings (key: value), found %q", n.GetToken().Value)
		return
	}
	fields := map[string][]int{}
	var names []string
	for _, f := range Fields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields[name] = f.Index
		names = append(names, name)
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		at := key
		if path != "" {
			at = path + "." + key
		}
		index, ok := fields[key]
		if !ok {
			if near := nearest(key, names); near != "" {
				d.fault(p.Key, path, "unknown setting %q; is it %q?", key, near)
			} else {
				d.fault(p.Key, path, "unknown setting %q; there are %s", key, strings.Join(names, ", "))
			}
			continue
		}
		if seen[key] {
			d.fault(p.Key, path, "%q is set twice", key)
			continue
		}
		seen[key] = true
		if t := p.Key.GetToken(); t.Position != nil {
			d.doc.lines[at] = mark{t.Position.Line, t.Position.Column}
		}
		d.value(p.Value, v.FieldByIndex(index), at)
	}
}

// names reads a mapping of names that are not ours, such as the settings of a topic, into a map[string]string.
func (d *decoder) names(n ast.Node, v reflect.Value, path string) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		d.fault(n, path, "want names with values (key: value), found %q", n.GetToken().Value)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range pairs {
		key := reflect.ValueOf(p.Key.GetToken().Value)
		if v.MapIndex(key).IsValid() {
			d.fault(p.Key, path, "%q is set twice", key)
			continue
		}
		text, ok := scalar(p.Value)
		if !ok {
			d.fault(p.Value, path+"."+key.String(), "want a single value")
			continue
		}
		v.SetMapIndex(key, reflect.ValueOf(text))
	}
}

// Fields gives the fields of a struct in their order. Those of a struct field with the tag `yaml:",inline"` stand in its place, as they do in
// the file; Index is the way to each from t.
func Fields(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("yaml") != ",inline" {
			out = append(out, f)
			continue
		}
		for _, in := range Fields(f.Type) {
			in.Index = append([]int{i}, in.Index...)
			out = append(out, in)
		}
	}
	return out
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	s, ok := scalar(n)
	if !ok {
		d.fault(n, path, "want a single value")
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		t, err := time.ParseDuration(s)
		if err != nil {
			d.fault(n, path, "%q is not a duration such as 500ms, 10s or 72h", s)
			return
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(s)
	case v.Kind() == reflect.Bool:
		if b, isBool := n.(*ast.BoolNode); isBool {
			v.SetBool(b.Value)
			return
		}
		d.fault(n, path, "%q is not true or false", s)
	case v.CanInt():
		i, err := strconv.ParseInt(s, 0, v.Type().Bits())
		if err != nil {
			d.fault(n, path, "%q is not a whole number of %d bits", s, v.Type().Bits())
			return
		}
		v.SetInt(i)
	case v.CanUint():
		i, err := strconv.ParseUint(s, 0, v.Type().Bits())
		if err != nil {
			d.fault(n, path, "%q is not a whole number from 0 of %d bits", s, v.Type().Bits())
			return
		}
		v.SetUint(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			d.fault(n, path, "%q is not a number", s)
			return
		}
		v.SetFloat(f)
	default:
		d.fault(n, path, "a setting of this kind cannot be read")
	}
}

func scalar(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// nearest finds the name that key was meant to be: at most two letters away.
func nearest(key string, names []string) string {
	best, name := 3, ""
	for _, n := range names {
		if k := distance(strings.ToLower(strings.ReplaceAll(key, "-", "_")), n); k < best {
			best, name = k, n
		}
	}
	return name
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
