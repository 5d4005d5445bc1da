package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestPowerCut plays what a server did to its disk, while captures and deliveries went on, up to a random moment; of what had not
// been flushed by then some is lost. Every acknowledged request is there with its delivery, and the database is whole. The same
// without flushes (synchronous=NORMAL) loses requests: the test would find out.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "it records what the server does to its disk")
	cuts := 50
	if long() {
		cuts = 2000
	}
	t.Run("FULL", func(t *testing.T) {
		found := cutPower(t, strace, "FULL", cuts)
		t.Logf("%d cuts: %s", cuts, found)
		if found.lost+found.damaged > 0 {
			t.Errorf("power cuts do harm: %s", found)
		}
	})
	t.Run("NORMAL", func(t *testing.T) {
		found := cutPower(t, strace, "NORMAL", cuts)
		t.Logf("%d cuts: %s", cuts, found)
		if found.cutsWithLoss == 0 {
			t.Error("a server that does not flush lost nothing: this test finds nothing")
		}
	})
}

// harm is what power cuts have done.
type harm struct {
	acked        int // requests acknowledged before the cuts, in all
	lost         int // of them, those that are gone or have no delivery
	cutsWithLoss int
	damaged      int // databases that are not whole
	flushes      int // of the database file: checkpoints took part
	examples     []string
}

func (h harm) String() string {
	return fmt.Sprintf("%d acknowledged, %d lost in %d cuts, %d databases damaged, %d flushes of the database file %v",
		h.acked, h.lost, h.cutsWithLoss, h.damaged, h.flushes, h.examples)
}

func cutPower(t *testing.T, strace, synchronous string, cuts int) (found harm) {
	t.Helper()
	events, path := recordDisk(t, strace, synchronous)
	first := slices.IndexFunc(events, func(e diskEvent) bool { return e.what == "ack" })
	if first < 0 {
		t.Fatal("nothing was acknowledged")
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %d events", seed, len(events))
	random := rand.New(rand.NewPCG(seed, 0))
	moments := make([]int, cuts)
	for i := range moments {
		moments[i] = first + random.IntN(len(events)-first)
	}
	slices.Sort(moments)
	disk := newDisk(path, path+"-wal")
	acked, at := map[string]bool{}, 0
	for i, moment := range moments {
		for ; at < moment; at++ {
			if e := &events[at]; e.what == "ack" {
				acked[e.ack] = true
			} else {
				disk.do(events, at)
			}
		}
		image := filepath.Join(t.TempDir(), strconv.Itoa(i)+".db")
		disk.leave(t, random, path, image)
		missing, err := lostIn(image, acked)
		found.acked += len(acked)
		found.lost += missing
		if missing > 0 {
			found.cutsWithLoss++
		}
		if err != nil {
			found.damaged++
			if len(found.examples) < 3 {
				found.examples = append(found.examples, fmt.Sprintf("at event %d: %v", moment, err))
			}
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(image + suffix)
		}
	}
	for _, e := range events {
		if e.what == "flush" && e.path == path {
			found.flushes++
		}
	}
	return found
}

// recordDisk has a server capture and deliver for a while, kills it, and returns what it did to its disk.
func recordDisk(t *testing.T, strace, synchronous string) (events []diskEvent, database string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	s := startProgram(t, buildStore(t, synchronous, 200, 256<<10), traceDisk(strace, log), allowLoopback)
	u := s.newURL(nil)
	g := newReceiver(t)
	s.subscribe(u, g.URL, nil)
	acks := &acked{ids: map[string]string{}}
	progress := make(chan struct{}, 1)
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() { sendMarked(s.Addr, "/in/"+u.Slug, fmt.Sprintf("s%d", i), acks, progress) })
	}
	for acks.count() < 700 {
		<-progress
	}
	s.killTraced()
	senders.Wait()
	return readTrace(t, log), filepath.Join(s.DataDir, "hookkeeper.db")
}

// buildStore builds the program with another way to write, a checkpoint after so many pages, and a log that is cut to so many bytes.
func buildStore(t *testing.T, synchronous string, checkpointPages, walLimit int) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "hookkeeper")
	const store = "github.com/hookkeeper/hookkeeper/internal/store."
	build := exec.Command("go", "build", "-o", program, "-ldflags",
		fmt.Sprintf("-X %[1]ssynchronous=%[2]s -X %[1]scheckpointPages=%[3]d -X %[1]swalLimit=%[4]d", store, synchronous, checkpointPages, walLimit), "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// killTraced kills the program but not the tracer, which then writes down what it has seen.
func (s *server) killTraced() {
	s.t.Helper()
	tracer := s.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", tracer, tracer))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, text := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			s.t.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.exited <- <-s.exited
}

// disk is what is on a volume for certain, and what has been written to it and not flushed.
type disk struct {
	files   map[string][]byte
	pending map[string][]int // numbers of events
	events  []diskEvent
}

func newDisk(paths ...string) *disk {
	d := &disk{files: map[string][]byte{}, pending: map[string][]int{}}
	for _, path := range paths {
		d.files[path] = nil
	}
	return d
}

// do plays an event. A flush makes certain what was written before it began.
func (d *disk) do(events []diskEvent, number int) {
	d.events = events
	e := &events[number]
	if _, known := d.files[e.path]; !known {
		return
	}
	if e.what != "flush" {
		d.pending[e.path] = append(d.pending[e.path], number)
		return
	}
	left := d.pending[e.path][:0]
	for _, n := range d.pending[e.path] {
		if n < e.from {
			d.files[e.path] = changed(d.files[e.path], &events[n])
		} else {
			left = append(left, n)
		}
	}
	d.pending[e.path] = left
}

// changed returns a file after a write or a cut.
func changed(file []byte, e *diskEvent) []byte {
	end := e.offset + int64(len(e.data))
	if e.what == "cut" || end > int64(len(file)) {
		grown := make([]byte, max(end, e.offset))
		copy(grown, file)
		file = grown
	}
	copy(file[e.offset:], e.data)
	return file
}

// leave writes the files as they may be after a power cut: what was not flushed is lost, or some of it is there, and the last
// write may be torn.
func (d *disk) leave(t *testing.T, random *rand.Rand, path, image string) {
	t.Helper()
	for name, file := range d.files {
		file = bytes.Clone(file)
		var kept []int
		mode := random.IntN(4)
		for i, n := range d.pending[name] {
			switch {
			case mode == 1 && random.IntN(len(d.pending[name])) > i, mode >= 2 && random.IntN(2) == 0:
				kept = append(kept, n)
			}
		}
		for i, n := range kept {
			e := d.events[n]
			if mode == 3 && i == len(kept)-1 && len(e.data) > 0 {
				e.data = e.data[:random.IntN(len(e.data))]
			}
			file = changed(file, &e)
		}
		if len(file) == 0 && name != path {
			continue
		}
		if err := os.WriteFile(image+strings.TrimPrefix(name, path), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// lostIn counts the acknowledged requests that are not in a database, or have no delivery. The error says how the database is
// damaged.
func lostIn(image string, acked map[string]bool) (lost int, err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: image}).EscapedPath())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var whole string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil {
		return len(acked), err
	}
	if whole != "ok" {
		err = errors.New(whole)
	}
	rows, queryErr := db.Query("SELECT DISTINCT r.id FROM requests r JOIN deliveries d ON d.request_id = r.id")
	if queryErr != nil {
		return len(acked), queryErr
	}
	defer rows.Close()
	there := map[string]bool{}
	for rows.Next() {
		var id hook.ID
		if err := rows.Scan(&id); err != nil {
			return len(acked), err
		}
		there[id.Text(hook.RequestPrefix)] = true
	}
	for id := range acked {
		if !there[id] {
			lost++
		}
	}
	return lost, errors.Join(err, rows.Err())
}
