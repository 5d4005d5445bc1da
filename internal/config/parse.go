package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// parser reads texts into values. It goes on after a mistake, so that problems has all of them in the end.
type parser struct {
	env      map[string]string
	problems Problems
}

func (p *parser) fail(variable, format string, args ...any) {
	p.problems = append(p.problems, Problem{variable, fmt.Sprintf(format, args...)})
}

func (p *parser) failed(variable string) bool {
	return slices.ContainsFunc(p.problems, func(q Problem) bool { return q.Variable == variable })
}

// oneOf returns text in lower case, which must be one of the words.
func (p *parser) oneOf(variable, text string, words ...string) string {
	word := strings.ToLower(text)
	if !slices.Contains(words, word) {
		last := len(words) - 1
		p.fail(variable, "%q is not known; use %s or %s", text, strings.Join(words[:last], ", "), words[last])
	}
	return word
}

func (p *parser) number(variable, text string, low, high int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		p.fail(variable, "%q is not a number from %d to %d", text, low, high)
	}
	return n
}

// units are the suffixes of sizes in lower case: powers of 1024 and, without the i, of 1000.
var units = map[string]int64{
	"": 1, "b": 1,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}

// parseSize reads 5000000, 10MiB or 2 GB. It saturates instead of overflowing.
func parseSize(text string) (size int64, ok bool) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, known := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case !known || err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, false
	case int64(n) > math.MaxInt64/unit:
		return math.MaxInt64, true
	}
	return int64(n) * unit, true
}

// formatSize writes size with the largest binary unit that divides it.
func formatSize(size int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if factor := units[strings.ToLower(unit)]; size >= factor && size%factor == 0 {
			return strconv.FormatInt(size/factor, 10) + unit
		}
	}
	return strconv.FormatInt(size, 10)
}

func (p *parser) size(variable, text string, low, high int64) int64 {
	size, ok := parseSize(text)
	switch {
	case !ok:
		p.fail(variable, "%q is not a size; use a number of bytes, or one with a unit like 10MiB or 1GiB", text)
	case size < low || size > high:
		p.fail(variable, "%s is out of range; use %s to %s", text, formatSize(low), formatSize(high))
	}
	return size
}

func (p *parser) diskReserve(variable, text string) int64 {
	if strings.EqualFold(text, "auto") {
		return AutoDiskReserve
	}
	return p.size(variable, text, 0, hook.MaxKeepBytes)
}

func (p *parser) duration(variable, text string, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		p.fail(variable, "%q is not a time; use a number with a unit, like 24h, 30m or 10s", text)
	case d < low || d > high:
		p.fail(variable, "%s is out of range; use %s to %s", text, formatDuration(low), formatDuration(high))
	}
	return d
}

// formatDuration writes 720h, where Duration.String has 720h0m0s.
func formatDuration(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "m0s")
	if text != d.String() {
		text += "m"
	}
	if hours, whole := strings.CutSuffix(text, "h0m"); whole {
		return hours + "h"
	}
	return text
}

func (p *parser) logLevel(variable, text string) (level slog.Level) {
	// Level's own parser takes more, such as INFO+2, which nobody needs and nobody would guess.
	if word := p.oneOf(variable, text, "debug", "info", "warn", "error"); !p.failed(variable) {
		_ = level.UnmarshalText([]byte(word)) // these four it knows
	}
	return level
}

// list returns the parts of a comma-separated text, without empty ones.
func list(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// secret returns the value of a variable or the content of the file that its _FILE variable or flag names.
func (p *parser) secret(variable, file string) Secret {
	value := p.env[variable]
	switch {
	case file == "":
		return Secret(value)
	case value != "":
		p.fail(variable, "is set, and so is %s_FILE; keep one of them", variable)
		return ""
	}
	text, err := readSecret(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.fail(variable+"_FILE", "there is no file %q; create it or correct the path", file)
	case err != nil:
		p.fail(variable+"_FILE", "%v; give this process a small text file that it may read", err)
	case text == "":
		p.fail(variable+"_FILE", "the file %q is empty; write the secret into it", file)
	}
	return Secret(text)
}

// readSecret returns the content of a file without the line break that editors leave at its end.
func readSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const most = 64 << 10
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	if len(b) > most {
		return "", fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}
