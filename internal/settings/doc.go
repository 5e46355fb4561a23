// Package settings reads strict YAML into plain structs and says all that is wrong with it, each fault with its line and column.
//
// The struct that holds a part of the configuration stands beside the code that uses it; this package knows none of them. Fields are named by
// their yaml tag; a struct with the tag `,inline` gives its fields to the one around it. Decode refuses unknown and repeated keys, wrong types, and aliases (which can make a small file enormous). What is wrong in
// meaning, not in form, is found by Validate methods, which report Problems by path; At turns paths into lines.
package settings
