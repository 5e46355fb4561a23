// Package metrics says how streams do, to Prometheus and to whoever asks whether the process is healthy.
//
//	h := metrics.Handler(func() []metrics.Stream { ... }, metrics.Limits{})
//	http.ListenAndServe("127.0.0.1:8083", h)
//
// The values are read from the streams' own status when they are asked for: nothing is counted twice, and no goroutine runs in between. The table
// All is both what is collected and what the manual prints.
//
// Names of tables come from the source, and a label for each of ten thousand tables would be a burden to whoever stores them: the tables with most
// changes have a series of their own, up to Limits.Tables of them for each stream, and the rest are counted together under the table "other".
package metrics
