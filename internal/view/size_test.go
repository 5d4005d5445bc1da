package view

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 2: "2 bytes", 999: "999 bytes", 1842: "1,842 bytes", 1999: "1,999 bytes",
		2047: "2,047 bytes", 2048: "2.0 KiB", 2149: "2.1 KiB", 102_348: "99.9 KiB", 102_349: "100 KiB", 1<<20 - 513: "1023 KiB",
		1<<20 - 512: "1.0 MiB", 1 << 20: "1.0 MiB", 4_812_345: "4.6 MiB", 1<<30 - 1: "1.0 GiB", 1 << 30: "1.0 GiB",
		1 << 50: "1.0 PiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 12: "12", 999: "999", 1000: "1,000", 1204: "1,204", 123456: "123,456", 1234567: "1,234,567",
		-1: "-1", -123: "-123", -1000: "-1,000", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}
