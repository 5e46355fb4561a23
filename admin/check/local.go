package check

import (
	"cdc/fault"
)

// LocalFacts is what this machine says.
type LocalFacts struct {
	Memory, MaxRow int64  // of the configuration, bytes
	Streams        int    // that share the memory
	Machine        uint64 // bytes of memory that the process may use: the machine's, or its control group's; 0 where not known
	Folders        []Folder
}

// Folder is a folder that the pipeline writes to.
type Folder struct {
	Check   string // as "checkpoint folder"
	Setting string // that names it
	Path    string
	Err     error  // why nothing can be written there
	Free    uint64 // bytes
	Known   bool   // Free is
	Least   uint64 // below which nothing is written; 0 without
	LeastBy string // the setting of Least
	User    string // who has it open, where that is known: "the running pipeline (pid 7)"
	Code    fault.Code
}

// beside is what the process needs beside its budget: connections, the checkpoint's database, the program itself.
const beside = 64 << 20

// Local judges memory and folders.
func Local(f LocalFacts) []fault.Finding {
	var l list
	l.memory(f)
	for _, d := range f.Folders {
		l.folder(d)
	}
	return l.Findings
}

func (l *list) memory(f LocalFacts) {
	part := f.Memory / int64(max(1, f.Streams))
	switch {
	case f.Machine > 0 && uint64(f.Memory) > f.Machine:
		l.Fail(fault.PipelineMemory, "memory", "set memory to less than "+bytes(float64(f.Machine-min(f.Machine, beside))),
			"memory is %s, and the process may use %s", bytes(float64(f.Memory)), bytes(float64(f.Machine)))
		return
	case f.Machine > 0 && uint64(f.Memory)+beside > f.Machine:
		l.Warn("memory", "set memory lower, or give the process more",
			"memory is %s and some %s are needed beside it; the process may use %s", bytes(float64(f.Memory)), bytes(beside), bytes(float64(f.Machine)))
		return
	case f.MaxRow > part:
		l.Warn("memory", "raise memory, or lower max_row", "each of %d streams has %s, and a row may have %s: one that large holds up everything else of its stream",
			f.Streams, bytes(float64(part)), bytes(float64(f.MaxRow)))
		return
	}
	l.Pass("memory", "%s for %d stream(s), rows up to %s", bytes(float64(f.Memory)), f.Streams, bytes(float64(f.MaxRow)))
}

func (l *list) folder(d Folder) {
	switch {
	case d.Err != nil:
		if e, ok := fault.As(d.Err); ok {
			l.fault(d.Check, e)
			return
		}
		l.Fail(d.Code, d.Check, "create "+d.Path+" for the user that cdc runs as, or change "+d.Setting, "%v", d.Err)
		return
	case d.Known && d.Least > 0 && d.Free < d.Least:
		l.Fail(fault.CheckpointDiskFull, d.Check, "free space there, or lower "+d.LeastBy, "%s has %s free; nothing is written below %s",
			d.Path, bytes(float64(d.Free)), bytes(float64(d.Least)))
		return
	case d.Known && d.Free < max(256<<20, 2*d.Least):
		l.Warn(d.Check, "free space there", "%s has only %s free", d.Path, bytes(float64(d.Free)))
		return
	}
	what := d.Path
	if d.Known {
		what += ", " + bytes(float64(d.Free)) + " free"
	}
	if d.User != "" {
		what += ", in use by " + d.User
	}
	l.Pass(d.Check, "%s", what)
}
