package e2e

import (
	"bufio"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// diskEvent is one thing that a traced server did to a file, or a request that it acknowledged.
type diskEvent struct {
	what   string // write, cut (ftruncate), flush, ack
	path   string
	offset int64 // of write; the new length of cut
	data   []byte
	from   int    // of flush: the number of the event at which it began
	ack    string // id of the request
}

// strace prints every text as \x41\x42, so that nothing has to be unquoted.
var (
	straceLine    = regexp.MustCompile(`^(\d+) +(.*)$`)
	straceResumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	straceWrite   = regexp.MustCompile(`^pwrite64\(\d+<([^>]*)>, "([^"]*)"(\.\.\.)?, \d+, (\d+)\) += \d+$`)
	straceFlush   = regexp.MustCompile(`^f(?:data)?sync\(\d+<([^>]*)>\) += 0$`)
	straceCut     = regexp.MustCompile(`^ftruncate\(\d+<([^>]*)>, (\d+)\) += 0$`)
	straceAnswer  = regexp.MustCompile(`^write\(\d+<[^>]*>, "([^"]*)"(?:\.\.\.)?, \d+\) += \d+$`)
	answeredID    = regexp.MustCompile(`HTTP/1\.1 200 OK\r\n(?s:.*?)Hookkeeper-Request-Id: (req_\w+)\r\n`)
)

// traceDisk is the command in front of a server that readTrace understands.
func traceDisk(strace, log string) []string {
	return []string{strace, "-f", "-y", "-xx", "-qq", "-s", "1000000", "--seccomp-bpf", "-e", "trace=pwrite64,fsync,fdatasync,ftruncate,write", "-e", "signal=none", "-o", log}
}

// readTrace returns what a traced server did, in the order in which the calls returned.
func readTrace(t *testing.T, log string) (events []diskEvent) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type begun struct {
		text string
		at   int
	}
	unfinished := map[string]begun{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		m := straceLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		call := begun{m[2], len(events)}
		if text, ok := strings.CutSuffix(call.text, "<unfinished ...>"); ok {
			unfinished[m[1]] = begun{strings.TrimRight(text, " "), len(events)}
			continue
		}
		if rest := straceResumed.FindStringSubmatch(call.text); rest != nil {
			call = unfinished[m[1]]
			call.text += rest[1]
		}
		if e, ok := readCall(t, call.text); ok {
			e.from = call.at
			events = append(events, e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func readCall(t *testing.T, call string) (diskEvent, bool) {
	t.Helper()
	if m := straceWrite.FindStringSubmatch(call); m != nil {
		if m[3] != "" {
			t.Fatal("a write is longer than the trace shows")
		}
		offset, _ := strconv.ParseInt(m[4], 10, 64)
		return diskEvent{what: "write", path: string(unhex(m[1])), offset: offset, data: unhex(m[2])}, true
	}
	if m := straceFlush.FindStringSubmatch(call); m != nil {
		return diskEvent{what: "flush", path: string(unhex(m[1]))}, true
	}
	if m := straceCut.FindStringSubmatch(call); m != nil {
		length, _ := strconv.ParseInt(m[2], 10, 64)
		return diskEvent{what: "cut", path: string(unhex(m[1])), offset: length}, true
	}
	if m := straceAnswer.FindStringSubmatch(call); m != nil {
		if id := answeredID.FindSubmatch(unhex(m[1])); id != nil {
			return diskEvent{what: "ack", ack: string(id[1])}, true
		}
	}
	return diskEvent{}, false
}

// unhex reads \x41\x42; a path may stand as it is.
func unhex(text string) []byte {
	if !strings.HasPrefix(text, `\x`) {
		return []byte(text)
	}
	data, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		return nil
	}
	return data
}
