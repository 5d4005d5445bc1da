package hook

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIDText(t *testing.T) {
	for _, test := range []struct {
		id   ID
		want string
	}{
		{1, "req_0000000000001"},
		{31, "req_000000000000z"},
		{32, "req_0000000000010"},
		{1 << 59, "req_0g00000000000"},
		{math.MaxInt64, "req_7zzzzzzzzzzzz"},
	} {
		if got := test.id.Text(RequestPrefix); got != test.want {
			t.Errorf("%d: got %s, want %s", test.id, got, test.want)
		}
		if got, ok := ParseID(RequestPrefix, test.want); got != test.id || !ok {
			t.Errorf("%s: got %d, %t, want %d", test.want, got, ok, test.id)
		}
	}
}

func TestParseIDTakesOnlyTheCanonicalForm(t *testing.T) {
	for _, text := range []string{
		"", "req_", "req_000000000000", "req_00000000000001", "0000000000001", "url_0000000000001", "REQ_0000000000001",
		"req_0000000000000",                                                                // no id is 0
		"req_8000000000000", "req_g000000000000", "req_g000000000001", "req_zzzzzzzzzzzzz", // more than 63 bits
		"req_000000000000i", "req_000000000000l", "req_000000000000o", "req_000000000000u", // not in the alphabet
		"req_000000000000A", "req_000000000000Z", "req_00000000000-1", "req_000000000000\xff", // nor these
		" req_0000000000001", "req_0000000000001 ", "req_0000000000001\n", "req_req_000000001", "req_00000000000é",
	} {
		if id, ok := ParseID(RequestPrefix, text); ok || id != 0 {
			t.Errorf("%q was taken for %d", text, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("req_0000000000001")
	f.Add("req_7zzzzzzzzzzzz")
	f.Add("req_8000000000000")
	f.Add("req_000000000000o")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := ParseID(RequestPrefix, text)
		switch {
		case !ok && id != 0:
			t.Errorf("%q was refused and gave %d", text, id)
		case ok && (id <= 0 || id.Text(RequestPrefix) != text):
			t.Errorf("%q was taken for %d, which is %q", text, id, id.Text(RequestPrefix))
		}
	})
}

// TestIDTextSortsLikeID holds the text to what lists and logs rely on: sorting the text sorts the ids.
func TestIDTextSortsLikeID(t *testing.T) {
	ids := []ID{1, 31, 32, 1 << 20, 1<<20 + 1, FirstIDAt(time.Now()), math.MaxInt64}
	if !slices.IsSortedFunc(ids, func(a, b ID) int { return strings.Compare(a.Text(""), b.Text("")) }) {
		t.Error("the text of a larger id sorts before that of a smaller one")
	}
}

func TestIDTime(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 55, 1, 234_000_000, time.UTC)
	var g IDs
	if id := g.Next(at.Add(999 * time.Microsecond)); !id.Time().Equal(at) || id != FirstIDAt(at) {
		t.Errorf("got %s of id %d", id.Time(), id)
	}
	if last := FirstIDAt(idEpoch.Add((1<<43 - 1) * time.Millisecond)); last <= 0 || last.Time().Year() != 2298 {
		t.Errorf("the last millisecond of 43 bits is %s, id %d", last.Time(), last)
	}
}

func TestIDsRise(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var g IDs
	last := g.Next(now)
	rises := func(about string, at time.Time) ID {
		id := g.Next(at)
		if id <= last {
			t.Fatalf("%s: %d after %d", about, id, last)
		}
		last = id
		return id
	}
	rises("the same millisecond", now)
	rises("a clock set back", now.Add(-time.Hour))
	rises("a clock before the epoch", time.Unix(0, 0))
	if id := rises("a later clock", now.Add(time.Second)); id != FirstIDAt(now.Add(time.Second)) {
		t.Errorf("an id of a new millisecond does not start at its first: %d", id)
	}
	g.Advance(FirstIDAt(now.Add(time.Hour)))
	last = FirstIDAt(now.Add(time.Hour))
	rises("after an id that exists already", now)
	g.Advance(1)
	rises("told of an id that is long past", now)
}

// TestIDsOverflow takes more ids out of one millisecond than its counter has: the next one borrows from the following
// millisecond, because the bits above the counter are those of another node.
func TestIDsOverflow(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var g IDs
	var last ID
	for range 3 << idCounterBits {
		id := g.Next(now)
		if id <= last {
			t.Fatalf("%d after %d", id, last)
		}
		if node := id >> idCounterBits & (1<<idNodeBits - 1); node != 0 {
			t.Fatalf("id %d belongs to node %d", id, node)
		}
		last = id
	}
	if want := now.Add(2 * time.Millisecond); !last.Time().Equal(want) {
		t.Errorf("the last id is of %s, want %s", last.Time(), want)
	}
}

func TestIDsOfManyGoroutinesDiffer(t *testing.T) {
	var g IDs
	var mu sync.Mutex
	seen := map[ID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var ids []ID
			for range 500 {
				ids = append(ids, g.Next(time.Now()))
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				seen[id] = true
			}
		})
	}
	wg.Wait()
	if len(seen) != 8*500 {
		t.Errorf("%d different ids of %d", len(seen), 8*500)
	}
}

func FuzzChosenSlug(f *testing.F) {
	for _, slug := range []string{"orders", "a-b", "-a", "ab", "ÄÖÜ", "a/b", "a%2fb", "A"} {
		f.Add(slug)
	}
	f.Fuzz(func(t *testing.T, slug string) {
		if ValidSlug(slug) && strings.ContainsFunc(slug, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			t.Errorf("%q may be part of an address", slug)
		}
	})
}
