package schedule

import (
	"cdc/event"
	"cdc/schemas"
	"cdc/sinks/mysql/dependency"
)

// By says which transactions may run side by side.
type By uint8

// The modes, as the package's documentation explains them.
const (
	Serial By = iota
	Database
	LogicalClock
	Writeset
	WritesetSession
)

var byNames = [...]string{"serial", "database", "logical_clock", "writeset", "writeset_session"}

func (b By) String() string {
	if int(b) < len(byNames) {
		return byNames[b]
	}
	return "invalid"
}

// ParseBy reads a mode's name.
func ParseBy(s string) (By, bool) {
	for i, name := range byNames {
		if s == name {
			return By(i), true
		}
	}
	return 0, false
}

// Part is what one batch holds of a transaction.
type Part struct {
	Batch *event.Batch
	Txn   int // index in Batch.Txns
	Owner any // as Add was given it with the batch
}

// Unit is a transaction on its way to the target, or several that follow one another and are committed together. Each part holds a reference to its
// batch, which the worker releases when it has read it.
type Unit struct {
	Order uint64 // counts the transactions, from 0
	Parts []Part // those that came so far; of a unit of several transactions, each is one of them
	// Alone is set where nothing else runs beside it. Only such a unit may be ready before its last part has come: see Complete.
	Alone bool
	// Complete says that all parts came.
	Complete bool
	// DDL is the statement that the transaction is, or begins with; nil for rows alone.
	DDL *schemas.DDL
	// Released counts the parts whose batch was released, from the first: the caller's, not looked at.
	Released int

	node dependency.Node
	done bool

	// Of the logical clock.
	file                string
	committed, sequence int64
}

// Txn gives the transaction as its first part has it.
func (u *Unit) Txn() *event.Txn { return &u.Parts[0].Batch.Txns[u.Parts[0].Txn] }

// Last gives the transaction as its last part has it: Next and End are known there.
func (u *Unit) Last() *event.Txn {
	p := u.Parts[len(u.Parts)-1]
	return &p.Batch.Txns[p.Txn]
}
