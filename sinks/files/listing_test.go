package files_test

import (
	"context"
	"slices"
	"testing"

	"cdc/sinks/files"
)

// listings gives a list of the manifests' folder from which the first calls leave names out, as one does that is read while files appear.
type listings struct {
	reading
	without [][]string
	calls   int
}

func (l *listings) List(ctx context.Context, dir string) ([]string, error) {
	names, err := l.reading.List(ctx, dir)
	if dir != "_manifest" || err != nil {
		return names, err
	}
	l.calls++
	if l.calls > len(l.without) {
		return names, nil
	}
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(l.without[l.calls-1], n) }), nil
}

// TestListings looks that no publication is given without the one before it, whichever of them a list has.
func TestListings(t *testing.T) {
	t.Parallel()
	const one, two, three = "0000000001.jsonl", "0000000002.jsonl", "0000000003.jsonl"
	place := inspected(t).Files()
	for name, c := range map[string]struct {
		without [][]string
		want    []uint64
	}{
		"all":                               {nil, []uint64{1, 2, 3}},
		"the last one is new":               {[][]string{{three}}, []uint64{1, 2}},
		"the last but one is missing":       {[][]string{{two}}, []uint64{1, 2, 3}},
		"another one is missing then":       {[][]string{{two, three}, {two}}, []uint64{1}},
		"none at first, and then the last":  {[][]string{{one, two, three}, {one, two}}, nil},
		"the first, and then without a gap": {[][]string{{two, three}, nil}, []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []uint64
			err := files.Manifests(t.Context(), &listings{reading: reading{place}, without: c.without}, func(p *files.Publication) error {
				got = append(got, p.Number)
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v, %v; want %v", got, err, c.want)
			}
		})
	}
}
