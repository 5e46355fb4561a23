package ddl

import (
	"strings"
	"testing"

	"cdc/fault"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/sinks/mysql/target"
)

func TestObject(t *testing.T) {
	mysql97, mysql57, maria := &target.Server{Version: 90704}, &target.Server{Version: 50722}, &target.Server{Flavor: gtid.MariaDB, Version: 110806}
	const event = "CREATE DEFINER=`a`@`%` EVENT `x ON COMPLETION ENABLE` ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE COMMENT 'DISABLE' DO DELETE FROM t"
	for name, c := range map[string]struct {
		o          schemas.Object
		opt        ObjectOptions
		text, fail string
		before     string // all of it, or a part
		notes      int
	}{
		"a view is kept": {
			o:      schemas.Object{Kind: schemas.View, Text: "CREATE ALGORITHM=UNDEFINED DEFINER=`a``b`@`%` SQL SECURITY DEFINER VIEW `s`.`v` AS select 1", Client: "utf8", Connection: "utf8_general_ci"},
			opt:    ObjectOptions{Server: mysql97, Definer: DefinerKeep, Database: "latin1_swedish_ci"},
			text:   "CREATE ALGORITHM=UNDEFINED DEFINER=`a``b`@`%` SQL SECURITY DEFINER VIEW `s`.`v` AS select 1",
			before: "USE `s`; SET SESSION collation_connection = 'utf8mb3_general_ci'; SET SESSION sql_mode = ''; SET SESSION character_set_client = 'utf8mb3'",
		},
		"definer of the session": {
			o:    schemas.Object{Kind: schemas.View, Text: "CREATE ALGORITHM=UNDEFINED DEFINER=`a``b`@`%` SQL SECURITY DEFINER VIEW `s`.`v` AS select 1", Client: "utf8mb4", Connection: "utf8mb4_bin"},
			opt:  ObjectOptions{Server: mysql57, Definer: DefinerCurrent},
			text: "CREATE ALGORITHM=UNDEFINED SQL SECURITY DEFINER VIEW `s`.`v` AS select 1",
		},
		"another definer, for a role": {
			o:    schemas.Object{Kind: schemas.Trigger, Text: "CREATE DEFINER=`boss` TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = ' DEFINER=`x`@`y`'", Client: "latin1", Connection: "latin1_bin", Default: "latin1_swedish_ci"},
			opt:  ObjectOptions{Server: maria, Definer: "o@ps@10.%", Database: "latin1_swedish_ci"},
			text: "CREATE DEFINER=`o@ps`@`10.%` TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = ' DEFINER=`x`@`y`'",
		},
		"no definer": {
			o:    schemas.Object{Kind: schemas.Procedure, Text: "CREATE PROCEDURE `p`() SELECT ' DEFINER=`x`@`y`'", Client: "utf8mb4", Connection: "utf8mb4_bin"},
			opt:  ObjectOptions{Server: maria, Definer: DefinerCurrent},
			text: "CREATE PROCEDURE `p`() SELECT ' DEFINER=`x`@`y`'",
		},
		"an event waits": {
			o:      schemas.Object{Kind: schemas.Event, Text: event, Client: "utf8mb4", Connection: "utf8mb4_bin", TimeZone: "SYSTEM", Enabled: true},
			opt:    ObjectOptions{Server: mysql97},
			text:   strings.Replace(event, "PRESERVE ENABLE", "PRESERVE DISABLE ON REPLICA", 1),
			before: "time_zone = 'SYSTEM'",
		},
		"an event waits on an older server": {
			o:    schemas.Object{Kind: schemas.Event, Text: event, Client: "utf8mb4", Connection: "utf8mb4_bin", TimeZone: "SYSTEM", Enabled: true},
			opt:  ObjectOptions{Server: mysql57},
			text: strings.Replace(event, "PRESERVE ENABLE", "PRESERVE DISABLE ON SLAVE", 1),
		},
		"an event acts": {
			o:   schemas.Object{Kind: schemas.Event, Text: event, Client: "utf8mb4", Connection: "utf8mb4_bin", TimeZone: "SYSTEM", Enabled: true},
			opt: ObjectOptions{Server: mysql57, Act: true}, text: event,
		},
		"modes of another version": {
			o:      schemas.Object{Kind: schemas.Procedure, Text: "CREATE DEFINER=\"a\"@\"b\" PROCEDURE \"p\"() SELECT 1", Client: "utf8mb4", Connection: "utf8mb4_bin", Modes: "ANSI_QUOTES,ANSI,NO_AUTO_CREATE_USER,ONLY_FULL_GROUP_BY"},
			opt:    ObjectOptions{Server: mysql97, Definer: "a@b"},
			text:   "CREATE DEFINER=`a`@`b` PROCEDURE \"p\"() SELECT 1",
			before: "sql_mode = 'ANSI,ANSI_QUOTES,ONLY_FULL_GROUP_BY'",
		},
		"modes of another kind of server": {
			o:      schemas.Object{Kind: schemas.Procedure, Text: "CREATE PROCEDURE p() SELECT 1", Client: "utf8mb4", Connection: "utf8mb4_0900_ai_ci", Modes: "ANSI,PIPES_AS_CONCAT"},
			opt:    ObjectOptions{Server: maria, Source: gtid.MySQL},
			text:   "CREATE PROCEDURE p() SELECT 1",
			before: "collation_connection = 'utf8mb4_0900_ai_ci'; SET SESSION sql_mode = 'PIPES_AS_CONCAT,TIME_ROUND_FRACTIONAL'",
		},
		"a mode that the target reads otherwise": {
			o:    schemas.Object{Kind: schemas.Procedure, Text: "CREATE PROCEDURE p() SELECT 1", Client: "utf8mb4", Connection: "utf8mb4_bin", Modes: "ORACLE"},
			opt:  ObjectOptions{Server: mysql97, Source: gtid.MariaDB},
			fail: "ORACLE",
		},
		"a collation that the target does not know": {
			o:      schemas.Object{Kind: schemas.Procedure, Text: "CREATE PROCEDURE p() SELECT 1", Client: "utf8mb4", Connection: "utf8mb4_uca1400_ai_ci", Default: "utf8mb4_uca1400_ai_ci"},
			opt:    ObjectOptions{Server: mysql97, Source: gtid.MariaDB, Database: "utf8mb4_0900_ai_ci"},
			text:   "CREATE PROCEDURE p() SELECT 1",
			before: "character_set_connection = 'utf8mb4'", notes: 2,
		},
		"a database that was altered": {
			o:    schemas.Object{Kind: schemas.Procedure, Text: "CREATE PROCEDURE p() SELECT 1", Client: "utf8mb4", Connection: "utf8mb4_bin", Default: "latin1_bin"},
			opt:  ObjectOptions{Server: mysql97, Database: "latin1_swedish_ci"},
			fail: "latin1_bin",
		},
		"a body in latin1": {
			o:    schemas.Object{Kind: schemas.Function, Text: "CREATE DEFINER=`a`@`b` FUNCTION `f`(a enum('(',')')) RETURNS int\n    DETERMINISTIC\n    COMMENT 'a\n    b'\nRETURN 'm\xfcde'", Client: "latin1", Connection: "latin1_bin"},
			opt:  ObjectOptions{Server: mysql97},
			text: "CREATE DEFINER=`a`@`b` FUNCTION `f`(a enum('(',')')) RETURNS int\n    DETERMINISTIC\n    COMMENT 'a\n    b'\nRETURN 'm\xfcde'",
		},
		"a comment in two character sets": {
			o:    schemas.Object{Kind: schemas.Function, Text: "CREATE DEFINER=`a`@`b` FUNCTION `f`() RETURNS int\n    COMMENT 'ü'\nRETURN 'm\xfcde'", Client: "latin1", Connection: "latin1_bin"},
			opt:  ObjectOptions{Server: mysql97},
			fail: "comment",
		},
		"an event's comment in two character sets": {
			o:    schemas.Object{Kind: schemas.Event, Text: strings.Replace(event, "'DISABLE'", "'ü'", 1), Client: "latin1", Connection: "latin1_bin", Enabled: true},
			opt:  ObjectOptions{Server: mysql97},
			fail: "comment",
		},
		"a character set of MySQL alone": {
			o:    schemas.Object{Kind: schemas.View, Text: "CREATE VIEW v AS select 1", Client: "gb18030", Connection: "utf8mb4_bin"},
			opt:  ObjectOptions{Server: maria},
			fail: "gb18030",
		},
		"a name that may hide a quote": {
			o:    schemas.Object{Kind: schemas.View, Text: "CREATE DEFINER=`\x81\x60`@`%` VIEW v AS select 1", Client: "sjis", Connection: "utf8mb4_bin"},
			opt:  ObjectOptions{Server: maria},
			fail: "sjis",
		},
		"what cannot be read": {o: schemas.Object{Kind: schemas.View, Why: "hidden"}, opt: ObjectOptions{Server: maria}, fail: "hidden"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Name = schemas.Name{Database: "s", Table: "o"}
			p, err := Object(&c.o, c.opt)
			if c.fail != "" {
				if !fault.Has(err, fault.TargetCreate) || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("got %v, want %s", err, c.fail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Text != c.text {
				t.Errorf("got\n%s, want\n%s", p.Text, c.text)
			}
			if got := strings.Join(p.Before, "; "); !strings.Contains(got, c.before) {
				t.Errorf("before: %s", got)
			}
			if len(p.Notes) != c.notes {
				t.Errorf("notes: %q", p.Notes)
			}
		})
	}
}

// Whatever a server prints, nothing breaks.
func FuzzObject(f *testing.F) {
	f.Add("CREATE DEFINER=`a`@`b` EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE ON SLAVE COMMENT 'x' DO SELECT 1", "EVENT")
	f.Add("CREATE DEFINER=`a`@`b` FUNCTION `f`(a enum('(',')')) RETURNS int\n    DETERMINISTIC\nRETURN 1", "FUNCTION")
	f.Fuzz(func(t *testing.T, text, kind string) {
		o := schemas.Object{Kind: schemas.ObjectKind(kind), Name: schemas.Name{Database: "s", Table: "o"}, Text: text, Client: "latin1", Connection: "latin1_bin", Enabled: true}
		if p, err := Object(&o, ObjectOptions{Server: &target.Server{Version: 90704}, Definer: DefinerCurrent}); err == nil && p.Text == "" && text != "" {
			t.Errorf("nothing is left of %q", text)
		}
	})
}
