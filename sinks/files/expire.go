package files

import (
	"context"
	"time"
)

// stepExpires is how many files one step removes at most.
const stepExpires = 1000

// Expire removes published files whose publication was decided on before a time; of a file that was made of others, the last of theirs. yield, where it is not nil, is
// called for each file when it is removed. What the last finished publication has stays, and statements do.
func (k *Keeper) Expire(ctx context.Context, before time.Time, match func(*Listed) bool, yield func(*Listed) error) error {
	if yield == nil {
		yield = func(*Listed) error { return nil }
	}
	if err := k.Finish(ctx); err != nil {
		return err
	}
	if err := k.look(ctx); err != nil {
		return err
	}
	old, err := k.old(ctx, before, match)
	if err != nil || len(old) == 0 {
		return err
	}
	if err := k.begin(ctx); err != nil {
		return err
	}
	return busy(k.w.why(ctx, k.expire(ctx, old, yield)))
}

// PlanExpire calls yield for each file that Expire would remove, and changes nothing.
func PlanExpire(ctx context.Context, at Reader, before time.Time, match func(*Listed) bool, yield func(*Listed) error) error {
	k := &Keeper{at: at}
	if err := k.look(ctx); err != nil {
		return err
	}
	old, err := k.old(ctx, before, match)
	if err != nil {
		return err
	}
	for i := range old {
		if err := yield(&old[i]); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) expire(ctx context.Context, old []Listed, yield func(*Listed) error) error {
	for len(old) > 0 {
		now := old[:min(len(old), stepExpires)]
		old = old[len(now):]
		lines := make([]upkeepLine, len(now))
		for i := range now {
			f := &now[i]
			lines[i] = upkeepLine{Publication: f.Publication, Published: f.Time, Expired: true, pubFile: f.pubFile}
		}
		if err := k.step(ctx, nil, lines); err != nil {
			return err
		}
		for i := range now {
			if err := yield(&now[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Keeper) old(ctx context.Context, before time.Time, match func(*Listed) bool) (old []Listed, err error) {
	limit := before.UnixMicro()
	err = Manifests(ctx, k.at, func(p *Publication) error {
		if p.Number >= k.done { // the end of what the sink has finished, and what it may still have to publish again
			return nil
		}
		for i := range p.Files {
			if f := &p.Files[i]; f.Time < limit && !f.Statements() && (match == nil || match(f)) {
				old = append(old, *f)
			}
		}
		return nil
	})
	return old, err
}
