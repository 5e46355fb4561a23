package event

import (
	"context"
	"sync"
)

// Budget counts the bytes of batches that were not released, and of what sinks copied out of them. One holder may overshoot the limit, since
// the size of a batch is known only when it is read; nobody may start a new one until the count is below the limit again. It is safe for
// concurrent use.
type Budget struct {
	mu    sync.Mutex
	limit int64
	used  int64
	peak  int64
	wait  chan struct{} // closed when used falls below limit; nil while nobody waits
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Charge adds n bytes without waiting.
func (m *Budget) Charge(n int64) {
	m.mu.Lock()
	m.used += n
	m.peak = max(m.peak, m.used)
	m.mu.Unlock()
}

// Credit gives n bytes back.
func (m *Budget) Credit(n int64) {
	m.mu.Lock()
	m.used -= n
	if m.used < m.limit && m.wait != nil {
		close(m.wait)
		m.wait = nil
	}
	m.mu.Unlock()
}

// Room gives nil when fewer bytes than the limit are in use, else a channel that is closed when that may be so again.
func (m *Budget) Room() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used < m.limit {
		return nil
	}
	if m.wait == nil {
		m.wait = make(chan struct{})
	}
	return m.wait
}

// Wait returns when fewer bytes than the limit are in use, or with the context's error.
func (m *Budget) Wait(ctx context.Context) error {
	for {
		c := m.Room()
		if c == nil {
			return ctx.Err()
		}
		select {
		case <-c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Short reports that less than a quarter of the budget is free: time to flush what holds it.
func (m *Budget) Short() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used > m.limit-m.limit/4
}

// Used, Peak and Limit are in bytes.
func (m *Budget) Used() (used, peak, limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used, m.peak, m.limit
}
