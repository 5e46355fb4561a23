// Package filestest helps to test what writes through files.Store: a simulated disk that loses what was not synced when it crashes, and a
// wrapper that lets a test fail, block or stop each operation of any store.
package filestest
