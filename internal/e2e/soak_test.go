package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestSoak uses the product badly and at random for 40 seconds, or an hour with HOOKKEEPER_TEST_LONG: captures of all sizes,
// deliveries to targets that take and that refuse, live views that come and go, lists, edits, deletions, replays, queues that are
// discarded, logins, and kills. Against a model of what must be there: what was acknowledged and not deleted is stored, whole, and
// delivered. In the last third nothing is killed, and memory, descriptors and the write-ahead log stay what they are. At the end no
// goroutine is left that a server which has just started does not have.
func TestSoak(t *testing.T) {
	t.Parallel()
	d := 40 * time.Second
	if long() {
		d = time.Hour
	}
	k := newSoak(t)
	stop := make(chan struct{})
	var users sync.WaitGroup
	for i := range 6 {
		users.Go(func() { k.repeat(stop, fmt.Sprintf("sender %d", i), k.send) })
	}
	for name, does := range map[string]func(*rand.Rand) error{
		"viewer": k.view, "reader": k.read, "editor": k.edit, "deleter": k.remove, "resender": k.resend, "visitor": k.visit,
		"scratcher": k.scratch,
	} {
		users.Go(func() { k.repeat(stop, name, does) })
	}
	kills := 0
	for end := time.Now().Add(d * 2 / 3); time.Now().Before(end); kills++ {
		pace(min(d/12, 10*time.Second) + rand.N(d/60))
		k.restart(kills%2 == 0)
	}
	pace(d / 12) // the caches fill
	before := k.measure(d / 12)
	pace(d / 12)
	after := k.measure(d / 12)
	close(stop)
	users.Wait()
	t.Logf("%d kills; %d acknowledged, %d deleted; before %v, after %v", kills, len(k.acked), len(k.deleted), before, after)
	k.check()
	if after.memory > before.memory*5/4+(40<<20) {
		t.Errorf("memory goes from %d to %d MB", before.memory>>20, after.memory>>20)
	}
	if after.descriptors > before.descriptors+20 || after.threads > before.threads+20 {
		t.Errorf("descriptors go from %d to %d, threads from %d to %d", before.descriptors, after.descriptors, before.threads, after.threads)
	}
	if after.wal > 128<<20 {
		t.Errorf("the write-ahead log is %d MB", after.wal>>20)
	}
	used := k.server.goroutines()
	k.server.restart()
	fresh := k.server.goroutines()
	t.Logf("%d goroutines are left, %d are in a server that has just started", used, fresh)
	if used > fresh+10 {
		t.Errorf("%d goroutines are left, and a server that has just started has %d", used, fresh)
	}
}

// goroutines ends the server in a way that has it print its goroutines, and returns how many there were, those apart that keep a
// connection to a target for the next delivery.
func (s *server) goroutines() (n int) {
	s.t.Helper()
	s.api("GET", "/api/v1/capture-urls", nil, http.StatusOK, nil)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	before := len(s.log.String())
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGQUIT)
	s.exited <- <-s.exited
	for _, stack := range strings.Split(s.log.String()[before:], "\ngoroutine ")[1:] {
		if !strings.Contains(stack, "(*persistConn)") {
			n++
		}
	}
	return n
}

// soak is a server that is used, and what must be in it.
type soak struct {
	t       *testing.T
	server  *server
	subs    []string // to the good receiver
	urls    []captureURL
	rough   captureURL // whose requests and deliveries may go at any time
	roughTo string     // its subscription
	good    *receiver
	up      sync.RWMutex // held for writing while the server is restarted
	session atomic.Pointer[http.Cookie]

	mu      sync.Mutex
	acked   map[string]string // id → its body's marker
	order   []string          // of acked
	deleted map[string]bool
}

func newSoak(t *testing.T) *soak {
	k := &soak{t: t, acked: map[string]string{}, deleted: map[string]bool{}, good: newReceiver(t)}
	k.server = start(t, allowLoopback, "HOOKKEEPER_KEEP_REQUESTS=10000000", "HOOKKEEPER_KEEP_BYTES=100GiB")
	moody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch rand.IntN(5) {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			panic(http.ErrAbortHandler) // closes the connection
		}
	}))
	t.Cleanup(moody.Close)
	for range 3 {
		u := k.server.newURL(nil)
		k.urls = append(k.urls, u)
		k.subs = append(k.subs, k.server.subscribe(u, k.good.URL, nil))
		k.server.subscribe(u, moody.URL, map[string]any{"max_attempts": 3, "backoff": []int{1, 1}})
	}
	k.rough = k.server.newURL(nil)
	k.roughTo = k.server.subscribe(k.rough, moody.URL, map[string]any{"max_attempts": 5, "backoff": []int{1}, "concurrency": 2})
	k.session.Store(k.server.login())
	return k
}

// repeat does something again and again. What fails while the server is down is tried again; every other error fails the test.
func (k *soak) repeat(stop <-chan struct{}, name string, do func(*rand.Rand) error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.Int64N(int64(40 * time.Millisecond)))): // users pause, too
		}
		k.up.RLock()
		err := do(random)
		k.up.RUnlock()
		if err != nil {
			k.t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// restart kills the server, or stops it, in the middle of what is going on, and starts it again.
func (k *soak) restart(kill bool) {
	if kill {
		k.server.kill()
	} else if err := k.server.terminate(); err != nil {
		k.t.Error(err)
	}
	k.up.Lock()
	defer k.up.Unlock()
	k.server.restart()
}

// do sends a request and returns the answer; a server that is just not there gives status 0.
func (k *soak) do(method, path, kind string, body []byte, header ...string) answer {
	req, err := http.NewRequest(method, k.server.url(path), bytes.NewReader(body))
	if err != nil {
		return answer{}
	}
	req.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (k *soak) api(method, path, body string) answer {
	return k.do(method, path, "application/json", []byte(body), "Authorization", "Bearer "+apiToken)
}

func wanted(a answer, statuses ...int) error {
	if a.status == 0 || slices.Contains(statuses, a.status) {
		return nil
	}
	return fmt.Errorf("status %d: %.300s", a.status, a.body)
}

func (k *soak) anyURL(random *rand.Rand) captureURL { return k.urls[random.IntN(len(k.urls))] }

func (k *soak) anySub(random *rand.Rand) string { return k.subs[random.IntN(len(k.subs))] }

// any returns the id of a request that was acknowledged and is not deleted, "" when there is none.
func (k *soak) any(random *rand.Rand) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range 10 {
		if len(k.order) == 0 {
			return ""
		}
		if id := k.order[random.IntN(len(k.order))]; !k.deleted[id] {
			return id
		}
	}
	return ""
}

func (k *soak) send(random *rand.Rand) error {
	marker := fmt.Sprintf("m%d.", random.Uint64())
	size := 1 << random.IntN(14)
	if random.IntN(200) == 0 {
		size = 1 << 20
	}
	a := k.do("POST", "/in/"+k.anyURL(random).Slug+"/soak?q=1", "text/plain", []byte(marker+strings.Repeat("x", size)))
	if a.status == http.StatusOK {
		id := a.header.Get("Hookkeeper-Request-Id")
		k.mu.Lock()
		k.acked[id] = marker
		k.order = append(k.order, id)
		k.mu.Unlock()
	}
	return wanted(a, http.StatusOK, http.StatusServiceUnavailable)
}

// view opens a live view for a moment.
func (k *soak) view(random *rand.Rand) error {
	conn, _, err := dialLive(k.server, k.session.Load(), k.anyURL(random).ID)
	if err != nil {
		return nil // the server is down, or the session has ended
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(time.Duration(random.Int64N(int64(300 * time.Millisecond)))))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return nil
		}
	}
}

func (k *soak) read(random *rand.Rand) error {
	u := k.anyURL(random)
	paths := []string{
		urlsAPI + "/" + u.ID + "/requests?limit=" + []string{"1", "50", "200"}[random.IntN(3)], urlsAPI, "/api/v1/subscriptions/" + k.anySub(random),
		"/api/v1/subscriptions/" + k.anySub(random) + "/deliveries",
	}
	if id := k.any(random); id != "" {
		paths = append(paths, "/api/v1/requests/"+id, "/api/v1/requests/"+id+"/body", urlsAPI+"/"+u.ID+"/requests?after="+id)
	}
	return wanted(k.api("GET", paths[random.IntN(len(paths))], ""), http.StatusOK, http.StatusNotFound)
}

// visit looks at pages, and now and then logs out and in again.
func (k *soak) visit(random *rand.Rand) error {
	session := k.session.Load()
	cookie := session.Name + "=" + session.Value
	if random.IntN(30) == 0 {
		k.do("POST", "/logout", "application/x-www-form-urlencoded", nil, "Cookie", cookie)
		a := k.do("POST", "/login", "application/x-www-form-urlencoded", []byte("email="+adminEmail+"&password="+strings.ReplaceAll(adminPassword, " ", "+")))
		for _, c := range (&http.Response{Header: a.header}).Cookies() {
			if c.Name == session.Name {
				k.session.Store(c)
			}
		}
		return wanted(a, http.StatusSeeOther)
	}
	paths := []string{"/", "/urls/" + k.anyURL(random).ID, "/subscriptions/" + k.anySub(random), "/settings/server"}
	if id := k.any(random); id != "" {
		paths = append(paths, "/urls/"+k.urls[0].ID+"/requests/"+id+"?tab=deliveries")
	}
	return wanted(k.do("GET", paths[random.IntN(len(paths))], "", nil, "Cookie", cookie), http.StatusOK, http.StatusSeeOther, http.StatusNotFound)
}

func (k *soak) edit(random *rand.Rand) error {
	u := k.anyURL(random)
	if random.IntN(2) == 0 {
		return wanted(k.api("PATCH", urlsAPI+"/"+u.ID, fmt.Sprintf(`{"name":"name %d"}`, random.IntN(100))), http.StatusOK)
	}
	return wanted(k.api("PATCH", "/api/v1/subscriptions/"+k.anySub(random), fmt.Sprintf(`{"paused":%t}`, random.IntN(4) == 0)), http.StatusOK)
}

// remove deletes a request now and then. One whose deletion was asked for may be there or not.
func (k *soak) remove(random *rand.Rand) error {
	id := k.any(random)
	if id == "" || random.IntN(10) > 0 {
		return nil
	}
	k.mu.Lock()
	k.deleted[id] = true
	k.mu.Unlock()
	return wanted(k.api("DELETE", "/api/v1/requests/"+id+"?unfinished=cancel", ""), http.StatusNoContent, http.StatusNotFound)
}

func (k *soak) resend(random *rand.Rand) error {
	id := k.any(random)
	if id == "" || random.IntN(5) > 0 {
		return nil
	}
	body, err := json.Marshal(map[string]string{"target_url": k.good.URL})
	if err != nil {
		return err
	}
	return wanted(k.api("POST", "/api/v1/requests/"+id+"/resend", string(body)), http.StatusAccepted, http.StatusCreated, http.StatusNotFound)
}

// scratch uses a capture URL of which nothing has to be left: what it keeps changes, its queue is discarded, everything is sent again.
func (k *soak) scratch(random *rand.Rand) error {
	url, sub := urlsAPI+"/"+k.rough.ID, "/api/v1/subscriptions/"+k.roughTo
	switch random.IntN(40) {
	case 0:
		return wanted(k.api("DELETE", url+"/requests?all=true&unfinished=cancel", ""), http.StatusNoContent)
	case 1:
		return wanted(k.api("POST", sub+"/discard", ""), http.StatusOK, http.StatusNoContent)
	case 2:
		keep := []string{`{"requests":20}`, `{"requests":null,"bytes":1048576}`, `{"bytes":null}`}[random.IntN(3)]
		return wanted(k.api("PATCH", url, `{"keep":`+keep+`}`), http.StatusOK)
	case 3:
		return wanted(k.api("POST", sub+"/replays", "{}"), http.StatusCreated, http.StatusConflict)
	}
	a := k.do("POST", "/in/"+k.rough.Slug, "text/plain", []byte(strings.Repeat("x", 1<<random.IntN(17))))
	return wanted(a, http.StatusOK, http.StatusServiceUnavailable)
}

// footprint is what a process takes.
type footprint struct {
	memory, wal          int64
	descriptors, threads int
}

func (f footprint) String() string {
	return fmt.Sprintf("%d MB, %d descriptors, %d threads, log of %d MB", f.memory>>20, f.descriptors, f.threads, f.wal>>20)
}

// measure returns the most that the server takes in a while.
func (k *soak) measure(d time.Duration) (most footprint) {
	for end := time.Now().Add(d); time.Now().Before(end); pace(50 * time.Millisecond) {
		dir := fmt.Sprintf("/proc/%d", k.server.cmd.Process.Pid)
		most.memory = max(most.memory, k.server.memory())
		most.descriptors = max(most.descriptors, entries(dir+"/fd"))
		most.threads = max(most.threads, entries(dir+"/task"))
		if info, err := os.Stat(filepath.Join(k.server.DataDir, "hookkeeper.db-wal")); err == nil {
			most.wal = max(most.wal, info.Size())
		}
	}
	return most
}

func entries(dir string) int {
	all, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return len(all)
}

// check compares the server with the model.
func (k *soak) check() {
	k.t.Helper()
	s := k.server
	for _, sub := range k.subs {
		s.api("PATCH", "/api/v1/subscriptions/"+sub, map[string]any{"paused": false}, http.StatusOK, nil)
	}
	stored := map[string]bool{}
	for _, u := range k.urls {
		for _, r := range s.requests(u.ID) {
			stored[r.ID] = true
		}
	}
	var must []string
	for id := range k.acked {
		if k.deleted[id] {
			continue
		}
		must = append(must, id)
		if !stored[id] {
			k.t.Errorf("request %s was acknowledged and is lost", id)
		}
	}
	eventually(k.t, "all are delivered", func() bool { return k.good.missing(must) == 0 })
	for i, id := range must {
		if i%(1+len(must)/200) > 0 {
			continue
		}
		if r := s.request(id); r.Body == nil || !strings.HasPrefix(*r.Body, k.acked[id]) || int64(len(*r.Body)) != r.BodySize {
			k.t.Errorf("request %s is not whole", id)
		}
	}
	if out := runCommand(k.t, s, "check"); !strings.Contains(out, "The database is sound") {
		k.t.Errorf("check says: %s", out)
	}
}
