package format

import (
	"context"

	"cdc/schemas"
)

// Subject says what a schema is registered for.
type Subject struct {
	Topic  string // of the records
	Record string // full name of the schema's record
	Key    bool   // the schema is that of keys
}

// Schema is a schema as a registry has it.
type Schema struct {
	Subject Subject
	Text    []byte
}

// Registrar gives schemas the numbers by which records name them: a schema registry.
type Registrar interface {
	// ID registers a schema, if it is not yet, and gives its id. It may block until ctx ends. Its faults of class Retry are worth another try.
	ID(ctx context.Context, s Schema) (uint32, error)
}

// Preparer is implemented by encoders whose records name their schemas by the id that a Registrar gives.
type Preparer interface {
	// Prepare registers what the changes of t need, whose records go to a topic. A sink calls it whenever the table is another than that of the
	// change before. It may block until ctx ends; its errors are those of the Registrar.
	Prepare(ctx context.Context, t *schemas.Table, topic string) error
	// Describe gives the schemas that Prepare registers.
	Describe(t *schemas.Table, topic string) []Schema
}
