// Package replay chooses which transactions of a binlog are carried once more, as after a backup was restored, and says what that comes to.
//
//	plan := &replay.Plan{Behind: has, Exclude: bad, Empty: true}
//	look := replay.NewLook(plan, replay.Known(has, before))
//	... look.Add for each transaction that a survey of the files finds
//	if err := look.Check(); err != nil { ... } // a transaction that should be left out is not there
//	... plan.Choose is given to the source
//
// A transaction is taken or left as a whole. What the target has (Behind) is passed over. Of the others, those of Exclude are left out, either as if they
// had never been (the place moves on over them, and no sink hears of them) or emptied, so that a target which goes by GTIDs has them as done. Where Include
// is given, what is not in it is passed over. Before ends the replay in front of a transaction.
//
// A transaction that somebody wants left out and that is not in the stretch is an error before anything is carried: with a slip of the pen in its GTID the
// replay would repeat the very disaster that it is for.
//
// Tally is a sink that counts what it gets, for a dry run.
package replay
