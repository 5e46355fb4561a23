package schemas

import "cdc/gtid"

// ParseType reads a column type as a column definition has it, such as "decimal(10,2)" or "bigint unsigned", and gives a column of it without a
// name. A text type is of character set utf8mb4. Its errors say what was not understood.
func ParseType(text string) (Column, error) {
	const version = 80400
	var p parser
	p.start(&Statement{Text: text}, gtid.MySQL, version)
	c := &colSpec{old: -1}
	p.dataType(c)
	p.end()
	if p.err != nil {
		return Column{}, p.err
	}
	if c.hasSize {
		c.Length = c.sized
	}
	if c.Type.IsText() {
		c.Charset, c.Collation = "utf8mb4", "utf8mb4_0900_ai_ci"
	}
	return c.Column, nil
}
