package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	// The tests build the program themselves; with this their cached results are not those of another one.
	_ "github.com/hookkeeper/hookkeeper/internal/cli"
)

const (
	adminEmail    = "ann@example.com"
	adminPassword = "correct horse battery"
	apiToken      = "hk_0123456789abcdefghijklmnopqrstuvwxyzABCDE"
	startWait     = 30 * time.Second
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv("HOOKKEEPER_E2E_BARE") != "" {
		serveBare()
		return
	}
	if order := os.Getenv("HOOKKEEPER_E2E_ATTACK"); order != "" {
		attack(order)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookkeeper-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hookkeeper")
	build := exec.Command("go", append([]string{"build", "-o", binary}, append(buildFlags, "../..")...)...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the program failed:", err)
		return 1
	}
	defer stopChrome()
	return m.Run()
}

// long reports whether heavy tests run in their long form.
func long() bool { return os.Getenv("HOOKKEEPER_TEST_LONG") != "" }

// need skips a test for want of a tool, or fails it where every test has to run.
func need(t testing.TB, tool, purpose string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	skipOrFail(t, tool+" is not installed: "+purpose)
	return ""
}

// server is a running Hookkeeper with an admin and an API token.
type server struct {
	t       testing.TB
	DataDir string
	Addr    string // 127.0.0.1:port
	env     []string
	wrap    []string // a command that runs the program, such as strace
	program string   // another one than binary
	cmd     *exec.Cmd
	exited  chan error
	log     lockedBuffer
}

// lockedBuffer collects what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.WriteString(line + "\n")
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs `hookkeeper serve` in a new data directory until the test ends. Further settings are NAME=value.
func start(t testing.TB, settings ...string) *server {
	t.Helper()
	return startUnder(t, nil, settings...)
}

// startUnder is start with a command in front of the program.
func startUnder(t testing.TB, wrap []string, settings ...string) *server {
	t.Helper()
	return startProgram(t, "", wrap, settings...)
}

// startProgram is startUnder for another program than binary.
func startProgram(t testing.TB, program string, wrap []string, settings ...string) *server {
	t.Helper()
	s := &server{program: program, wrap: wrap, t: t, DataDir: filepath.Join(t.TempDir(), "data"), Addr: "127.0.0.1:0"}
	s.env = append([]string{
		"HOOKKEEPER_ADMIN_EMAIL=" + adminEmail, "HOOKKEEPER_ADMIN_PASSWORD=" + adminPassword, "HOOKKEEPER_API_TOKEN=" + apiToken,
		"HOOKKEEPER_LOG=json", "HOOKKEEPER_DISK_RESERVE=1MiB",
	}, settings...)
	s.restart()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log.String())
		}
	})
	return s
}

// restart starts the server again on the same data directory and, after the first time, on the same port.
func (s *server) restart() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatal(err)
	}
}

// launch is restart for a server that may fail to start.
func (s *server) launch() error {
	program := binary
	if s.program != "" {
		program = s.program
	}
	command := append(slices.Clone(s.wrap), program, "serve")
	s.cmd = exec.Command(command[0], command[1:]...)
	s.cmd.Env = append(cleanEnviron(), append([]string{"HOOKKEEPER_DATA=" + s.DataDir, "HOOKKEEPER_ADDR=" + s.Addr}, s.env...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // signals reach the program behind a wrapper, too
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	addr := make(chan string, 1)
	s.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) {
		s.readLog(stderr, addr)
		exited <- cmd.Wait()
	}(s.cmd, s.exited)
	select {
	case s.Addr = <-addr:
		return nil
	case err := <-s.exited:
		s.exited <- err
		return fmt.Errorf("the server ended at its start: %w\n%s", err, s.log.String())
	case <-time.After(startWait):
		return fmt.Errorf("the server did not start\n%s", s.log.String())
	}
}

func (s *server) readLog(stderr io.Reader, addr chan<- string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.log.add(lines.Text())
		var entry struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			addr <- entry.Addr
		}
	}
}

// cleanEnviron is the environment without settings of ours.
func cleanEnviron() []string {
	var env []string
	for _, item := range os.Environ() {
		if !strings.HasPrefix(item, "HOOKKEEPER_") {
			env = append(env, item)
		}
	}
	return env
}

// kill ends the server as a power switch would end the process.
func (s *server) kill() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.exited <- <-s.exited
}

// terminate sends SIGTERM and waits for the end.
func (s *server) terminate() error {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case err := <-s.exited:
		s.exited <- err
		return err
	case <-time.After(startWait):
		return errors.New("the server did not end after SIGTERM")
	}
}

func (s *server) url(path string) string { return "http://" + s.Addr + path }

// api calls the JSON API and decodes the answer into out, which may be nil. It fails the test on another status.
func (s *server) api(method, path string, in any, status int, out any) {
	s.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			s.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, s.url(path), body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiToken)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s: %s, want %d\n%s", method, path, resp.Status, status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			s.t.Fatalf("%s %s: %v\n%s", method, path, err, b)
		}
	}
}

// captureURL is what the API tells of one.
type captureURL struct {
	ID            string
	Slug          string
	URL           string
	RequestCount  int64 `json:"request_count"`
	ReceivedCount int64 `json:"received_count"`
}

// newURL makes a capture URL; fields are added to its JSON.
func (s *server) newURL(fields map[string]any) captureURL {
	s.t.Helper()
	in := map[string]any{"name": "orders"}
	for name, value := range fields {
		in[name] = value
	}
	var u captureURL
	s.api("POST", "/api/v1/capture-urls", in, http.StatusCreated, &u)
	return u
}

// apiRequest is what the API tells of a request.
type apiRequest struct {
	ID         string
	Method     string
	Scheme     string
	Host       string
	Path       string
	PathBase64 *string `json:"path_base64"`
	SubPath    string  `json:"sub_path"`
	Query      string
	Proto      string
	Framing    string
	RemoteAddr string      `json:"remote_addr"`
	ClientAddr string      `json:"client_addr"`
	Headers    []apiHeader `json:"headers"`
	Trailers   []apiHeader `json:"trailers"`
	BodySize   int64       `json:"body_size"`
	Truncated  bool
	Body       *string
	BodyBase64 []byte `json:"body_base64"`
}

type apiHeader struct {
	Name        string
	Value       string
	ValueBase64 []byte `json:"value_base64"`
}

// requests returns all requests of a capture URL, oldest first, without their bodies.
func (s *server) requests(captureURL string) []apiRequest {
	s.t.Helper()
	var all []apiRequest
	after := "req_0000000000001"
	for {
		var page struct {
			Items []apiRequest
			Next  *string
		}
		s.api("GET", "/api/v1/capture-urls/"+captureURL+"/requests?limit=200&after="+after, nil, http.StatusOK, &page)
		all = append(all, page.Items...)
		if page.Next == nil || len(page.Items) == 0 {
			return all
		}
		after = *page.Next
	}
}

// request returns one request, whole.
func (s *server) request(id string) apiRequest {
	s.t.Helper()
	var r apiRequest
	s.api("GET", "/api/v1/requests/"+id, nil, http.StatusOK, &r)
	return r
}

// memory returns the resident memory of the server in bytes.
func (s *server) memory() int64 {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	s.t.Fatal("no VmRSS")
	return 0
}

// dial opens a raw connection to the server with a deadline that no test should reach.
func (s *server) dial() net.Conn {
	s.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(startWait))
	return conn
}

// runCommand runs another command on the data of a server and returns what it printed.
func runCommand(t testing.TB, s *server, args ...string) string {
	t.Helper()
	return runWithInput(t, s, "", args...)
}

// runWithInput is runCommand with something on the command's standard input.
func runWithInput(t testing.TB, s *server, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(cleanEnviron(), "HOOKKEEPER_DATA="+s.DataDir, "HOOKKEEPER_ADDR="+s.Addr)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("hookkeeper %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
