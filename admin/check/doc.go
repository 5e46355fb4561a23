// Package check judges a pipeline before it starts: facts go in, findings come out.
//
//	findings := check.Server(facts, check.Wishes{...})
//	findings = append(findings, check.Local(local)...)
//
// The rules are pure. They ask nobody anything: a source's leaf gathers [cdc/source.Facts], the program gathers [LocalFacts], and a table of facts and
// findings tests each rule. A finding names what was found and the statement or the setting that cures it. A Fail is what a run would stop at, or
// what would lose changes in silence; a Warn is what an operator should know and may leave; everything else that was looked at is a Pass.
//
// [Grants] makes the statements that create an account of least privilege.
package check
