package view

import (
	"strconv"
)

// Size returns a number of bytes for people: "1 byte", "1,842 bytes", and from 2,048 on "2.1 KiB", "4.8 MiB", "102 MiB", in
// the units of the settings: a limit of 1 GiB is not to be met as 1.1 GB.
func Size(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 2048:
		return Count(n) + " bytes"
	}
	const units = "KMGTPE"
	value, unit := float64(n)/1024, 0
	for value >= 1023.5 && unit < len(units)-1 { // 1023.5 would be written as 1024
		value /= 1024
		unit++
	}
	digits := 1
	if value >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit:unit+1] + "iB"
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
