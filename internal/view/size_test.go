package view

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 2: "2 bytes", 999: "999 bytes", 1842: "1,842 bytes", 1999: "1,999 bytes",
		2000: "2.0 KB", 2149: "2.1 KB", 99_949: "99.9 KB", 99_950: "100 KB", 102_400: "102 KB", 999_499: "999 KB",
		999_500: "1.0 MB", 1 << 20: "1.0 MB", 4_812_345: "4.8 MB", 999_949_999: "1.0 GB", 1 << 30: "1.1 GB",
		1 << 50: "1.1 PB", math.MaxInt64: "9.2 EB",
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
