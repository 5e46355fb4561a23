package checkpoint

import "cdc/fault"

// MaxStream is the longest name of a stream, in bytes.
const MaxStream = 64

// CheckStream says whether a stream may have this name: 1 to MaxStream letters, digits, '_', '-' and '.', the first one not a '.' or '-'. Names
// become keys, folders, metric labels and arguments of commands, so nothing is allowed that any of these would have to escape. The error is
// a fault.ConfigInvalid.
func CheckStream(name string) error {
	if name == "" {
		return fault.New(fault.ConfigInvalid, "a stream without a name")
	}
	if len(name) > MaxStream {
		return fault.New(fault.ConfigInvalid, "stream name of %d bytes, at most %d are allowed: %q", len(name), MaxStream, name[:MaxStream])
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.') {
			return fault.New(fault.ConfigInvalid, "stream name %q: letters, digits, '_', '-' and '.' are allowed, and a letter, digit or '_' at the front", name)
		}
	}
	return nil
}
