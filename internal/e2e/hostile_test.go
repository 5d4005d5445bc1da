package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostileRow is one input of the list of hostile requests, and what becomes of it. An id of the list may have several.
type hostileRow struct {
	id    string
	input string         // in words
	send  string         // what goes over the wire; SLUG stands for the slug of a capture URL that only this row uses
	then  func(net.Conn) // what the sender does afterwards; nil: it waits

	status int           // of the answer; 0: the connection is closed without one
	closed bool          // the connection is closed behind the answer
	within time.Duration // all that takes at most so long; 0: not measured. These rows run beside the others.
	stored []check       // what holds for the one request that is stored; nil: nothing is stored
	shown  []string      // texts that the page of the request shows
	marked []string      // those of them that are set apart, because they are not what was sent

	run func(t *testing.T, s *server) // replaces all of the above
}

func (r hostileRow) name() string { return r.id + " " + r.input }

// TestHostile sends each of the inputs A01 to A80 to one server.
func TestHostile(t *testing.T) {
	t.Parallel()
	s := start(t)
	session := s.login()
	rows := hostileRows()
	var slow []*exchange
	for _, row := range rows {
		if row.within > 0 {
			slow = append(slow, s.begin(row))
		}
	}
	for _, row := range rows {
		switch {
		case row.run != nil:
			t.Run(row.name(), func(t *testing.T) { row.run(t, s) })
		case row.within == 0:
			t.Run(row.name(), func(t *testing.T) { s.begin(row).finish(t, session) })
		}
	}
	for _, e := range slow {
		t.Run(e.row.name(), func(t *testing.T) { e.finish(t, session) })
	}
}

// triedElsewhere says which tests have the rows that are in no table of this package.
var triedElsewhere = map[string]string{
	"C06": "internal/auth TestUnknownUserCostsTheSame", "C10": "internal/e2e TestLoginsAtOnce",
	"D16": "internal/e2e TestHugeContent",
	"E01": "internal/e2e TestSocketOrigin", "E02": "internal/e2e TestSocketOrigin", "E03": "internal/e2e TestSocketPath",
	"E04": "internal/e2e TestSocketNeedsLogin", "E05": "internal/e2e TestSocketFrames", "E06": "internal/e2e TestSocketFrames",
	"E07": "internal/e2e TestSocketNotCompressed", "E08": "internal/e2e TestSocketFrames", "E09": "internal/e2e TestSocketFrames",
	"E10": "internal/e2e TestSocketFrames", "E11": "internal/e2e TestStalledViewer", "E12": "internal/e2e TestSocketsOfSession",
	"E13": "internal/e2e TestSocketsEndWithLogin", "E14": "internal/e2e TestSocketsRestart", "E15": "internal/e2e TestHalfOpen",
	"F01": "internal/egress TestAddresses", "F02": "internal/egress TestAddresses", "F03": "internal/egress TestRanges",
	"F04": "internal/egress TestCheck", "F05": "internal/egress TestCheck", "F06": "internal/egress TestCheck", "F07": "internal/egress TestCheck",
	"F08": "internal/egress TestCheck", "F09": "internal/egress TestCheck", "F10": "internal/egress TestCheck", "F11": "internal/egress TestRedirects",
	"F12": "internal/egress TestNameServers", "F13": "internal/egress TestBadAnswers", "F14": "internal/delivery TestRetryAfter",
	"F15": "internal/delivery TestGone", "F16": "web TestAPISubscriptionMistakes", "F17": "internal/delivery TestHeaders",
	"F18": "internal/egress TestTargetThatStopsReading",
}

// TestHostileIsComplete holds the tables to the list. A81 to A84 are about HTTP/2, which is not served; B15 is about a CSV export,
// which there is not.
func TestHostileIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, row := range hostileRows() {
		seen[row.id]++
	}
	for _, row := range slices.Concat(hostileAPI(), hostileForms()) {
		seen[row.id]++
	}
	for id := range hostileTexts {
		seen[id]++
	}
	for id, test := range triedElsewhere {
		seen[id]++
		dir, name, _ := strings.Cut(test, " ")
		if !hasTest(t, filepath.Join("../..", dir), name) {
			t.Errorf("%s: there is no %s", id, test)
		}
	}
	for surface, rows := range map[string]int{"A": 80, "B": 17, "C": 14, "D": 16, "E": 15, "F": 18} {
		for i := range rows {
			id := fmt.Sprintf("%s%02d", surface, i+1)
			if seen[id] == 0 && id != "B15" {
				t.Errorf("row %s is missing", id)
			}
			delete(seen, id)
		}
	}
	for id := range seen {
		t.Errorf("row %s is not in the list", id)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

func hostileRows() []hostileRow {
	return slices.Concat(hostRows, framingRows(), headerRows(), targetRows(), methodRows, bodyRows(), slowRows(), specialRows)
}

// exchange is a row on its way.
type exchange struct {
	s    *server
	row  hostileRow
	url  captureURL
	done chan outcome
}

// outcome is how the server reacted.
type outcome struct {
	answer
	closed bool
	took   time.Duration
}

// answer is what came back, read.
type answer struct {
	status int // 0: nothing
	header http.Header
	body   string
}

// begin sends a row on a connection of its own.
func (s *server) begin(row hostileRow) *exchange {
	s.t.Helper()
	e := &exchange{s: s, row: row, url: s.newURL(nil), done: make(chan outcome, 1)}
	conn := s.dial()
	send := strings.ReplaceAll(row.send, "SLUG", e.url.Slug)
	go func() {
		_, err := io.WriteString(conn, send) // fails when the server has closed already
		if err == nil && row.then != nil {
			row.then(conn)
		}
	}()
	go func() {
		defer conn.Close()
		start := time.Now()
		reader := bufio.NewReader(conn)
		method, _, _ := strings.Cut(send, " ")
		o := outcome{answer: readAnswer(reader, method)}
		if row.closed || o.status == 0 {
			_, err := reader.ReadByte()
			o.closed = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
		}
		o.took = time.Since(start)
		e.done <- o
	}()
	return e
}

// readAnswer reads one answer to a method, the zero answer when there is none or it is no HTTP.
func readAnswer(reader *bufio.Reader, method string) answer {
	resp, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// thenEnd waits for the reaction and compares it with what the row expects.
func (e *exchange) finish(t *testing.T, session *http.Cookie) {
	t.Helper()
	o := <-e.done
	row := e.row
	if o.status != row.status {
		t.Errorf("status %d, want %d; %.300q", o.status, row.status, o.body)
	}
	if (row.closed || row.status == 0) && !o.closed {
		t.Error("the connection stays open")
	}
	if row.within > 0 && o.took > row.within {
		t.Errorf("it took %s, want at most %s", o.took, row.within)
	}
	if o.status/100 == 3 || o.header.Get("Location") != "" {
		t.Errorf("redirected to %q", o.header.Get("Location"))
	}
	requests := e.s.requests(e.url.ID)
	if row.stored == nil {
		if len(requests) != 0 {
			t.Errorf("%d requests are stored, want none", len(requests))
		}
		return
	}
	if len(requests) != 1 {
		t.Fatalf("%d requests are stored, want 1", len(requests))
	}
	if id := o.header.Get("Hookkeeper-Request-Id"); id != requests[0].ID {
		t.Errorf("the answer names %q, stored is %q", id, requests[0].ID)
	}
	e.checkStored(t, requests[0].ID, session)
}

// checkStored compares a stored request, as the API and its page show it, with what the row expects.
func (e *exchange) checkStored(t *testing.T, id string, session *http.Cookie) {
	t.Helper()
	r := e.s.request(id)
	for _, holds := range e.row.stored {
		if problem := holds(e.url, r); problem != "" {
			t.Error(problem)
		}
	}
	if len(e.row.shown)+len(e.row.marked) == 0 {
		return
	}
	shown, marked := e.s.pageTexts("/urls/"+e.url.ID+"/requests/"+id+"?tab=headers", session)
	for _, text := range e.row.shown {
		if !strings.Contains(shown, text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	for _, text := range e.row.marked {
		if !slices.ContainsFunc(marked, func(m string) bool { return strings.Contains(m, text) }) {
			t.Errorf("the page does not mark %q, but %q", text, marked)
		}
	}
}
