package transform

import (
	"cdc/event"
	"cdc/schemas"
)

// Func rewrites change i of in by the calls it makes on out (see event.Builder): none of them drops the change. tables holds the indexes, in
// out, of the tables of the Binding. An error is a fault of that row, and shows no value of it.
type Func func(in *event.Batch, i int, tables []uint16, out *event.Builder) error

// Binding is what a transform does with one table version.
type Binding struct {
	// Tables are what the changes become. With a nil Func there is one, which has the columns of the bound table, with other names perhaps.
	Tables []*schemas.Table
	// Func rewrites a change; nil passes all of them as changes of Tables[0].
	Func Func
	// Open says for each column of the bound table whether its value goes on unchanged and in clear. nil stands for all columns.
	Open []bool
	// From says for each column of Tables[0] which column of the bound table it holds unchanged, -1 where none. nil stands for each its own.
	From []int32
	// Masked names columns of Tables[0] that hold masked values.
	Masked []string
}

// Transform is one step. It is bound once to each table version, so that everything that depends on columns is found out once and not per row.
// One stream uses it, from one goroutine at a time.
type Transform interface {
	// Bind gives what is done with the changes of t, which is never nil. Errors are of the configuration: a column that is not there, an
	// expression that does not fit.
	Bind(t *schemas.Table) (Binding, error)
}

// Namer is implemented by transforms that drop or rename whole tables, so that DDL statements can follow.
type Namer interface {
	// Name gives what becomes of a table, or of a database where n.Table is empty; keep is false where nothing of it is carried.
	Name(n schemas.Name) (to schemas.Name, keep bool)
}

// Hidden says what the text of statements may show that a transform takes away.
type Hidden uint8

// Rows may be in the statements that changed rows (Rows_query); values may be in literals of DDL too.
const (
	HidesRows Hidden = 1 << iota
	HidesValues
)

// Hider is implemented by transforms that keep something from those who read the target.
type Hider interface {
	Hides() Hidden
}

// Forgetter is implemented by transforms that remember the tables they were bound to.
type Forgetter interface {
	// Forget says that a table is no more, or a database where n.Table is empty. The name is the one that Bind has seen.
	Forget(n schemas.Name)
}

// Idler is implemented by transforms that are for some tables or columns only.
type Idler interface {
	// Idle gives the patterns that have fitted nothing in any Bind so far: they may be mistyped.
	Idle() []string
}

// nameless reports a table of which nothing but the name is known. There are no rows of it, only a TRUNCATE.
func nameless(t *schemas.Table) bool { return len(t.Columns) == 0 }

// pass is the binding of a table that a transform does not touch.
func pass(t *schemas.Table) Binding { return Binding{Tables: []*schemas.Table{t}} }
