package e2e

import (
	"compress/gzip"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The databases in testdata/upgrade were written by programs of their time: a capture URL golden-orders with an answer of its own,
// and eight requests, "golden 0" to "golden 7". That of schema 2 has two subscriptions with sealed secrets, whose key is goldenKey;
// one target has taken all eight, the other none.
var goldenKey = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

const goldenRequests = 8

// restoreGolden puts the database of an old program into a data directory.
func restoreGolden(t *testing.T, schema int, dataDir string) {
	t.Helper()
	packed, err := os.Open(fmt.Sprintf("testdata/upgrade/schema-%d.db.gz", schema))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	content, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dataDir, "hookkeeper.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUpgrade serves from databases of older programs: everything is there, and so is a copy of what was before.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for schema := 1; schema <= 2; schema++ {
		s := &server{t: t, DataDir: filepath.Join(t.TempDir(), "data"), Addr: "127.0.0.1:0"}
		s.env = []string{
			"HOOKKEEPER_LOG=json", "HOOKKEEPER_DISK_RESERVE=1MiB", "HOOKKEEPER_SECRET_KEY=" + goldenKey,
			"HOOKKEEPER_ADMIN_EMAIL=" + adminEmail, "HOOKKEEPER_ADMIN_PASSWORD=" + adminPassword, "HOOKKEEPER_API_TOKEN=" + apiToken,
		}
		restoreGolden(t, schema, s.DataDir)
		s.restart()
		t.Cleanup(s.kill)
		s.wantGolden(schema)
		if n := goldenIn(t, filepath.Join(s.DataDir, fmt.Sprintf("hookkeeper-schema-%d.db", schema)), schema); n != goldenRequests {
			t.Errorf("schema %d: the copy has %d requests", schema, n)
		}
	}
}

// wantGolden wants what the old program had, in the words of today.
func (s *server) wantGolden(schema int) {
	s.t.Helper()
	var urls struct{ Items []captureURL }
	s.api("GET", urlsAPI, nil, http.StatusOK, &urls)
	if len(urls.Items) != 1 || urls.Items[0].Slug != "golden-orders" || urls.Items[0].RequestCount != goldenRequests {
		s.t.Fatalf("schema %d: capture URLs: %+v", schema, urls.Items)
	}
	for i, r := range s.requests(urls.Items[0].ID) {
		want := fmt.Sprintf("golden %d ", i) + strings.Repeat("x", i*100)
		if got := s.request(r.ID); got.Body == nil || *got.Body != want || got.SubPath != fmt.Sprintf("/a/%d", i) {
			s.t.Errorf("schema %d: request %d is not what was sent: %+v", schema, i, got)
		}
	}
	sender, err := newSender(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer sender.conn.Close()
	if status, _, err := sender.send(post("/in/golden-orders", s.Addr, 100)); status != http.StatusAccepted || err != nil {
		s.t.Errorf("schema %d: a capture is answered %d, %v", schema, status, err)
	}
	if schema < 2 {
		return
	}
	states := map[string]int{}
	var deliveries struct{ Items []struct{ State string } }
	s.api("GET", "/api/v1/deliveries?limit=200", nil, http.StatusOK, &deliveries)
	for _, d := range deliveries.Items {
		states[d.State]++
	}
	if states["succeeded"] != goldenRequests {
		s.t.Errorf("schema %d: deliveries: %v", schema, states)
	}
}

// goldenIn returns how many requests a database has whose schema must be the given one.
func goldenIn(t *testing.T, path string, schema int) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version int
	if err := db.QueryRow("SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil || version != schema {
		t.Errorf("%s has schema %d, %v", path, version, err)
	}
	if err := db.QueryRow("SELECT count(*) FROM requests").Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}

// newestSchema returns how many migrations there are.
func newestSchema(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("../store/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations", err)
	}
	return len(files)
}

// TestKilledWhileUpgrading kills the program at the N-th write, flush, rename or removal of an upgrade, for every N until the
// upgrade comes to its end (a few of them by default): the next try brings everything over.
func TestKilledWhileUpgrading(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "it kills at a system call")
	newest := newestSchema(t)
	const calls = "pwrite64,fsync,fdatasync,ftruncate,renameat,unlinkat"
	for schema := 1; schema <= 2; schema++ {
		t.Run(fmt.Sprint("schema ", schema), func(t *testing.T) {
			t.Parallel()
			kills := 0
			for n := 1; ; n++ {
				if !long() {
					n += rand.IntN(20)
				}
				data := filepath.Join(t.TempDir(), "data")
				restoreGolden(t, schema, data)
				database := filepath.Join(data, "hookkeeper.db")
				part := fmt.Sprintf("%s/hookkeeper-schema-%d.db", data, schema)
				command := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-P", database, "-P", database+"-wal", "-P", part,
					"-P", part+".part", "-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), binary, "user", "list")
				command.Env = append(cleanEnviron(), "HOOKKEEPER_DATA="+data, "HOOKKEEPER_SECRET_KEY="+goldenKey)
				killed := command.Run() != nil
				for _, args := range [][]string{{"user", "list"}, {"check"}} {
					again := exec.Command(binary, args...)
					again.Env = command.Env
					if out, err := again.CombinedOutput(); err != nil {
						t.Fatalf("number %d: hookkeeper %s: %v\n%s", n, strings.Join(args, " "), err, out)
					}
				}
				if got := goldenIn(t, database, newest); got != goldenRequests {
					t.Errorf("number %d: %d requests are left", n, got)
				}
				if t.Failed() || !killed {
					break
				}
				kills++
			}
			t.Logf("%d kills", kills)
			if kills == 0 {
				t.Error("nothing was tried")
			}
		})
	}
}
