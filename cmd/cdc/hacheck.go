package main

import (
	"context"

	"cdc/checkpoint/topic"
	"cdc/fault"
)

// checkHA looks at what the processes of one pipeline share. It takes nothing from the owner.
func (c *Config) checkHA(ctx context.Context) []fault.Finding {
	if c.HA == nil {
		return nil
	}
	o, err := c.haOptions()
	if err != nil {
		return []fault.Finding{findingOf("ha", err)}
	}
	o.Patience = checkTablesWithin
	return topic.Check(ctx, o)
}

// peeked gives what the topic holds, where it holds the place of any stream; nil without ha, and where the topic cannot be read: checkHA says that.
func (c *Config) peeked(ctx context.Context) *topic.View {
	if c.HA == nil {
		return nil
	}
	v, err := c.peek(ctx)
	if err != nil {
		return nil
	}
	if names, err := v.Streams(ctx); err != nil || len(names) == 0 {
		return nil
	}
	return v
}

// preflightHA is the part of the check that a process makes before it joins the others. Brokers that do not answer are waited for.
func (a *app) preflightHA(ctx context.Context) error {
	if a.cfg.HA == nil || a.noCheck {
		return nil
	}
	findings := a.cfg.checkHA(ctx)
	for _, f := range findings {
		if f.Level == fault.Warn && a.firstWarning(f.Check+"\x00"+f.What) {
			a.log.Warn("check", "what", f.Check, "found", f.What, "cure", f.Cure)
		}
	}
	if retryable(findings) != nil {
		return nil //nolint:nilerr // the election says it for as long as it lasts
	}
	return checkFailure(findings)
}
