// Package analyze says what happened in a stretch of a binlog: how many transactions of which size, which tables, when, by whom, and which rows were
// changed again and again.
//
//	c := analyze.New(analyze.Options{Top: 20})
//	err := files.Survey(ctx, cfg, binlog.SurveyConfig{Txn: c.Survey, Key: c.Key}) // files: rows are counted, not decoded
//	for { b, err := src.Read(ctx); c.Batch(b); b.Release() }                      // or any source
//	r := c.Report()
//
// It is pure: whoever reads owns the loop. Memory does not grow with what is read, but for one line for each table, each minute and each of a bounded
// number of row keys.
//
// # How long a transaction took
//
// A server writes into each event when its statement began, in whole seconds, and MySQL 8.0 and later when the transaction was committed, in
// microseconds. Seconds is the time between the first of those and the commit, so it is too large by less than a second, and does not count what a
// transaction only read before its first change.
//
// # Hot keys
//
// The keys that are changed most are found with a bounded number of counters (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and
// Top-k Elements in Data Streams", 2005; whole batches of the least are thrown out here). A count is exact until more keys were met than there are
// counters; from then on Changes is how often the key was surely changed, and AtMost how often it may have been.
package analyze
