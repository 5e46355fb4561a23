// Package traffic makes random transactions over some thirty tables that are as unlike as tables can be: keys of every type and collation, no key,
// composite keys, several unique keys, foreign keys that cascade, every column type, generated and invisible columns. What it writes is meant for
// those who copy it to another server: in the end both must hold the same.
//
//	o := traffic.Options{Prefix: "w", Seed: 42, Sessions: 6, DDL: true}
//	err := traffic.Setup(ctx, dial, o)
//	counts, err := traffic.Run(ctx, dial, o) // until ctx ends
//
// Values and keys come from small sets, so that transactions meet: they wait for each other, fail on duplicate keys, break off in deadlocks. The
// server decides what becomes of them; no account is kept here. What a session sends is decided by the seed and the number of the session alone:
// with the same seed the same statements are sent, though the server may interleave them otherwise.
//
// The generator is pure ([Options.Schema], [NewSession], [NewAlterer]); [Run] sends what it gives.
package traffic
