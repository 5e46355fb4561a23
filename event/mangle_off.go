//go:build !race && !invariants

package event

func mangle(*Batch) {}
