// Package transform defines what may happen to changes between source and sink: filter, route, project, mask, compute.
package transform

import (
	"cdc/event"
	"cdc/schemas"
)

// Func rewrites change i of in by the calls it makes on out (see event.Builder): none of them drops the change. tables holds the indexes, in
// out, of the tables that Bind gave. An error is a fault of that row.
type Func func(in *event.Batch, i int, tables []uint16, out *event.Builder) error

// Transform is one step. It is bound once to each table version, so that everything that depends on columns is found out once and not per row.
type Transform interface {
	// Bind gives the tables that the changes of t become, and the function that rewrites them. A nil Func passes all changes of t unchanged.
	// Errors are of the configuration: a column that is not there, an expression that does not compile.
	Bind(t *schemas.Table) ([]*schemas.Table, Func, error)
}
