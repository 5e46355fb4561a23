package charset

import (
	"encoding/binary"
	"unicode/utf8"
)

// Text that is not plain ASCII is checked by a finite automaton that takes one table look-up and one shift for each byte and no branch, so
// that mixed scripts cost no mispredictions: the state is a shift count, and a byte's entry holds the next state for each of them, six bits
// each (Per Vognsen, "Shift-based DFAs"; the automaton is that of Bjoern Hoehrmann, "Flexible and Economical UTF-8 Decoder").

// States, as shift counts.
const (
	stateReject = 6 * iota
	stateAccept
	stateOneMore   // one byte of 80..BF
	stateTwoMore   // two of them
	stateThreeMore // three of them
	stateAfterE0   // A0..BF, then one
	stateAfterED   // 80..9F, then one: no surrogates
	stateAfterF0   // 90..BF, then two
	stateAfterF4   // 80..8F, then two: nothing above U+10FFFF
)

// utf8DFA is made once, before main; written out it would be 256 numbers that nobody can check.
var utf8DFA = makeDFA()

func makeDFA() (t [256]uint64) {
	set := func(from, to byte, state, next uint64) {
		for c := int(from); c <= int(to); c++ {
			t[c] |= next << state
		}
	}
	set(0x00, 0x7f, stateAccept, stateAccept)
	set(0xc2, 0xdf, stateAccept, stateOneMore)
	set(0xe0, 0xe0, stateAccept, stateAfterE0)
	set(0xe1, 0xec, stateAccept, stateTwoMore)
	set(0xed, 0xed, stateAccept, stateAfterED)
	set(0xee, 0xef, stateAccept, stateTwoMore)
	set(0xf0, 0xf0, stateAccept, stateAfterF0)
	set(0xf1, 0xf3, stateAccept, stateThreeMore)
	set(0xf4, 0xf4, stateAccept, stateAfterF4)
	set(0x80, 0xbf, stateOneMore, stateAccept)
	set(0x80, 0xbf, stateTwoMore, stateOneMore)
	set(0x80, 0xbf, stateThreeMore, stateTwoMore)
	set(0xa0, 0xbf, stateAfterE0, stateOneMore)
	set(0x80, 0x9f, stateAfterED, stateOneMore)
	set(0x90, 0xbf, stateAfterF0, stateTwoMore)
	set(0x80, 0x8f, stateAfterF4, stateTwoMore)
	return t
}

const highBits = 0x8080808080808080

// ValidUTF8 reports what utf8.Valid does, faster where the text is not ASCII.
func ValidUTF8(s []byte) bool {
	i := 0
	if len(s) >= 8 {
		for ; i+8 <= len(s); i += 8 {
			if binary.LittleEndian.Uint64(s[i:])&highBits != 0 {
				return validDFA(s[i:])
			}
		}
		if binary.LittleEndian.Uint64(s[len(s)-8:])&highBits == 0 {
			return true
		}
		return validDFA(s[i:])
	}
	var or byte
	for _, c := range s {
		or |= c
	}
	return or < utf8.RuneSelf || validDFA(s)
}

func validDFA(s []byte) bool {
	state := uint64(stateAccept)
	for ; len(s) >= 8; s = s[8:] {
		if binary.LittleEndian.Uint64(s)&highBits == 0 && state&63 == stateAccept {
			continue
		}
		state = utf8DFA[s[0]] >> (state & 63)
		state = utf8DFA[s[1]] >> (state & 63)
		state = utf8DFA[s[2]] >> (state & 63)
		state = utf8DFA[s[3]] >> (state & 63)
		state = utf8DFA[s[4]] >> (state & 63)
		state = utf8DFA[s[5]] >> (state & 63)
		state = utf8DFA[s[6]] >> (state & 63)
		state = utf8DFA[s[7]] >> (state & 63)
	}
	for _, c := range s {
		state = utf8DFA[c] >> (state & 63)
	}
	return state&63 == stateAccept
}

// ValidUTF8MB3 reports UTF-8 without characters of four bytes.
func ValidUTF8MB3(s []byte) bool {
	i := asciiPrefix(s)
	if i == len(s) {
		return true
	}
	for _, c := range s[i:] {
		if c >= 0xf0 {
			return false
		}
	}
	return ValidUTF8(s[i:])
}

// ValidASCII reports bytes below 0x80 only.
func ValidASCII(s []byte) bool {
	if len(s) < 8 {
		var or byte
		for _, c := range s {
			or |= c
		}
		return or < utf8.RuneSelf
	}
	for i := 0; i+8 <= len(s); i += 8 {
		if binary.LittleEndian.Uint64(s[i:])&highBits != 0 {
			return false
		}
	}
	return binary.LittleEndian.Uint64(s[len(s)-8:])&highBits == 0
}

// asciiPrefix counts the bytes before the first one that is not ASCII.
func asciiPrefix(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if binary.LittleEndian.Uint64(s[i:])&highBits != 0 {
			break
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}
