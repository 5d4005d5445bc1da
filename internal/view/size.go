package view

import (
	"strconv"
)

// Size returns a number of bytes for people: "1 byte", "1,842 bytes", and from 2,000 on "2.1 KB", "4.8 MB", "102 MB",
// where a KB is 1,000 bytes.
func Size(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 2000:
		return Count(n) + " bytes"
	}
	const units = "KMGTPE"
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 { // 999.5 would be written as 1000
		value /= 1000
		unit++
	}
	digits := 1
	if value >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit:unit+1] + "B"
}

// Count returns n with a comma between thousands: 1,204.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	b := make([]byte, 0, len(digits)+len(digits)/3)
	for i := range len(digits) {
		if i > first && (len(digits)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, digits[i])
	}
	return string(b)
}
