package schemas

// Object is what a database holds besides tables and sequences: a view, a routine, an event, a trigger. It is carried as its server prints it, byte by
// byte in the character set of the session that made it: its text may hold strings in any character set, which only these bytes say.
type Object struct {
	Kind ObjectKind
	Name Name // database and name; a trigger is of its table's database
	On   Name // the table of a trigger

	Text       string // what SHOW CREATE prints, in Client; empty where Why says why it could not be read
	Why        string
	Modes      string // sql_mode, by names; of a view none, since its text is printed anew
	Client     string // character_set_client
	Connection string // collation_connection
	Default    string // collation of the database as it was then; of a view none
	TimeZone   string // of an event
	Enabled    bool   // an event that runs
}

// ObjectKind is a kind of object, as SHOW CREATE and DROP call it.
type ObjectKind string

// The kinds. Packages are MariaDB's.
const (
	View        ObjectKind = "VIEW"
	Procedure   ObjectKind = "PROCEDURE"
	Function    ObjectKind = "FUNCTION"
	Package     ObjectKind = "PACKAGE"
	PackageBody ObjectKind = "PACKAGE BODY"
	Trigger     ObjectKind = "TRIGGER"
	Event       ObjectKind = "EVENT"
)

// Group names the kinds that a user chooses together: views, routines, events, triggers.
func (k ObjectKind) Group() string {
	switch k {
	case View:
		return "views"
	case Event:
		return "events"
	case Trigger:
		return "triggers"
	}
	return "routines"
}

// String names an object in a message.
func (o *Object) String() string { return string(o.Kind) + " " + o.Name.String() }
