package transform

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// path leads to a part of a document: steps are names of members, or places in a list.
type path []pathStep

type pathStep struct {
	name  string
	index int // -1 for a name
}

var errPath = errors.New(`a path is as in $.name[0]."other name"`)

// parsePath reads the part of MySQL's path syntax that leads to one place ("JSON Path Syntax"): no wildcards and no ranges.
func parsePath(s string) (path, error) {
	s, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, errPath
	}
	p := path{}
	for s != "" {
		switch s[0] {
		case '.':
			s = s[1:]
			var name string
			if strings.HasPrefix(s, `"`) {
				end := stringEnd(s, 0)
				if end < 0 || json.Unmarshal([]byte(s[:end]), &name) != nil {
					return nil, errPath
				}
				s = s[end:]
			} else {
				end := strings.IndexAny(s, ".[")
				if end < 0 {
					end = len(s)
				}
				name, s = s[:end], s[end:]
				if name == "" || strings.ContainsAny(name, "*\" ") {
					return nil, errPath
				}
			}
			p = append(p, pathStep{name: name, index: -1})
		case '[':
			end := strings.IndexByte(s, ']')
			if end < 0 {
				return nil, errPath
			}
			n, err := strconv.ParseUint(s[1:end], 10, 31)
			if err != nil {
				return nil, errPath
			}
			p = append(p, pathStep{index: int(n)})
			s = s[end+1:]
		default:
			return nil, errPath
		}
	}
	return p, nil
}

// find gives the value at the path; null where there is none. ok is false where doc is not JSON as far as it was looked at.
func (p path) find(doc string) (v value, ok bool) {
	i := space(doc, 0)
	for _, step := range p {
		var found bool
		switch {
		case i >= len(doc):
			return value{}, false
		case doc[i] == '{' && step.index < 0:
			i, found, ok = member(doc, i, step.name)
		case doc[i] == '[' && step.index >= 0:
			i, found, ok = element(doc, i, step.index)
		default:
			_, ok := jsonValue(doc, i)
			return null(), ok
		}
		if !ok {
			return value{}, false
		}
		if !found {
			return null(), true
		}
	}
	return jsonValue(doc, i)
}

func space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// stringEnd gives the place behind the string that begins at i, -1 where it does not end.
func stringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue gives the place behind the value at i, -1 where it does not end.
func skipValue(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			if i = stringEnd(s, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ' ', ':', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	if depth > 0 {
		return -1
	}
	return i
}

// member finds a member of the object at i.
func member(s string, i int, name string) (at int, found, ok bool) {
	for i++; ; i++ {
		i = space(s, i)
		if i < len(s) && s[i] == '}' {
			return i, false, true
		}
		if i >= len(s) || s[i] != '"' {
			return i, false, false
		}
		end := stringEnd(s, i)
		if end < 0 {
			return i, false, false
		}
		key := s[i+1 : end-1]
		same := key == name
		if strings.IndexByte(key, '\\') >= 0 {
			var plain string
			if json.Unmarshal([]byte(s[i:end]), &plain) != nil {
				return i, false, false
			}
			same = plain == name
		}
		if i = space(s, end); i >= len(s) || s[i] != ':' {
			return i, false, false
		}
		i = space(s, i+1)
		if same {
			return i, true, true
		}
		if i = skipValue(s, i); i < 0 {
			return 0, false, false
		}
		if i = space(s, i); i >= len(s) || s[i] != ',' && s[i] != '}' {
			return i, false, false
		}
		if s[i] == '}' {
			return i, false, true
		}
	}
}

// element finds an element of the list at i.
func element(s string, i, index int) (at int, found, ok bool) {
	for i++; ; i++ {
		i = space(s, i)
		if i < len(s) && s[i] == ']' {
			return i, false, true
		}
		if index == 0 {
			return i, i < len(s), i < len(s)
		}
		index--
		if i = skipValue(s, i); i < 0 {
			return 0, false, false
		}
		if i = space(s, i); i >= len(s) || s[i] != ',' && s[i] != ']' {
			return i, false, false
		}
		if s[i] == ']' {
			return i, false, true
		}
	}
}

// jsonValue reads the value at i.
func jsonValue(s string, i int) (value, bool) {
	i = space(s, i)
	end := skipValue(s, i)
	if end <= i {
		return value{}, false
	}
	raw := s[i:end]
	switch raw[0] {
	case '"':
		if strings.IndexByte(raw, '\\') < 0 {
			return text(raw[1 : len(raw)-1]), true
		}
		var plain string
		if json.Unmarshal([]byte(raw), &plain) != nil {
			return value{}, false
		}
		return text(plain), true
	case '{', '[':
		return text(raw), true
	}
	switch raw {
	case "null":
		return null(), true
	case "true", "false":
		return boolean(raw == "true"), true
	}
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return integer(n), true
	}
	if isDecimalText(raw) {
		return value{class: isDecimal, s: raw}, len(raw) <= maxNumber
	}
	f, err := strconv.ParseFloat(raw, 64)
	return float(f), err == nil
}
