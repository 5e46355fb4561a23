package kafka

import (
	"context"

	"cdc/format"
	"cdc/schemas"
)

// prepare has the schemas of a table registered, where the records of the format name them. A registry that does not answer is waited for, as a
// broker is.
func (e *encoder) prepare(ctx context.Context, t *schemas.Table, topic string) error {
	p, ok := e.enc.(format.Preparer)
	if !ok {
		return nil
	}
	return e.s.stalls.persist(ctx, "the schema registry", func() error {
		err := p.Prepare(ctx, t, topic)
		if err != nil {
			e.dispatch(true) // what is written already does not wait with the next table
		}
		return err
	})
}

// schemas looks at what the registry has for tables that have a topic.
func (c *checker) schemas(ctx context.Context, namer *namer, tables []*schemas.Table) {
	if c.opt.CheckSchemas == nil {
		return
	}
	p, ok := c.opt.Encoder().(format.Preparer)
	if !ok {
		return
	}
	var list []format.Schema
	for _, t := range tables {
		if topic, err := namer.topic(t); err == nil { // else there is a finding of it
			list = append(list, p.Describe(t, topic)...)
		}
	}
	c.Findings = append(c.Findings, c.opt.CheckSchemas(ctx, list)...)
}
