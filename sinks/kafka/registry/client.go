package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/sr"

	"cdc/fault"
	"cdc/format"
)

// Client gives schemas their ids. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	sr   *sr.Client

	mu  sync.Mutex
	ids map[key]uint32
}

// key is a schema of a subject, by the name that it has without regard to incompatible schemas.
type key struct{ subject, text string }

var _ format.Registrar = (*Client)(nil)

// Open makes a client. It does not wait for the registry, which may come later. Its errors are those of the settings and of the files they name.
func Open(c Config) (*Client, error) {
	c = c.withDefaults()
	h, err := c.client()
	if err != nil {
		return nil, err
	}
	s, err := sr.NewClient(sr.URLs(c.URLs...), sr.HTTPClient(h), sr.UserAgent("cdc"))
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "schema_registry: %w", err)
	}
	return &Client{cfg: c, http: h, sr: s, ids: map[key]uint32{}}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxSubjects is how many subjects one may become by incompatible schemas.
const maxSubjects = 1000

// ID gives the id of a schema, and registers it if it is not yet.
func (c *Client) ID(ctx context.Context, s format.Schema) (uint32, error) {
	k := key{c.subject(s.Subject), string(s.Text)}
	c.mu.Lock()
	defer c.mu.Unlock() // also over the requests: nobody asks twice for one schema
	if id, ok := c.ids[k]; ok {
		return id, nil
	}
	id, err := c.find(ctx, k)
	if err != nil {
		return 0, err
	}
	c.ids[k] = id
	return id, nil
}

// subject names the subject of a schema. The names are those of Confluent's strategies.
func (c *Client) subject(s format.Subject) string {
	switch c.cfg.Subjects {
	case byRecord:
		return s.Record
	case byTopicRecord:
		return s.Topic + "-" + s.Record
	}
	if s.Key {
		return s.Topic + "-key"
	}
	return s.Topic + "-value"
}

// numbered is what a subject becomes by so many incompatible schemas.
func numbered(subject string, n int) string {
	if n == 1 {
		return subject
	}
	return fmt.Sprintf("%s-%d", subject, n)
}

// find looks a schema up, and registers it where that may be.
func (c *Client) find(ctx context.Context, k key) (uint32, error) {
	for n := 1; n <= maxSubjects; n++ {
		subject := numbered(k.subject, n)
		id, there, err := c.lookup(ctx, subject, k.text)
		if err != nil || id != 0 {
			return id, err
		}
		if c.cfg.Register != nil && !*c.cfg.Register {
			if there && c.cfg.Incompatible == incompatibleNew {
				continue // it may be for one of the next
			}
			return 0, fault.New(fault.RegistryMissing, "subject %s does not have the schema, and register is false", k.subject)
		}
		if there {
			why, err := c.compare(ctx, subject, k.text)
			if err != nil {
				return 0, err
			}
			if why != "" {
				if c.cfg.Incompatible == incompatibleNew {
					continue
				}
				return 0, incompatible(subject, why)
			}
		}
		id, err = c.register(ctx, subject, k.text)
		if fault.Has(err, fault.RegistryIncompatible) && c.cfg.Incompatible == incompatibleNew {
			continue // with an older version: the comparison is with the last one alone where the level is not transitive
		}
		return id, err
	}
	return 0, incompatible(k.subject, fmt.Sprintf("and so with those of all subjects up to %s", numbered(k.subject, maxSubjects)))
}

func incompatible(subject, why string) error {
	return fault.New(fault.RegistryIncompatible, "the schema is not compatible with those of subject %s: %s", subject, why)
}

// lookup gives the id of a schema of a subject, 0 where it has none, and whether there is such a subject.
func (c *Client) lookup(ctx context.Context, subject, text string) (id uint32, there bool, err error) {
	found, err := c.sr.LookupSchema(ctx, subject, sr.Schema{Schema: text})
	var e *sr.ResponseError
	switch {
	case err == nil:
		id, err = number(found.ID, subject)
		return id, true, err
	case errors.As(err, &e) && e.ErrorCode == sr.ErrSchemaNotFound.Code:
		return 0, true, nil
	case errors.As(err, &e) && (e.ErrorCode == sr.ErrSubjectNotFound.Code || e.ErrorCode == sr.ErrSubjectSoftDeleted.Code):
		return 0, false, nil
	}
	return 0, false, c.fault(err, "look up the schema of subject "+subject)
}

// compare gives why a schema is not compatible with the last one of a subject, or nothing.
func (c *Client) compare(ctx context.Context, subject, text string) (why string, err error) {
	answer, err := c.sr.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -1, sr.Schema{Schema: text})
	var e *sr.ResponseError
	switch {
	case errors.As(err, &e) && e.StatusCode == http.StatusNotFound && e.ErrorCode != 0:
		return "", nil // all of its versions were deleted
	case err != nil:
		return "", c.fault(err, "compare the schema with those of subject "+subject)
	case answer.Is:
		return "", nil
	case len(answer.Messages) == 0:
		return "the registry does not say why", nil
	}
	return strings.Join(answer.Messages, "; "), nil
}

func (c *Client) register(ctx context.Context, subject, text string) (uint32, error) {
	id, err := c.sr.RegisterSchema(ctx, subject, sr.Schema{Schema: text}, -1, -1)
	if err == nil {
		return number(id, subject)
	}
	var e *sr.ResponseError
	if errors.As(err, &e) && e.StatusCode == http.StatusConflict {
		return 0, incompatible(subject, e.Error())
	}
	return 0, c.fault(err, "register the schema for subject "+subject)
}

// number is an id as records have it.
func number(id int, subject string) (uint32, error) {
	if id <= 0 || int64(id) > math.MaxInt32 {
		return 0, fault.New(fault.RegistryRefused, "the registry gave the schema of subject %s the id %d, which no record can hold", subject, id)
	}
	return uint32(id), nil
}
