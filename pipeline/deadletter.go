package pipeline

import (
	"context"

	"cdc/event"
)

// DeadLetters keeps changes that a transform could not handle. Without one they stay in the batch, and the sink writes them.
type DeadLetters interface {
	// Write makes the dead letters of a batch durable: the batch goes to the sink, and may be acknowledged, only after it.
	Write(ctx context.Context, b *event.Batch) error
}

// bury hands dead letters over. They leave the batch then, so that a sink does not write them as well.
func (p *Pipeline) bury(ctx context.Context, b *event.Batch) error {
	if p.opt.Dead == nil {
		return nil
	}
	if err := p.opt.Dead.Write(ctx, b); err != nil {
		return err
	}
	clear(b.Dead)
	b.Dead = b.Dead[:0]
	return nil
}
