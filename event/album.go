package event

// Album keeps images beyond the life of the batches that they came in. All of them share an arena, so that format.SameCell may compare any two of its
// images. The zero Album is empty and ready. It is not safe for concurrent use.
type Album struct {
	arena []byte
	cells int
}

// Keep copies an image. What it gives is for Row.
func (a *Album) Keep(r Row) []Cell {
	cells := make([]Cell, len(r.Cells))
	for i, c := range r.Cells {
		if c.kind.InArena() {
			from := len(a.arena)
			a.arena = append(a.arena, r.Bytes(c)...)
			c.num = uint64(from)
		}
		cells[i] = c
	}
	a.cells += len(cells)
	return cells
}

// Row gives an image that was kept, the zero Row for nil. It is valid until the next Keep.
func (a *Album) Row(cells []Cell) Row {
	if cells == nil {
		return Row{}
	}
	return Row{Cells: cells, arena: a.arena}
}

// Drop forgets the image that was kept last.
func (a *Album) Drop(cells []Cell) {
	for _, c := range cells {
		if c.kind.InArena() {
			a.arena = a.arena[:c.num]
			break
		}
	}
	a.cells -= len(cells)
}

// Size is how many bytes all images take that were kept and not dropped.
func (a *Album) Size() int64 { return int64(len(a.arena)) + 16*int64(a.cells) }
