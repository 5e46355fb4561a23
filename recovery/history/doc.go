// Package history gives each version of chosen rows: what a row was before and after each change, by which transaction, and when.
//
//	err := history.Read(ctx, src, history.Options{Table: name, Key: []history.KeyValue{{Value: "42"}}}, func(v *history.Version) error {
//		...
//	})
//
// It reads any source to its end, and holds one version at a time. Rows are found by the text that SELECT shows of the columns of their key, in the image
// before or after the change: an update that moves a row to another key is in the history of both.
package history
