package live

import (
	"testing"

	"cdc/source"
)

func TestForeignKeys(t *testing.T) {
	const definition = "CREATE TABLE `c` (\n  `id` int(11) NOT NULL COMMENT 'CONSTRAINT `no` FOREIGN KEY (a) REFERENCES b (c) ON DELETE CASCADE',\n" +
		"  PRIMARY KEY (`id`),\n  CONSTRAINT `odd`)name` FOREIGN KEY (`a`,`b`) REFERENCES `d`.`p` (`id`,`b`) ON DELETE CASCADE ON UPDATE SET NULL,\n" +
		"  CONSTRAINT `keeps` FOREIGN KEY (`a`) REFERENCES `ON DELETE CASCADE` (`id`),\n" +
		"  CONSTRAINT `check` CHECK (`a` > 0)\n) ENGINE=InnoDB"
	got := foreignKeys(definition)
	want := []source.Cascade{{Constraint: "odd`)name", OnDelete: "CASCADE", OnUpdate: "SET NULL"}, {Constraint: "keeps"}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v", got)
	}
}
