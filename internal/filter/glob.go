package filter

import (
	"bytes"
	"strings"
)

// glob reports whether pattern fits all of text: * stands for any bytes, ? for any one byte, everything else for itself.
//
// The first piece stands at the beginning, the last one at the end, and each one between is taken where it is found
// first, which leaves the most for those behind it. So every byte of text is searched for one piece only.
func glob[T string | []byte](pattern string, text T) bool {
	first := strings.IndexByte(pattern, '*')
	if first < 0 {
		return len(text) == len(pattern) && fits(pattern, text)
	}
	last := strings.LastIndexByte(pattern, '*')
	head, middle, tail := pattern[:first], pattern[first:last], pattern[last+1:]
	if len(text) < len(head)+len(tail) || !fits(head, text) || !fits(tail, text[len(text)-len(tail):]) {
		return false
	}
	text = text[len(head) : len(text)-len(tail)]
	for piece := range strings.SplitSeq(middle, "*") {
		i := find(piece, text)
		if i < 0 {
			return false
		}
		text = text[i+len(piece):]
	}
	return true
}

// globWork is what glob costs at most, in bytes to look at.
func globWork(pattern string, text int) int {
	if strings.IndexByte(pattern, '?') < 0 {
		return text
	}
	return text*stateWords(pattern) + 256*(strings.Count(pattern, "*")+stateWords(pattern))
}

// fits reports whether text, which is at least as long, begins with a piece of a pattern.
func fits[T string | []byte](piece string, text T) bool {
	for i := range len(piece) {
		if piece[i] != '?' && piece[i] != text[i] {
			return false
		}
	}
	return true
}

// find returns where text has a piece of a pattern first, -1 where it does not.
func find[T string | []byte](piece string, text T) int {
	if strings.IndexByte(piece, '?') >= 0 {
		return findAny(piece, text)
	}
	switch t := any(text).(type) {
	case string:
		return strings.Index(t, piece)
	case []byte:
		return bytes.Index(t, []byte(piece))
	}
	panic("unreachable")
}

// findAny is find for a piece with question marks. It keeps, as one bit each, how many bytes of the piece fit what has
// been read last (Shift-And, Baeza-Yates and Gonnet 1992), so that its time does not depend on what fits nearly.
func findAny[T string | []byte](piece string, text T) int {
	words := stateWords(piece)
	var small [256 + 1]uint64
	memory := small[:]
	if words > 1 {
		memory = make([]uint64, (256+1)*words)
	}
	state, masks := memory[:words], memory[words:]
	fillMasks(masks, piece, words)
	end, full := words-1, uint64(1)<<((len(piece)-1)%64)
	for i := range len(text) {
		carry := uint64(1)
		for w, mask := range masks[int(text[i])*words:][:words] {
			state[w], carry = (state[w]<<1|carry)&mask, state[w]>>63
		}
		if state[end]&full != 0 {
			return i + 1 - len(piece)
		}
	}
	return -1
}

// fillMasks notes for each value of a byte at which places of a piece it fits.
func fillMasks(masks []uint64, piece string, words int) {
	for i := range len(piece) {
		if piece[i] == '?' {
			masks[i/64] |= 1 << (i % 64)
		}
	}
	for value := 1; value < 256; value++ {
		copy(masks[value*words:], masks[:words])
	}
	for i := range len(piece) {
		if piece[i] != '?' {
			masks[int(piece[i])*words+i/64] |= 1 << (i % 64)
		}
	}
}

// stateWords is how many words have a bit for each byte of a piece.
func stateWords(piece string) int { return (len(piece) + 63) / 64 }
