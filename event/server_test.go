package event

import "testing"

func TestServerNumber(t *testing.T) {
	for version, want := range map[string]uint32{
		"8.0.15": 80015, "5.7.22-log": 50722, "9.7.4-Debian": 90704, "5.5.5-10.11.19-MariaDB": 101119, "11.8.6-MariaDB-0+deb13u1": 110806, "": 0, "x": 0,
	} {
		if got := (Server{Version: version}).Number(); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}
