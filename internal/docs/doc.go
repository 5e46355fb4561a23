// Package docs holds the tests that keep the documents true: links lead somewhere, ARCHITECTURE.md names every package, commands shown exist.
//
// What is generated (docs/commands, docs/configuration.md, docs/errors.md) and the pipelines shown are held to the program in cmd/cdc.
package docs
