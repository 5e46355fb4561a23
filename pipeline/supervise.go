package pipeline

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"cdc/fault"
)

// Supervise runs streams that open makes, one after the other: each begins at the checkpoint. It opens a new one, after a pause that doubles from
// half a second to half a minute, when the last one failed with a fault that goes away by itself. It gives nil when a run ended well, or the
// fault that does not go away. stop ends it cleanly, with nil also between two runs; a run that fails when it is already told to stop, such as
// one whose last checkpoint cannot be saved, is not tried again, and its fault is given: nothing is lost, but not all was made durable.
//
// open must have freed everything by the time run returns, also what it opened before it failed.
func Supervise(ctx context.Context, stop <-chan struct{}, log *slog.Logger, run func(context.Context) error) error {
	const first, most = 500 * time.Millisecond, 30 * time.Second
	pause := first
	for {
		began := time.Now()
		err := run(ctx)
		if err == nil || ctx.Err() != nil || fault.ClassOf(err) != fault.Retry {
			return err
		}
		select {
		case <-stop:
			return err
		default:
		}
		if time.Since(began) > 2*most {
			pause = first // it ran well for a while: this is a new trouble
		}
		wait := pause/2 + rand.N(pause/2) // many processes that lost one server do not come back together
		log.Warn("stream failed, trying again", "error", err, "in", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-stop:
			return nil // nothing is under way between two runs, and what the last one made durable is in the checkpoint
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, most)
	}
}
