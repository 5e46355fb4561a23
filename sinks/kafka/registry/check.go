package registry

import (
	"context"

	"github.com/twmb/franz-go/pkg/sr"

	"cdc/fault"
	"cdc/format"
)

// mostFindings is how many schemas are named one by one.
const mostFindings = 8

// Check looks at what a sink will need of the registry for schemas: that it answers, that they are there or may be registered, and what it compares.
// It registers nothing.
func (c *Client) Check(ctx context.Context, list []format.Schema) (out fault.Findings) {
	const check = "schema registry"
	levels := c.sr.Compatibility(ctx)
	if len(levels) == 1 && levels[0].Err != nil {
		f, ok := fault.As(c.fault(levels[0].Err, "ask for the compatibility level"))
		if !ok {
			f = fault.New(fault.RegistryUnreachable, "no answer in time")
		}
		out.Error(check, f)
		return out
	}
	level := sr.CompatBackward
	if len(levels) == 1 {
		level = levels[0].Level
	}
	if level == sr.CompatNone {
		out.Warn(check, `set the registry's global level: PUT /config {"compatibility": "BACKWARD"}`,
			"it answers, and compares nothing (compatibility NONE): readers may meet a schema that they cannot read")
	} else {
		out.Pass(check, "it answers; compatibility %s", level)
	}
	known, fresh, bad := 0, 0, 0
	for _, s := range list {
		subject := c.subject(s.Subject)
		id, there, err := c.lookup(ctx, subject, string(s.Text))
		why := ""
		if err == nil && id == 0 && there {
			why, err = c.compare(ctx, subject, string(s.Text))
		}
		switch f, _ := fault.As(err); {
		case err != nil:
			if f == nil {
				f = fault.New(fault.RegistryUnreachable, "no answer in time")
			}
			out.Error(check, f)
			return out
		case id != 0:
			known++
		case c.cfg.Register != nil && !*c.cfg.Register:
			if bad++; bad <= mostFindings {
				d, _ := fault.Describe(fault.RegistryMissing)
				out.Fail(fault.RegistryMissing, check, d.Cure, "subject %s does not have the schema, and register is false", subject)
			}
		case why == "":
			fresh++
		case c.cfg.Incompatible == incompatibleNew:
			if bad++; bad <= mostFindings {
				out.Hint(check, "none is needed", "the schema is not compatible with those of subject %s and goes to %s or the next: %s", subject, numbered(subject, 2), why)
			}
		default:
			if bad++; bad <= mostFindings {
				d, _ := fault.Describe(fault.RegistryIncompatible)
				out.Fail(fault.RegistryIncompatible, check, d.Cure, "the schema is not compatible with those of subject %s: %s", subject, why)
			}
		}
	}
	if known+fresh > 0 {
		out.Pass("schemas", "%d are registered, %d will be", known, fresh)
	}
	return out
}
