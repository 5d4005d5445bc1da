package snippet

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// sent is a request as it came over the wire.
type sent struct {
	Method, Target, Proto string
	Framing               string // length, chunked or none
	Headers               []hook.Header
	Body                  string
}

// receiver reads one request a connection from a socket, byte by byte, without a library that tidies up.
type receiver struct {
	base     string // http://127.0.0.1:port
	listener net.Listener
	requests chan sent
	errors   chan error
}

func newReceiver(tb testing.TB) *receiver {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{
		base: "http://" + listener.Addr().String(), listener: listener,
		requests: make(chan sent, 1), errors: make(chan error, 1),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.serve()
	}()
	tb.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return r
}

func (r *receiver) serve() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		request, err := readRequest(conn)
		if err != nil {
			r.errors <- err
		} else {
			r.requests <- request
		}
		_ = conn.Close()
	}
}

func readRequest(conn net.Conn) (sent, error) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(conn)
	line, err := readLine(in)
	if err != nil {
		return sent{}, err
	}
	first, last := strings.IndexByte(line, ' '), strings.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return sent{}, fmt.Errorf("request line %q", line)
	}
	s := sent{Method: line[:first], Target: line[first+1 : last], Proto: line[last+1:], Framing: "none"}
	for {
		line, err := readLine(in)
		if err != nil {
			return sent{}, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return sent{}, fmt.Errorf("header line %q", line)
		}
		s.Headers = append(s.Headers, hook.Header{Name: name, Value: strings.TrimLeft(value, " ")})
	}
	if err := s.readBody(in, conn); err != nil {
		return sent{}, err
	}
	_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	return s, err
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", fmt.Errorf("line %q does not end in CRLF", line)
	}
	return line, nil
}

func (s *sent) readBody(in *bufio.Reader, conn net.Conn) (err error) {
	if s.take("Expect", false) == "100-continue" {
		if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	length, encoding := s.take("Content-Length", true), s.take("Transfer-Encoding", true)
	s.take("Host", true)
	var body []byte
	switch {
	case encoding != "" && length != "":
		return errors.New("both Content-Length and Transfer-Encoding")
	case encoding == "chunked":
		s.Framing = "chunked"
		body, err = io.ReadAll(httputil.NewChunkedReader(in))
	case length != "":
		s.Framing = "length"
		n, convErr := strconv.Atoi(length)
		if convErr != nil {
			return convErr
		}
		body = make([]byte, n)
		_, err = io.ReadFull(in, body)
	}
	s.Body = string(body)
	return err
}

// take returns the value of a header, and removes it when told so.
func (s *sent) take(name string, remove bool) string {
	i := slices.IndexFunc(s.Headers, func(h hook.Header) bool { return h.Name == name })
	if i < 0 {
		return ""
	}
	value := s.Headers[i].Value
	if remove {
		s.Headers = slices.Delete(s.Headers, i, i+1)
	}
	return value
}

// expected returns what a command made of r has to send.
func expected(r *hook.Request) sent {
	s := sent{Method: r.Method, Target: r.Target(), Proto: r.Proto, Framing: "none", Body: string(r.Body)}
	for _, h := range r.Headers {
		switch h.Name {
		case "Content-Length":
			s.Framing = "length"
		case "Host", "Transfer-Encoding":
		default:
			s.Headers = append(s.Headers, h)
		}
	}
	if len(r.Body) > 0 {
		s.Framing = "length"
	}
	if r.Chunked {
		s.Framing = "chunked"
	}
	if isHead(r) {
		s.Framing = "none"
	}
	return s
}

// normal sorts the headers by name, which leaves the values of one name in their order, as they are stored.
func (s sent) normal() sent {
	if len(s.Headers) == 0 {
		s.Headers = nil // the same as empty
	}
	slices.SortStableFunc(s.Headers, func(a, b hook.Header) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// request returns a request as capture stores it. Headers are written as "Name: value".
func request(method, target, body string, headers ...string) *hook.Request {
	path, query, hasQuery := strings.Cut(target, "?")
	r := &hook.Request{
		Summary: hook.Summary{
			ID: 1 << 40, Method: method, Path: path, Query: query, BareQuery: hasQuery && query == "", Proto: "HTTP/1.1",
			BodySize: int64(len(body)),
		},
		Headers: []hook.Header{{Name: "Host", Value: "hooks.example.com"}},
		Body:    []byte(body),
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Headers = append(r.Headers, hook.Header{Name: textproto.CanonicalMIMEHeaderKey(name), Value: value})
	}
	if body != "" {
		r.Headers = append(r.Headers, hook.Header{Name: "Content-Length", Value: strconv.Itoa(len(body))})
	}
	return r
}

// shell runs a file with a command.
type shell struct {
	name string
	// args run the script that follows them; with prompt set the script is typed into the shell instead, which then
	// treats an exclamation mark as it does at a prompt.
	args   []string
	prompt bool
}

// shells returns the shells of this machine. Where there is no curl the test is skipped, unless HOOKKEEPER_TEST_ALL
// is set.
func shells(tb testing.TB) []shell {
	tb.Helper()
	for _, program := range []string{"curl", "sh", "base64"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("HOOKKEEPER_TEST_ALL") == "1" {
				tb.Fatal(err)
			}
			tb.Skip(err)
		}
	}
	found := []shell{{name: "sh", args: []string{"sh"}}}
	for _, s := range []shell{
		{name: "bash", args: []string{"bash"}},
		{name: "bash prompt", args: []string{"bash", "--norc", "--noprofile", "-i"}, prompt: true},
		{name: "zsh", args: []string{"zsh", "-f"}},
		{name: "busybox", args: []string{"busybox", "sh"}},
	} {
		if _, err := exec.LookPath(s.args[0]); err == nil {
			found = append(found, s)
		}
	}
	return found
}

// run runs command in an empty directory and returns what arrived. Nothing but the request may come of it.
func (s shell) run(tb testing.TB, r *receiver, command Command, body []byte) sent {
	tb.Helper()
	dir := tb.TempDir()
	files := map[string]bool{}
	if command.BodyFile != "" {
		files[command.BodyFile] = true
		write(tb, filepath.Join(dir, command.BodyFile), body)
	}
	script := filepath.Join(tb.TempDir(), "script")
	write(tb, script, []byte(command.Text+"\n"))

	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	if s.prompt {
		stdin, err := os.Open(script)
		if err != nil {
			tb.Fatal(err)
		}
		defer stdin.Close()
		cmd.Stdin = stdin
	} else {
		cmd.Args = append(cmd.Args, script)
	}
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(script), "LC_ALL=C.UTF-8", "HISTFILE="}
	output, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s: %v\n%s\n%s", s.name, err, command.Text, output)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, entry := range left {
		if !files[entry.Name()] {
			tb.Errorf("%s made the file %q\n%s", s.name, entry.Name(), command.Text)
		}
	}
	select {
	case got := <-r.requests:
		return got.normal()
	case err := <-r.errors:
		tb.Fatalf("%s: %v\n%s\n%s", s.name, err, command.Text, output)
	case <-ctx.Done():
		tb.Fatalf("%s sent nothing\n%s\n%s", s.name, command.Text, output)
	}
	return sent{}
}

func write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
