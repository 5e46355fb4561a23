// Package transform defines what may happen to changes between source and sink, and does it: choose tables and columns, route, rename, mask,
// filter rows, compute columns.
//
// A Transform is bound once to each table version (Bind), and gives the table that its changes become and a function for the changes. What
// depends on columns is found out then and not per row. The pipeline runs the steps of a stream one after the other over whole batches; a step
// that only renames costs nothing per row, the others copy 16 bytes per column.
//
//	steps, err := transform.Open(configs)     // secrets are read, expressions parsed
//	for _, s := range steps {
//		g, err := s.Bind(table)
//		...
//	}
//
// Config is what a user writes: a list of one-ofs. Each kind stands in a file of its own: tables.go (include, exclude), columns.go
// (include_columns, exclude_columns, project), rename.go, route.go, mask.go, filter.go, compute.go.
//
// # Derived tables
//
// Formats and sinks build on the derived table alone, so all of it is right: ordinals of keys, unique keys that still are unique, types of what
// a mask made. derive.go makes them.
//
// # Expressions
//
// The grammar is that of expr-lang/expr, whose parser is used. The evaluation is not: its operators turn DECIMAL into a float and BIGINT
// UNSIGNED beyond 2^63 negative, its values are interfaces that cost allocations, and its loops need budgets. Here an expression becomes a tree
// of closures over 64-byte values, without an allocation per row; there are no loops, so that its time is bounded by its length and that of
// the row's values; and everything is checked against the types of the table when it is bound. compile.go has the operators, functions.go the
// functions, value.go and decimal.go the values.
//
// # What must not be shown
//
// Error texts hold no values, since they go to logs and dead letters. A step that hides something says so (Hider), and the pipeline then takes
// the statements out of the groups (Rows_query), and the literals out of DDL (Redact). Binding.Open tells the pipeline which columns are masked
// or dropped by later steps, so that a dead letter of an early step does not show them.
package transform
